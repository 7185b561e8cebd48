//! The operations of nodes, one file each. Formulas are given per output element;
//! `s·h + u·d - p` abbreviates stride, kernel offset times dilation, minus padding.
//!
//! To add an operation `x`:
//!
//! 1. Write `x.rs` here: the struct and `impl Operation`, which has no defaults. Add a line to the
//!    list below.
//! 2. Add a row `X: x ["x"]` to the section `only` of `plan/kernels.rs`.
//! 3. Write the files of the row: `kernels/x.wgsl`, `gpu/ops/x.rs` with `record`, `cpu/x.rs` with
//!    `prepare`, `tests/ops/x.rs` with cases; a graph in `gpu/testing/cases.rs`, and a shape to
//!    measure in `bench/cases.rs`, where no network of the bench has the operation.
//!
//! A forgotten part does not compile, or fails a test: `tests/recipe` tries it.

use super::{Graph, Param, ParamId};
use crate::tensor::Shape;

/// Calls `$expand!` with every operation, as `file: Type`.
macro_rules! for_each_op {
    ($expand:ident) => {
        $expand! {
            activation: Activation,
            ada_in: AdaIn,
            adaptive_avg_pool2d: AdaptiveAvgPool2d,
            add: Add,
            arg_max: ArgMax,
            attention: Attention,
            bias: Bias,
            channel_attention: ChannelAttention,
            concat: Concat,
            constant: Constant,
            conv2d: Conv2d,
            demodulate: Demodulate,
            embedding: Embedding,
            group_norm: GroupNorm,
            input: Input,
            layer_norm: LayerNorm,
            linear: Linear,
            linears: Linears,
            max_pool2d: MaxPool2d,
            modulated_conv2d: ModulatedConv2d,
            modulated_conv_transpose2d: ModulatedConvTranspose2d,
            multi_path_conv: MultiPathConv,
            noise: Noise,
            pixel_norm: PixelNorm,
            pixel_shuffle: PixelShuffle,
            pixel_unshuffle: PixelUnshuffle,
            pointwise: Pointwise,
            reflect_pad: ReflectPad,
            resize: Resize,
            scale: Scale,
            scale_channels: ScaleChannels,
            sft: Sft,
            slice: Slice,
            upfirdn2d: Upfirdn2d,
            window_attention: WindowAttention,
            window_partition: WindowPartition,
        }
    };
}

macro_rules! declare {
    ($($file:ident: $op:ident,)*) => {
        $(mod $file; pub use $file::$op;)*

        /// A node's operation. `x` is its first input.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Op {
            $(#[doc = concat!("See [`ops::", stringify!($op), "`](crate::graph::ops::", stringify!($op), ").")]
            $op($op),)*
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Self {
                Self::$op(op)
            }
        }

        impl Of for $op {
            fn of(op: &Op) -> Option<&Self> {
                if let Op::$op(op) = op { Some(op) } else { None }
            }
        })*

        impl Op {
            /// Its name in dumps, profiles and messages: that of its file.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$op(_) => stringify!($file),)*
                }
            }

            /// How many inputs it takes.
            pub const fn arity(&self) -> Arity {
                match self {
                    $(Self::$op(_) => $op::ARITY,)*
                }
            }

            /// How it is planned.
            pub fn planning(&self) -> Planning {
                match self {
                    $(Self::$op(op) => op.planning(),)*
                }
            }

            /// The shape that it yields.
            pub(super) fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
                match self {
                    $(Self::$op(op) => op.infer(graph, inputs),)*
                }
            }

            /// Products that are added up; 0 for what costs memory traffic, not arithmetic.
            pub fn multiply_adds(&self, graph: &Graph, inputs: &[Shape], output: Shape) -> usize {
                match self {
                    $(Self::$op(op) => op.multiply_adds(graph, inputs, output),)*
                }
            }

            /// Shows every parameter to `visit`, which may put another in its place.
            pub fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
                match self {
                    $(Self::$op(op) => op.visit_params(visit),)*
                }
            }
        }
    };
}

for_each_op!(declare);

pub use linears::Layer;
pub use multi_path_conv::Path;
pub use resize::Interpolation;

/// An operation of one type, if that is what it is.
pub trait Of {
    /// `op` as this type.
    fn of(op: &Op) -> Option<&Self>;
}

/// All that is known of an operation before a backend sees it.
pub trait Operation {
    /// How many inputs it takes.
    const ARITY: Arity;

    /// The shape that it yields of inputs of these shapes, which are as many as
    /// [`ARITY`](Self::ARITY) says.
    ///
    /// # Errors
    /// A sentence about the misfit.
    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String>;

    /// Shows every parameter to `visit`, which may put another in its place.
    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId));

    /// Products that are added up; 0 for what costs memory traffic, not arithmetic.
    fn multiply_adds(&self, graph: &Graph, inputs: &[Shape], output: Shape) -> usize;

    /// How it is planned.
    fn planning(&self) -> Planning;
}

/// Number of inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// So many.
    Exactly(usize),
    /// One at least.
    Any,
}

/// How the planner treats an operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Planning {
    /// Whether it is a step, a part of one, or none.
    pub role: Role,
    /// How its value is stored in an f16 plan.
    pub stored: Stored,
    /// Whether its kernels read `x` in f32 in an f16 plan, too.
    pub reads_f32: bool,
    /// Storage buffers that its kernels bind besides what an epilogue adds: inputs, output, weights,
    /// working memory.
    pub buffers: usize,
    /// The part of a parameter that its kernels read.
    pub reads: Reads,
}

