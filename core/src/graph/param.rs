//! Constant tensors of a graph: weights, biases, noise, filters.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use half::{bf16, f16};

/// Where the bytes of a parameter live: a memory map, a vector, …
pub type Storage = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// How a parameter's bytes encode its values (little endian).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16.
    Bf16,
}

impl Encoding {
    /// Bytes of one value.
    pub const fn size(self) -> usize {
        match self {
            Encoding::F32 => 4,
            Encoding::F16 | Encoding::Bf16 => 2,
        }
    }
}

/// A constant tensor: `scale` times the values that its bytes encode.
///
/// The scale carries the equalised learning rate of StyleGAN layers (`1/√fan_in`) and the like,
/// so that a checkpoint can stay memory-mapped until a backend packs it.
#[derive(Clone)]
pub struct Param {
    /// Name in the checkpoint, for messages.
    pub name: String,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Factor on every value.
    pub scale: f32,
    /// Whether it stays f32 in an f16 plan, see [`Node::exact`](super::Node::exact).
    pub exact: bool,
    storage: Storage,
    bytes: Range<usize>,
    encoding: Encoding,
}

impl Param {
    /// A view of `bytes` of `storage`; `None` when their number does not fit `dims`.
    pub fn new(
        name: impl Into<String>,
        dims: Vec<usize>,
        encoding: Encoding,
        storage: Storage,
        bytes: Range<usize>,
    ) -> Option<Self> {
        let elements = dims.iter().try_fold(1usize, |a, &d| a.checked_mul(d))?;
        let inside = bytes.start <= bytes.end && bytes.end <= (*storage).as_ref().len();
        let fits = elements.checked_mul(encoding.size()) == Some(bytes.len());
        (inside && fits).then(|| Self {
            name: name.into(),
            dims,
            scale: 1.0,
            exact: false,
            storage,
            bytes,
            encoding,
        })
    }

    /// A parameter made of `values`.
    ///
    /// # Panics
    /// When their number is not the product of `dims`: both come from our own code.
    pub fn from_values(name: impl Into<String>, dims: Vec<usize>, values: &[f32]) -> Self {
        assert_eq!(values.len(), dims.iter().product::<usize>());
        let bytes: Vec<u8> = bytemuck::cast_slice(values).to_vec();
        let range = 0..bytes.len();
        Self {
            name: name.into(),
            dims,
            scale: 1.0,
            exact: false,
            storage: Arc::new(bytes),
            bytes: range,
            encoding: Encoding::F32,
        }
    }

    /// A parameter of f32 whose bytes come when they are first read: as many as `dims` say.
    pub fn deferred(name: impl Into<String>, dims: Vec<usize>, storage: Storage) -> Self {
        let bytes = 0..dims.iter().product::<usize>() * size_of::<f32>();
        let (name, scale, exact) = (name.into(), 1.0, false);
        Self { name, dims, scale, exact, storage, bytes, encoding: Encoding::F32 }
    }

    /// A parameter whose bytes, as many as `dims` say, come when they are first read; `None` when
    /// their number overflows.
    pub fn lazy(
        name: impl Into<String>,
        dims: Vec<usize>,
        encoding: Encoding,
        storage: Storage,
    ) -> Option<Self> {
        let elements = dims.iter().try_fold(1usize, |a, &d| a.checked_mul(d))?;
        let bytes = 0..elements.checked_mul(encoding.size())?;
        Some(Self { name: name.into(), dims, scale: 1.0, exact: false, storage, bytes, encoding })
    }

    /// Multiplies the tensor by `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.scale *= factor;
        self
    }

    /// Gives the values other dimensions; `None` where their product differs.
    #[must_use]
    pub fn reshaped(mut self, dims: Vec<usize>) -> Option<Self> {
        (dims.iter().product::<usize>() == self.len()).then(|| {
            self.dims = dims;
            self
        })
    }

    /// Rows `range` of the outermost dimension; `None` when they are not all there.
    #[must_use]
    pub fn rows(&self, range: Range<usize>) -> Option<Self> {
        let (&outer, inner) = self.dims.split_first()?;
        if range.start > range.end || range.end > outer {
            return None;
        }
        let row = inner.iter().product::<usize>() * self.encoding.size();
        let mut dims = self.dims.clone();
        dims[0] = range.len();
        Some(Self {
            dims,
            bytes: self.bytes.start + range.start * row..self.bytes.start + range.end * row,
            ..self.clone()
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the values are stored in the checkpoint.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The values, decoded and scaled.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes = &(*self.storage).as_ref()[self.bytes.clone()];
        let scale = self.scale;
        match self.encoding {
            Encoding::F32 => {
                (bytes.as_chunks::<4>().0.iter()).map(|b| f32::from_le_bytes(*b) * scale).collect()
            }
            Encoding::F16 => (bytes.as_chunks::<2>().0.iter())
                .map(|b| f16::from_le_bytes(*b).to_f32() * scale)
                .collect(),
            Encoding::Bf16 => (bytes.as_chunks::<2>().0.iter())
                .map(|b| bf16::from_le_bytes(*b).to_f32() * scale)
                .collect(),
        }
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.dims, self.encoding)
    }
}
