//! The element types of PyTorch storages.

use std::fmt;

/// Type of a tensor's elements, which are handed out little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 binary64 (`torch.float64`).
    F64,
    /// IEEE 754 binary32 (`torch.float32`).
    F32,
    /// IEEE 754 binary16 (`torch.float16`).
    F16,
    /// The upper half of a binary32 (`torch.bfloat16`).
    Bf16,
    /// Eight bits: sign, 4 of exponent, 3 of mantissa, no infinity (`torch.float8_e4m3fn`).
    F8E4M3,
    /// Eight bits: the upper half of a binary16 (`torch.float8_e5m2`).
    F8E5M2,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte per truth value; zero is false.
    Bool,
}

impl Dtype {
    const ALL: [Self; 12] = [
        Self::F64,
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U8,
        Self::Bool,
    ];

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// PyTorch's name of the type, such as `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F8E4M3 => "float8_e4m3fn",
            Self::F8E5M2 => "float8_e5m2",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// The name in a safetensors header, such as `F32`.
    pub(crate) const fn safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F64 => safetensors::Dtype::F64,
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
            Self::F8E4M3 => safetensors::Dtype::F8_E4M3,
            Self::F8E5M2 => safetensors::Dtype::F8_E5M2,
            Self::I64 => safetensors::Dtype::I64,
            Self::I32 => safetensors::Dtype::I32,
            Self::I16 => safetensors::Dtype::I16,
            Self::I8 => safetensors::Dtype::I8,
            Self::U8 => safetensors::Dtype::U8,
            Self::Bool => safetensors::Dtype::BOOL,
        }
    }

    /// Whether elements are floating-point numbers.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4M3 | Self::F8E5M2)
    }

    /// The type of that name, as [`Self::name`] has it.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The type of that name in a safetensors header, `None` for one that is not read.
    pub(crate) fn of_safetensors(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.safetensors().to_string() == name)
    }

    /// The type that a storage class of the module `torch` holds, `None` for any other class.
    pub(crate) fn of_storage_class(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Turns the element of these little-endian bytes into its negative, as PyTorch does: the sign
    /// of a floating-point number flips, integers wrap.
    pub(crate) fn negate(self, element: &mut [u8]) {
        if self.is_float() {
            if let Some(highest) = element.last_mut() {
                *highest ^= 0x80;
            }
        } else if self != Self::Bool {
            // Two's complement: all bits flipped, plus one.
            let mut carry = true;
            for byte in element {
                let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
                (*byte, carry) = (sum, over);
            }
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
