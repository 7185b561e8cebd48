//! Writing tensors in another type: what is lost, and which tensors are spared.

use half::{bf16, f16, slice::HalfFloatSliceExt};

use crate::{
    dtype::Dtype,
    error::{Error, Result},
    tensor::Tensor,
};

/// The type that floating-point tensors are written in. Integers and truth values keep theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Element {
    /// The type that they have.
    #[default]
    Keep,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16, but for tensors that do not survive it: those stay wider.
    ///
    /// A tensor `x` survives when none of its values overflows and `‖x - f16(x)‖ ≤ 2⁻¹⁰ · ‖x‖`,
    /// which is twice the rounding of normal numbers: one with many values below f16's normal
    /// range, 6·10⁻⁵, does not.
    F16,
}

/// A tensor that stayed wider than was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// The type that it is written in.
    pub dtype: Dtype,
    /// Finite values that would have become infinite.
    pub overflowed: u64,
    /// Values that would have become zero.
    pub flushed: u64,
    /// `‖x - rounded(x)‖ / ‖x‖`
    pub error: f64,
}

/// How a tensor is written.
pub(crate) struct Choice {
    pub dtype: Dtype,
    /// Values that become zero.
    pub flushed: u64,
    /// Set when the type is wider than was asked for.
    pub kept: Option<Kept>,
}

impl Element {
    /// The types for a tensor of `source`, narrowest first; the last one loses nothing.
    fn choices(self, source: Dtype) -> &'static [Dtype] {
        match (self, source) {
            (Self::F32, Dtype::F64) => &[Dtype::F32, Dtype::F64],
            (Self::F32, Dtype::F16 | Dtype::Bf16 | Dtype::F8E4M3 | Dtype::F8E5M2) => &[Dtype::F32],
            // Every value of eight bits is one of sixteen.
            (Self::F16, Dtype::F8E4M3 | Dtype::F8E5M2) => &[Dtype::F16],
            (Self::F16, Dtype::F64) => &[Dtype::F16, Dtype::F32, Dtype::F64],
            (Self::F16, Dtype::F32 | Dtype::Bf16) => &[Dtype::F16, Dtype::F32],
            _ => &[],
        }
    }

    /// Whether the choice for a tensor of `source` needs its values.
    pub(crate) fn depends_on_values(self, source: Dtype) -> bool {
        self.choices(source).len() > 1
    }

    /// Chooses the type for a tensor; reads its data when the choice depends on them. `read` is told
    /// how many bytes each reading takes, and may end it.
    pub(crate) fn choose(
        self,
        source: Dtype,
        tensor: impl FnOnce() -> Result<Tensor>,
        mut read: impl FnMut(u64) -> Result<()>,
    ) -> Result<Choice> {
        let lossless = |dtype| Choice { dtype, flushed: 0, kept: None };
        let Some((&last, lossy)) = self.choices(source).split_last() else {
            return Ok(lossless(source));
        };
        if lossy.is_empty() {
            return Ok(lossless(last));
        }
        let tensor = tensor()?;
        let mut kept: Option<Kept> = None;
        for &dtype in lossy {
            let loss = Loss::measure(&tensor, dtype, &mut read)?;
            if loss.survives(dtype) {
                let kept = kept.map(|kept| Kept { dtype, ..kept });
                return Ok(Choice { dtype, flushed: loss.flushed, kept });
            }
            // What is told is why the type that was asked for did not do.
            kept.get_or_insert(Kept {
                name: tensor.name.clone(),
                dtype: last,
                overflowed: loss.overflowed,
                flushed: loss.flushed,
                error: (loss.error / loss.norm).sqrt(),
            });
        }
        Ok(Choice { dtype: last, flushed: 0, kept })
    }
}

/// What rounding to a narrower type does to a tensor.
#[derive(Default)]
struct Loss {
    overflowed: u64,
    flushed: u64,
    /// Sum of squared differences, over the finite values that stay finite.
    error: f64,
    /// Sum of the squares of the same values.
    norm: f64,
}

