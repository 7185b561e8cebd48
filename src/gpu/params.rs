//! The uniform block of a launch: values by name, in the order of the kernel's `Params`.

use std::borrow::Cow;
use std::fmt;

/// Bytes from one launch's parameters to the next, and the most that a launch may have: the largest
/// uniform alignment that WebGPU allows a device to ask for.
pub const PARAMS_STRIDE: usize = 256;

/// The type of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scalar {
    /// `u32`
    Uint,
    /// `i32`
    Int,
    /// `f32`
    Float,
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uint => "u32",
            Self::Int => "i32",
            Self::Float => "f32",
        })
    }
}

/// A field of `Params`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// As the kernel calls it.
    pub name: Cow<'static, str>,
    /// The field's type.
    pub scalar: Scalar,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.scalar)
    }
}

/// The parameters of a launch. [`contract`](super::contract) compares them with the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params {
    fields: Vec<Field>,
    words: Vec<u32>,
}

impl Params {
    /// Adds a `u32`.
    pub fn uint(&mut self, name: impl Into<Cow<'static, str>>, value: usize) {
        // Shapes have fewer than 2³¹ elements (graph/shape.rs).
        self.push(name.into(), Scalar::Uint, value as u32);
    }

    /// Adds an `i32`.
    pub fn int(&mut self, name: impl Into<Cow<'static, str>>, value: i32) {
        self.push(name.into(), Scalar::Int, value as u32);
    }

    /// Adds an `f32`.
    pub fn float(&mut self, name: impl Into<Cow<'static, str>>, value: f32) {
        self.push(name.into(), Scalar::Float, value.to_bits());
    }

    /// `u32` fields.
    pub fn uints<const N: usize>(fields: [(&'static str, usize); N]) -> Self {
        let mut params = Self::default();
        fields.into_iter().for_each(|(name, value)| params.uint(name, value));
        params
    }

    fn push(&mut self, name: Cow<'static, str>, scalar: Scalar, word: u32) {
        self.fields.push(Field { name, scalar });
        self.words.push(word);
    }

    /// The words that the device reads.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The names and types of the words.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether they fit the place that a launch has for them.
    pub fn fit(&self) -> bool {
        size_of_val(&*self.words) <= PARAMS_STRIDE
    }
}
