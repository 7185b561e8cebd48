//! A network as a file describes it: layers with their wiring, in one vocabulary for all formats.

use super::array::Array;
use crate::error::short;

/// A layer's place in [`Graph::nodes`], which also stands for its result.
pub(crate) type Id = usize;

/// What a layer computes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// What the caller gives.
    Input,
    /// Values of the file.
    Constant(Array),
    /// Inputs: x `[N, I, H, W]`, weight `[O, I / groups, kh, kw]`, perhaps a bias `[O]`.
    Conv(Window),
    /// Inputs: x `[N, I, H, W]`, weight `[I, O / groups, kh, kw]`, perhaps a bias `[O]`.
    ConvTranspose(Window),
    /// Inputs: x, weight `[O, I]`, perhaps a bias `[O]`.
    Linear,
    MatMul,
    /// Inputs: x, scale, shift, mean, variance.
    BatchNorm(f32),
    /// Inputs: x, scale, shift.
    InstanceNorm(f32),
    /// Inputs: x, perhaps scale and shift.
    LayerNorm(f32),
    /// Inputs: x, perhaps scale and shift.
    GroupNorm {
        groups: usize,
        epsilon: f32,
    },
    /// `max(v, 0) + slope · min(v, 0)`; ReLU has slope 0.
    Leaky(f32),
    /// Inputs: x, slopes.
    Prelu,
    Sigmoid,
    Silu,
    Gelu,
    Erf,
    Sqrt,
    Reciprocal,
    Exp,
    Softmax,
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    /// Over these axes; none where the file does not say them.
    Mean(Vec<i64>),
    /// Over some axes.
    Sum,
    Concat(Axis),
    /// A part of the input along an axis: the `index`th of `of` that a split makes.
    Part {
        axis: Axis,
        index: usize,
        of: usize,
    },
    /// A run of the input along axes.
    Slice,
    /// A run along one axis, which begins there.
    Run {
        axis: Axis,
        start: i64,
    },
    /// The first rows and columns of a picture.
    Crop,
    /// One place along an axis.
    Pick {
        axis: Axis,
        index: i64,
    },
    Resize {
        mode: Resize,
        /// Of height and width, where the file says it.
        factor: Option<[f32; 2]>,
    },
    /// Zeros around a picture: top, left, bottom, right; `None` around anything else.
    Pad(Option<[i64; 4]>),
    /// A mirrored border around a picture, its edge not repeated: top, left, bottom, right.
    Mirror([i64; 4]),
    /// The mean of windows of these sides, side by side.
    AveragePool([usize; 2]),
    MaxPool(Window, [usize; 2]),
    /// New dimensions, where the file says them.
    Reshape(Vec<i64>),
    Transpose(Vec<usize>),
    PixelShuffle(usize),
    PixelUnshuffle(usize),
    Clip,
    /// The dimensions of a result.
    Shape,
    /// The place of the largest or the smallest value.
    ArgMax,
    TopK,
    Gather,
    /// A layer that no network of ours has, or in a form that none has.
    Other,
}

/// An axis of a tensor, counted from the front where 0 is the batch.
pub(crate) type Axis = i64;

/// How a window moves over a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
    pub groups: usize,
}

/// How a picture is resized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resize {
    Nearest,
    /// With half-pixel centres.
    Bilinear,
    /// Bilinear, with the corners where they are.
    Corners,
    Bicubic,
    Other,
}

/// A layer.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub op: Op,
    /// Of results that come before it.
    pub inputs: Vec<Id>,
    /// Its type and name in the file, for messages.
    pub label: String,
}

/// A network. Layers come after what they use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    /// The network's outputs.
    pub outputs: Vec<Id>,
}

impl Graph {
    /// Adds a layer; inputs that do not exist are left out.
    pub fn add(&mut self, op: Op, inputs: Vec<Id>, label: &str) -> Id {
        let id = self.nodes.len();
        debug_assert!(inputs.iter().all(|&input| input < id));
        self.nodes.push(Node { op, inputs, label: short(label) });
        id
    }

    /// Adds a constant.
    pub fn constant(&mut self, array: Array) -> Id {
        self.add(Op::Constant(array), Vec::new(), "a constant")
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub fn op(&self, id: Id) -> Option<&Op> {
        self.node(id).map(|node| &node.op)
    }

    /// The constant that a layer is.
    pub fn array(&self, id: Id) -> Option<&Array> {
        match self.op(id) {
            Some(Op::Constant(array)) => Some(array),
            _ => None,
        }
    }

    /// How many layers a test selects.
    pub fn count(&self, select: impl Fn(&Op) -> bool) -> usize {
        self.nodes.iter().filter(|node| select(&node.op)).count()
    }
}