/// The part of a parameter that kernels read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// Its values, in the plan's type.
    Values,
    /// The sum of the squares of each filter's taps, in f32.
    TapSquares,
}

impl Planning {
    /// A step that stores what the plan stores.
    pub const fn step(cost: Cost) -> Self {
        Self {
            role: Role::Step(cost),
            stored: Stored::AsPlanned,
            reads_f32: false,
            buffers: 3,
            reads: Reads::Values,
        }
    }

    /// A part of the step before it, stored as its input is.
    pub const fn part(part: Part) -> Self {
        Self {
            role: Role::Part(part),
            stored: Stored::LikeInput,
            reads_f32: true,
            buffers: 3,
            reads: Reads::Values,
        }
    }

    /// Memory that others fill.
    pub const fn view(stored: Stored) -> Self {
        Self { role: Role::View, stored, reads_f32: true, buffers: 0, reads: Reads::Values }
    }
}

/// The role of an operation in a plan.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    /// A step of its own, to which parts are added.
    Step(Cost),
    /// A part of the epilogue of the step before it; without one, of a step that only copies.
    Part(Part),
    /// A name for memory that others fill.
    View,
}

/// Which step takes the sum of two branches: the heavier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Convolutions and matrix products choose first,
    Heavy,
    /// then the rest.
    Light,
}

/// A part of an epilogue.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Part {
    /// Times one factor per sample and channel.
    ChannelScale,
    /// Times this factor.
    Gain(f32),
    /// Plus noise.
    Noise(Noise),
    /// Plus `[C]`.
    Bias(ParamId),
    /// A function of each value.
    Activation(Activation),
    /// Scale and shift per value.
    Sft(Sft),
    /// Plus a tensor of the same shape.
    Residual,
}

/// How a value is stored in an f16 plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// In the plan's type.
    AsPlanned,
    /// In f32: a vector that others are computed from, or an index, of which f16 has none beyond
    /// 2048.
    AsF32,
    /// In f32 where it has one pixel per channel.
    AsF32IfVector,
    /// In f32 where it has one pixel per channel and one of its readers works on vectors.
    AsReadersWork,
    /// As the input, whose memory it names.
    AsInput,
    /// As the input, unless that is a picture in f32 that was marked as exact.
    LikeInput,
}

impl Op {
    /// Whether its second input is a style, and its channels have factors of their own.
    pub const fn is_modulated(&self) -> bool {
        matches!(self, Self::ModulatedConv2d(_) | Self::ModulatedConvTranspose2d(_))
    }

    /// The weight whose [`Demodulate`] factors its outputs are multiplied with, if any.
    pub fn demodulated(&self) -> Option<ParamId> {
        match self {
            Self::ModulatedConv2d(ModulatedConv2d { conv, demodulate: true })
            | Self::ModulatedConvTranspose2d(ModulatedConvTranspose2d { conv, demodulate: true }) => {
                Some(conv.weight)
            }
            _ => None,
        }
    }

    /// Every parameter, in order.
    pub fn params(&self) -> Vec<ParamId> {
        let mut params = Vec::new();
        self.clone().visit_params(&mut |id| params.push(*id));
        params
    }
}

/// Zeros (or, for [`Upfirdn2d`], negative: crops) around an input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Padding {
    /// Rows above.
    pub top: i32,
    /// Rows below.
    pub bottom: i32,
    /// Columns before.
    pub left: i32,
    /// Columns after.
    pub right: i32,
}

impl Padding {
    /// `p` on all four sides.
    pub const fn all(p: i32) -> Self {
        Self { top: p, bottom: p, left: p, right: p }
    }

    /// `before` above and left, `after` below and right.
    pub const fn pair(before: i32, after: i32) -> Self {
        Self { top: before, bottom: after, left: before, right: after }
    }
}

/// The dimensions of a convolution's weight.
fn weight4(graph: &Graph, id: ParamId) -> Result<[usize; 4], String> {
    match *graph.param(id).dims {
        [o, i, kh, kw] if o * i * kh * kw > 0 => Ok([o, i, kh, kw]),
        _ => Err(misfit(graph, id, "[O, I, kh, kw]")),
    }
}

/// Whether `weight` reads `channels` in `groups`.
fn check_groups(
    graph: &Graph,
    weight: ParamId,
    channels: usize,
    groups: usize,
) -> Result<(), String> {
    let [o, i, ..] = weight4(graph, weight)?;
    if groups == 0 || o % groups != 0 || i * groups != channels {
        let expected = format!("{channels} input channels in {groups} groups");
        return Err(misfit(graph, weight, &expected));
    }
    Ok(())
}

/// Whether a parameter has `len` values.
fn check_vector(graph: &Graph, id: ParamId, len: usize) -> Result<(), String> {
    if graph.param(id).len() == len { Ok(()) } else { Err(misfit(graph, id, &format!("[{len}]"))) }
}

fn misfit(graph: &Graph, id: ParamId, expected: &str) -> String {
    let Param { name, dims, .. } = graph.param(id);
    format!("tensor {name} is {dims:?}, expected {expected}")
}
