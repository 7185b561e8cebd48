//! The vocabulary of a plan: steps on views of placed storages. Plain data, shared by all backends.

use super::Variant;
use crate::error::{Error, Result};
use crate::graph::ops::{Of, Operation};
use crate::graph::{Activation, Conv2d, Op, ParamId};
use crate::tensor::{Dtype, Shape};

/// A storage of a [`Plan`](super::Plan).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StorageId(pub u32);

impl StorageId {
    /// Position in [`Plan::storages`](super::Plan::storages).
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Memory for one or several intermediates (the parts of a concatenation share one).
#[derive(Clone, Debug)]
pub struct Storage {
    /// Elements.
    pub len: usize,
    /// Their type.
    pub dtype: Dtype,
    /// First and last step that touches it, inclusive; an input of the graph is alive from step 0,
    /// an output to the last step.
    pub lifetime: [usize; 2],
    /// Which block of the arena holds it.
    pub block: usize,
    /// Byte at which it starts there; a multiple of [`Target::alignment`](super::Target).
    pub offset: usize,
}

impl Storage {
    /// Bytes.
    pub const fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }
}

/// Channels of a pixel that lie side by side where a view is [blocked](View::blocked): sixteen bytes
/// of halves.
pub const BLOCK: usize = 8;

/// A tensor in a storage: element `[n, c, h, w]` stands at
/// `offset + n·batch_stride + (c·H + h)·W + w`, or where the view is blocked at
/// `offset + n·batch_stride + ((c / 8·H + h)·W + w)·8 + c % 8`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct View {
    /// Where.
    pub storage: StorageId,
    /// Elements before the first.
    pub offset: usize,
    /// Elements from one sample to the next; at least the elements of a sample.
    pub batch_stride: usize,
    /// The shape of the values.
    pub shape: Shape,
    /// Whether the channels of a pixel lie side by side, [`BLOCK`] of them.
    pub blocked: bool,
}

impl View {
    /// The place of a value within its sample, of channel `c` and a pixel.
    pub const fn place(&self, c: usize, pixel: usize) -> usize {
        if self.blocked {
            (c / BLOCK * self.shape.plane() + pixel) * BLOCK + c % BLOCK
        } else {
            c * self.shape.plane() + pixel
        }
    }

    /// Elements from the first to one past the last.
    pub const fn span(&self) -> usize {
        (self.shape.n - 1) * self.batch_stride + self.shape.sample()
    }

    /// Whether its rows lie side by side, and begin and end with whole words of four values.
    pub const fn in_quads(&self) -> bool {
        !self.blocked
            && self.shape.w.is_multiple_of(4)
            && self.offset.is_multiple_of(4)
            && self.batch_stride.is_multiple_of(4)
    }

    /// Whether its samples begin and end with whole words of four values.
    pub const fn has_whole_words(&self) -> bool {
        self.shape.sample().is_multiple_of(4)
            && self.offset.is_multiple_of(4)
            && (self.shape.n == 1 || self.batch_stride.is_multiple_of(4))
    }
}

/// A resize ×2 that a convolution does while it loads its input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Upsample {
    /// The input as it is.
    #[default]
    None,
    /// Each pixel twice.
    Nearest,
    /// PyTorch's bilinear ×2 (`align_corners=False`, edges clamp).
    Bilinear,
}

/// Changes each value `v` at channel `o` before it is stored, in this order:
///
/// ```text
/// v = v · demodulation[n,o]                                 or the factors of ScaleChannels
/// v = v · gain
/// v = v + strength · noise[h,w]
/// v = v + bias[o]
/// v = activation(v)
/// v = v · activation_gain
/// v = v · scale[n,o-first,h,w] + shift[n,o-first,h,w]      for o ≥ first
/// v = v + residual[n,o,h,w]
/// v = v · output_gain
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Epilogue {
    /// `[N, O]`, f32.
    pub demodulation: Option<View>,
    /// Before noise and bias.
    pub gain: f32,
    /// `[1, 1, H, W]` and its strength.
    pub noise: Option<(ParamId, f32)>,
    /// `[O]`
    pub bias: Option<ParamId>,
    /// Applied to the biased value.
    pub activation: Activation,
    /// After the activation.
    pub activation_gain: f32,
    /// Spatial feature transform.
    pub sft: Option<Sft>,
    /// Added to the result, same shape as the output.
    pub residual: Option<View>,
    /// After the sum.
    pub output_gain: f32,
}

impl Default for Epilogue {
    fn default() -> Self {
        Self {
            demodulation: None,
            gain: 1.0,
            noise: None,
            bias: None,
            activation: Activation::Identity,
            activation_gain: 1.0,
            sft: None,
            residual: None,
            output_gain: 1.0,
        }
    }
}

/// The spatial feature transform of an [`Epilogue`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sft {
    /// `[N, O - first_channel, H, W]`
    pub scale: View,
    /// `[N, O - first_channel, H, W]`
    pub shift: View,
    /// Channels before it stay.
    pub first_channel: usize,
}