impl Loss {
    fn measure(
        tensor: &Tensor,
        to: Dtype,
        mut read: impl FnMut(u64) -> Result<()>,
    ) -> Result<Self> {
        let mut loss = Self::default();
        let (mut halves, mut rounded) = (Vec::new(), Vec::new());
        tensor.pieces(|piece| {
            read(piece.len() as u64)?;
            let mut values = decode(piece, tensor.dtype);
            if to == Dtype::F16 {
                round(&values, &mut halves);
                rounded.resize(values.len(), 0.0);
                halves.convert_to_f32_slice(&mut rounded);
            } else {
                rounded.clear();
                rounded.append(&mut values);
            }
            if tensor.dtype == Dtype::F64 {
                let values = piece.as_chunks::<8>().0.iter();
                for (value, rounded) in values.zip(&rounded) {
                    loss.add(f64::from_le_bytes(*value), (*rounded).into());
                }
            } else {
                for (value, rounded) in values.iter().zip(&rounded) {
                    loss.add((*value).into(), (*rounded).into());
                }
            }
            Ok(())
        })?;
        Ok(loss)
    }

    fn add(&mut self, x: f64, rounded: f64) {
        // Infinities and NaN stay what they are.
        if !x.is_finite() {
            return;
        }
        if rounded.is_infinite() {
            self.overflowed += 1;
            return;
        }
        if rounded == 0.0 && x != 0.0 {
            self.flushed += 1;
        }
        self.error += (x - rounded) * (x - rounded);
        self.norm += x * x;
    }

    /// See [`Element::F16`]; f32 rounds to 24 bits where f16 rounds to 11.
    fn survives(&self, dtype: Dtype) -> bool {
        let twice_rounding = match dtype {
            Dtype::F16 => 2_f64.powi(-10),
            _ => 2_f64.powi(-23),
        };
        self.overflowed == 0 && self.error <= self.norm * twice_rounding * twice_rounding
    }
}

/// Elements of any type as `f32`: exact from types of 8 and 16 bits, rounded to nearest from `f64`
/// and large integers, 0 or 1 from truth values.
pub(crate) fn decode(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&element| f(element)).collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F8E4M3 => each(bytes, |[b]| e4m3(b)),
        Dtype::F8E5M2 => each(bytes, |[b]| f16::from_le_bytes([0, b]).to_f32()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
        Dtype::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
        Dtype::U8 => each(bytes, |b| u8::from_le_bytes(b).into()),
        Dtype::Bool => each(bytes, |[b]| f32::from(b != 0)),
    }
}

/// `±m·2⁻⁹` below the normal range, `±(1 + m/8)·2^(e - 7)` in it, NaN where all bits are set (OCP
/// 8-bit Floating Point Specification 1.0, section 5.2).
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2_f32.powi(-9),
        _ => (1.0 + mantissa / 8.0) * 2_f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

/// Rounds to nearest, ties to even; the processor's own instructions do it where it has them.
fn round(values: &[f32], halves: &mut Vec<f16>) {
    halves.resize(values.len(), f16::ZERO);
    halves.convert_from_f32_slice(values);
}

/// Calls `f` with the tensor's elements in row-major order as little-endian `dtype`, some at a time.
/// `f64` becomes `f16` by way of `f32`, as in PyTorch.
pub(crate) fn encode(
    tensor: &Tensor,
    dtype: Dtype,
    mut f: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if tensor.dtype == dtype {
        return tensor.pieces(f);
    }
    let (mut halves, mut out) = (Vec::new(), Vec::new());
    tensor.pieces(|piece| {
        let values = decode(piece, tensor.dtype);
        out.clear();
        match dtype {
            Dtype::F16 => {
                round(&values, &mut halves);
                out.extend(halves.iter().flat_map(|value| value.to_le_bytes()));
            }
            Dtype::F32 => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            other => {
                let dtype = other.to_string();
                return Err(Error::Dtype { name: tensor.name.clone(), dtype });
            }
        }
        f(&out)
    })
}
