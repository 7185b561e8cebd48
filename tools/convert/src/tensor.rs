//! A tensor: a name, a type, a shape and a view into the file.

use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

use crate::{
    blob::{Blob, PIECE},
    dtype::Dtype,
    element::decode,
    error,
};

/// Most dimensions that a tensor may have; PyTorch's own kernels stop there.
pub(crate) const MAX_DIMS: usize = 64;

/// Which elements of a storage a tensor has, in row-major order of its indices.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// First element, counted from the start of the storage.
    offset: usize,
    shape: Vec<usize>,
    /// Elements between neighbours, per dimension.
    strides: Vec<usize>,
    /// Product of `shape`.
    numel: usize,
    /// Elements of the storage up to and including the last one in use.
    reach: usize,
    /// Whether the tensor holds the negatives of the storage's elements.
    negated: bool,
}

impl Layout {
    /// A view of the `len` elements from `start` on; `Err` is the reason why it is none.
    ///
    /// Every index of the result lies in `start..start + len`.
    pub fn new(
        start: u64,
        len: u64,
        offset: u64,
        shape: &[u64],
        strides: &[u64],
    ) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("it has {} dimensions and {} strides", shape.len(), strides.len()));
        }
        let too_large = || "its element count overflows".to_string();
        // Zeros left out, so that [2^40, 2^40, 0] does not get through either.
        let extent = shape.iter().try_fold(1_u64, |product, &d| product.checked_mul(d.max(1)));
        let extent = extent.filter(|&n| n <= isize::MAX as u64).ok_or_else(too_large)?;
        let numel = if shape.contains(&0) { 0 } else { extent };
        let mut reach = 0;
        if numel > 0 {
            let last = shape
                .iter()
                .zip(strides)
                .try_fold(offset, |at, (&d, &s)| at.checked_add((d - 1).checked_mul(s)?));
            reach = match last {
                Some(last) if last < len => start.checked_add(last + 1).ok_or_else(too_large)?,
                _ => {
                    let last = last.map_or("beyond 2^64".into(), |last| last.to_string());
                    return Err(format!(
                        "shape {shape:?}, strides {strides:?} and offset {offset} reach element {last} of {len}"
                    ));
                }
            };
        }
        // What is not reached is not used: an empty tensor starts at 0, a dimension of 1 has stride 0.
        let offset =
            if numel == 0 { 0 } else { start.checked_add(offset).ok_or_else(too_large)? };
        let size = |n: u64| usize::try_from(n).map_err(|_| too_large());
        let strides = shape
            .iter()
            .zip(strides)
            .map(|(&d, &s)| if numel == 0 || d == 1 { Ok(0) } else { size(s) });
        Ok(Self {
            offset: size(offset)?,
            strides: strides.collect::<Result<_, _>>()?,
            shape: shape.iter().map(|&d| size(d)).collect::<Result<_, _>>()?,
            numel: size(numel)?,
            reach: size(reach)?,
            negated: false,
        })
    }

    /// Chooses the elements, or their negatives.
    pub fn negated(self, negated: bool) -> Self {
        Self { negated, ..self }
    }

    /// The whole of a storage, in row-major order.
    pub fn dense(shape: &[usize]) -> Result<Self, String> {
        if shape.len() > MAX_DIMS {
            return Err(format!("it has {} dimensions of {MAX_DIMS}", shape.len()));
        }
        let shape: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
        let mut strides = vec![1_u64; shape.len()];
        let mut product = 1_u64;
        for (stride, &d) in strides.iter_mut().zip(&shape).rev() {
            *stride = product;
            product = product.saturating_mul(d.max(1));
        }
        let numel = if shape.contains(&0) { 0 } else { product };
        Self::new(0, numel, 0, &shape, &strides)
    }

    pub fn numel(&self) -> usize {
        self.numel
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn is_contiguous(&self) -> bool {
        if self.numel == 0 {
            return true;
        }
        let mut expected = 1;
        for (&d, &s) in self.shape.iter().zip(&self.strides).rev() {
            if d > 1 && s != expected {
                return false;
            }
            expected *= d;
        }
        true
    }
}

/// One tensor of a checkpoint. Its data stay in the file until they are asked for.
#[derive(Clone)]
pub struct Tensor {
    /// Name in the state dict, prefixes removed (see [`crate::Contents::stripped`]).
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Extent of each dimension, slowest first; empty for a scalar.
    pub shape: Vec<usize>,
    layout: Layout,
    /// The whole storage.
    storage: Blob,
    /// Whether the storage holds elements most significant byte first.
    big_endian: bool,
}

impl Tensor {
    /// `None` if the layout reaches past the storage's bytes.
    pub(crate) fn new(
        name: String,
        dtype: Dtype,
        layout: Layout,
        storage: Blob,
        big_endian: bool,
    ) -> Option<Self> {
        let reach = layout.reach.checked_mul(dtype.size())?;
        layout.numel.checked_mul(dtype.size())?;
        if reach > storage.len() {
            return None;
        }
        // Single bytes have no order.
        let big_endian = big_endian && dtype.size() > 1;
        Some(Self { name, dtype, shape: layout.shape.clone(), layout, storage, big_endian })
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.layout.numel
    }