/// One kernel launch (or a fixed few): `output = epilogue(op(operands))`.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the graph node that it computes.
    pub name: String,
    /// The operation before the epilogue.
    pub op: Op,
    /// The operation's inputs, in order.
    pub operands: Vec<View>,
    /// A resize of the first of them in the loads of a convolution.
    pub upsample: Upsample,
    /// By which kernel.
    pub variant: Variant,
    /// The changes of each value before it is stored.
    pub epilogue: Epilogue,
    /// Where it goes.
    pub output: View,
    /// f32 working memory for kernels that need it, as a vector.
    pub scratch: Option<View>,
}

/// The input and geometry of a step's convolution.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Convolution {
    /// Weight and geometry; of transposed ones, padding crops.
    pub conv: Conv2d,
    /// Whether it is transposed.
    pub transposed: bool,
    /// `[N, I]`, f32: factors of the input's channels.
    pub style: Option<View>,
}

impl Step {
    /// A step of `op` by `variant`, with nothing fused into it.
    pub fn new(
        name: impl Into<String>,
        op: impl Into<Op>,
        variant: Variant,
        operands: Vec<View>,
        output: View,
    ) -> Self {
        Self {
            name: name.into(),
            op: op.into(),
            operands,
            upsample: Upsample::None,
            variant,
            epilogue: Epilogue::default(),
            output,
            scratch: None,
        }
    }

    /// The first operand.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is none.
    pub fn x(&self) -> Result<View> {
        self.operand(0)
    }

    /// Operand `index`.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many.
    pub fn operand(&self, index: usize) -> Result<View> {
        self.operands.get(index).copied().ok_or_else(|| self.misfit("an operand is missing"))
    }

    /// The shape of `x`; the output's where there is none.
    pub fn input_shape(&self) -> Shape {
        self.operands.first().map_or(self.output.shape, |x| x.shape)
    }

    /// Its operation, which must be one of type `T`.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is another.
    pub fn op<T: Of>(&self) -> Result<&T> {
        T::of(&self.op).ok_or_else(|| self.misfit("the operation is another one"))
    }

    /// The input and geometry of its convolution.
    ///
    /// # Errors
    /// [`Error::Internal`] when it does something else.
    pub fn convolution(&self) -> Result<Convolution> {
        let convolution =
            |conv: &Conv2d, transposed, style| Ok(Convolution { conv: *conv, transposed, style });
        match &self.op {
            Op::Conv2d(conv) => convolution(conv, false, None),
            Op::ModulatedConv2d(op) => convolution(&op.conv, false, Some(self.operand(1)?)),
            Op::ModulatedConvTranspose2d(op) => convolution(&op.conv, true, Some(self.operand(1)?)),
            _ => Err(self.misfit("the operation is not a convolution")),
        }
    }

    /// A step that its kernel cannot execute: a mistake of the planner.
    pub fn misfit(&self, what: &str) -> Error {
        let (variant, op) = (self.variant.name(), self.op.name());
        Error::Internal(format!("step {}: {variant} cannot compute {op}: {what}", self.name))
    }

    /// Every view that the step reads: its operands, then what its epilogue reads.
    pub fn reads(&self) -> impl Iterator<Item = View> + '_ {
        let Epilogue { demodulation, sft, residual, .. } = &self.epilogue;
        let sft = sft.iter().flat_map(|sft| [&sft.scale, &sft.shift]);
        self.operands.iter().chain(demodulation).chain(sft).chain(residual).copied()
    }

    /// Whether its output and what is added to that are [in quads](View::in_quads), so that a kernel may
    /// store four values at a time.
    pub fn in_quads(&self) -> bool {
        let Epilogue { sft, residual, .. } = &self.epilogue;
        let sft = sft.iter().flat_map(|sft| [&sft.scale, &sft.shift]);
        sft.chain(residual).chain([&self.output]).all(View::in_quads)
    }

    /// Every view but the working memory, to put another in its place.
    pub(super) fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        let Epilogue { demodulation, sft, residual, .. } = &mut self.epilogue;
        let sft = sft.iter_mut().flat_map(|sft| [&mut sft.scale, &mut sft.shift]);
        let reads = self.operands.iter_mut().chain(demodulation).chain(sft).chain(residual);
        reads.chain([&mut self.output])
    }

    /// Every parameter that the step reads.
    pub fn params(&self) -> Vec<ParamId> {
        let mut params = Vec::new();
        self.clone().visit_params(&mut |id| params.push(*id));
        params
    }

    /// Shows every parameter to `visit`, which may put another in its place.
    pub(super) fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        self.op.visit_params(visit);
        let Epilogue { noise, bias, activation, .. } = &mut self.epilogue;
        if let Some((noise, _)) = noise {
            visit(noise);
        }
        if let Some(bias) = bias {
            visit(bias);
        }
        activation.visit_params(visit);
    }
}
