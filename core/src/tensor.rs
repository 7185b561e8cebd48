//! Shapes and element types. Pure data.

use std::fmt;

/// The shape `[N, C, H, W]` of an activation, outermost first. Vectors are `[N, C, 1, 1]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    /// Batch.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Shape {
    /// `[n, c, h, w]`.
    pub const fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// A batch of `n` vectors of `c` values.
    pub const fn vector(n: usize, c: usize) -> Self {
        Self::new(n, c, 1, 1)
    }

    /// Elements in all.
    pub const fn len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of one channel of one sample.
    pub const fn plane(&self) -> usize {
        self.h * self.w
    }

    /// Elements of one sample.
    pub const fn sample(&self) -> usize {
        self.c * self.h * self.w
    }

    /// The shape with another number of channels.
    pub const fn with_channels(self, c: usize) -> Self {
        Self { c, ..self }
    }

    /// The shape with another size in pixels.
    pub const fn with_size(self, h: usize, w: usize) -> Self {
        Self { h, w, ..self }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}, {}, {}]", self.n, self.c, self.h, self.w)
    }
}

/// How the elements of a tensor are stored. Arithmetic is always done in `f32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Dtype {
    /// IEEE 754 binary32, the reference.
    #[default]
    F32,
    /// IEEE 754 binary16.
    F16,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
        })
    }
}