    /// Elements between neighbours in each dimension of the storage; 0 where the extent is 1.
    pub fn strides(&self) -> &[usize] {
        &self.layout.strides
    }

    /// The elements in row-major order, little-endian: the file's own bytes if they already lie so,
    /// a copy otherwise. The length is `numel() * dtype.size()`.
    pub fn to_contiguous_le(&self) -> Cow<'_, [u8]> {
        if let Some(range) = self.dense() {
            return Cow::Borrowed(self.storage.bytes().get(range).unwrap_or_default());
        }
        let mut out = Vec::with_capacity(self.layout.numel * self.dtype.size());
        self.elements(|element| out.extend_from_slice(element));
        Cow::Owned(out)
    }

    /// Calls `f` with the bytes of [`Self::to_contiguous_le`], at most 1 MiB and whole elements at a
    /// time; no more than that is held in memory.
    ///
    /// # Errors
    /// The first one of `f`.
    pub(crate) fn pieces(
        &self,
        mut f: impl FnMut(&[u8]) -> error::Result<()>,
    ) -> error::Result<()> {
        if let Some(part) = self.dense().and_then(|range| self.storage.slice(range)) {
            return part.pieces(f);
        }
        let mut piece = Vec::with_capacity(PIECE.min(self.layout.numel * self.dtype.size()));
        let mut result = Ok(());
        self.elements(|element| {
            piece.extend_from_slice(element);
            if piece.len() >= PIECE {
                if result.is_ok() {
                    result = f(&piece);
                }
                piece.clear();
            }
        });
        self.storage.release(0..self.storage.len());
        result?;
        if piece.is_empty() { Ok(()) } else { f(&piece) }
    }

    /// Where in the storage the elements lie, if they lie there as [`Self::to_contiguous_le`] has
    /// them.
    fn dense(&self) -> Option<Range<usize>> {
        let (start, size) = (self.layout.offset, self.dtype.size());
        // In range: `new` checked the last element in use.
        (self.layout.is_contiguous() && !self.big_endian && !self.layout.negated)
            .then(|| start * size..(start + self.layout.numel) * size)
    }

    /// Calls `f` with the bytes of one element after the other, odometer-wise.
    fn elements(&self, mut f: impl FnMut(&[u8])) {
        let Layout { offset, shape, strides, numel, negated, .. } = &self.layout;
        let (bytes, size) = (self.storage.bytes(), self.dtype.size());
        let mut index = vec![0; shape.len()];
        let dtype = self.dtype;
        let mut f = |element: &[u8]| {
            let mut copy = [0; 8];
            match copy.get_mut(..element.len()) {
                Some(copy) if *negated => {
                    copy.copy_from_slice(element);
                    dtype.negate(copy);
                    f(copy);
                }
                _ => f(element),
            }
        };
        let mut at = *offset;
        for _ in 0..*numel {
            // In range: `new` checked the last element in use, and no index is beyond it.
            let element = bytes.get(at * size..(at + 1) * size).unwrap_or_default();
            match (self.big_endian, element) {
                (true, &[a, b]) => f(&[b, a]),
                (true, &[a, b, c, d]) => f(&[d, c, b, a]),
                (true, &[a, b, c, d, e, g, h, i]) => f(&[i, h, g, e, d, c, b, a]),
                _ => f(element),
            }
            for ((i, &d), &s) in index.iter_mut().zip(shape).zip(strides).rev() {
                *i += 1;
                at += s;
                if *i < d {
                    break;
                }
                at -= d * s;
                *i = 0;
            }
        }
    }

    /// The elements in row-major order as `f32`: exact from types of 8 and 16 bits, rounded to
    /// nearest from `f64` and large integers, 0 or 1 from truth values.
    pub fn to_f32(&self) -> Vec<f32> {
        decode(&self.to_contiguous_le(), self.dtype)
    }
}

/// The elements of a tensor, little-endian in row-major order, with whatever they lie in. What does
/// not lie so in the file takes memory from when it is first read.
pub struct Elements {
    tensor: Tensor,
    as_f32: bool,
    copy: OnceLock<Vec<u8>>,
}

impl Elements {
    /// The elements as they are: [`Tensor::to_contiguous_le`].
    pub fn of(tensor: Tensor) -> Self {
        Self { tensor, as_f32: false, copy: OnceLock::new() }
    }

    /// The elements as `f32`: [`Tensor::to_f32`].
    pub fn as_f32(tensor: Tensor) -> Self {
        Self { as_f32: tensor.dtype != Dtype::F32, ..Self::of(tensor) }
    }
}

impl AsRef<[u8]> for Elements {
    fn as_ref(&self) -> &[u8] {
        let Self { tensor, as_f32, copy } = self;
        match tensor.dense().filter(|_| !as_f32) {
            Some(range) => tensor.storage.bytes().get(range).unwrap_or_default(),
            None => copy.get_or_init(|| match as_f32 {
                true => tensor.to_f32().iter().flat_map(|value| value.to_le_bytes()).collect(),
                false => tensor.to_contiguous_le().into_owned(),
            }),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} {:?}", self.name, self.dtype, self.shape)
    }
}
