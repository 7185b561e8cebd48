//! The vocabulary of a plan: steps on views of placed storages. Plain data, shared by all backends.

use crate::graph::{Activation, Conv2d, Interpolation, Padding, ParamId, Path};
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

/// A tensor in a storage: element `[n, c, h, w]` stands at
/// `offset + n·batch_stride + (c·H + h)·W + w`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct View {
    /// Where.
    pub storage: StorageId,
    /// Elements before the first.
    pub offset: usize,
    /// Elements from one sample to the next; at least the elements of a sample.
    pub batch_stride: usize,
    /// What.
    pub shape: Shape,
}

impl View {
    /// Elements from the first to one past the last.
    pub const fn span(&self) -> usize {
        (self.shape.n - 1) * self.batch_stride + self.shape.sample()
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

/// What a step computes before its [`Epilogue`]; `x` is [`Step::input`].
/// Formulas: [`Op`](crate::graph::Op).
#[derive(Clone, PartialEq, Debug)]
pub enum Compute {
    /// Convolution of `style[n,i] · upsample(x)`.
    Conv {
        /// Weight and geometry.
        conv: Conv2d,
        /// Resize ×2 of the input in the loads.
        upsample: Upsample,
        /// `[N, I]`, f32.
        style: Option<View>,
    },
    /// Transposed convolution of `style[n,i] · x`.
    ConvTranspose {
        /// Weight and geometry; padding crops.
        conv: Conv2d,
        /// `[N, I]`, f32.
        style: Option<View>,
    },
    /// All paths of an MMRB stage.
    MultiPathConv(Vec<Path>),
    /// Matrix product with a `[O, I]` weight.
    Linear(ParamId),
    /// `y[n,o] = rsqrt(Σ_{i,u,v} (W[o,i,u,v] · x[n,i])² + 1e-8)`; `x` is a style.
    Demodulate(ParamId),
    /// `x · rsqrt(mean_c(x²) + 1e-8)`
    PixelNorm,
    /// See [`Op::GroupNorm`](crate::graph::Op::GroupNorm).
    GroupNorm {
        /// Groups of consecutive channels.
        groups: usize,
        /// Added to the variance.
        epsilon: f32,
        /// `[C]`
        weight: ParamId,
    },
    /// See [`Op::LayerNorm`](crate::graph::Op::LayerNorm).
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
        /// `[C]`
        weight: ParamId,
    },
    /// See [`Op::AdaIn`](crate::graph::Op::AdaIn).
    AdaIn {
        /// Has the mean and the deviation that `x` gets.
        style: View,
        /// Added to both variances.
        epsilon: f32,
    },
    /// See [`Op::Attention`](crate::graph::Op::Attention); `x` is the query.
    Attention {
        /// Blocks of channels.
        heads: usize,
        /// Like `x`, with any number of pixels.
        key: View,
        /// Like `key`.
        value: View,
    },
    /// See [`Op::ArgMax`](crate::graph::Op::ArgMax).
    ArgMax,
    /// Rows of a `[K, C]` table; `x` holds their indices in f32.
    Embedding(ParamId),
    /// See [`Op::Upfirdn2d`](crate::graph::Op::Upfirdn2d).
    Upfirdn2d {
        /// `[kh, kw]`
        kernel: ParamId,
        /// Upsampling factor.
        up: usize,
        /// Downsampling factor.
        down: usize,
        /// Zeros before and after; negative crops.
        padding: Padding,
    },
    /// To the output's size.
    Resize {
        /// How to read between pixels.
        interpolation: Interpolation,
        /// Input pixels per output pixel, `[y, x]`.
        step: [f32; 2],
    },
    /// See [`Op::PixelShuffle`](crate::graph::Op::PixelShuffle).
    PixelShuffle(usize),
    /// See [`Op::PixelUnshuffle`](crate::graph::Op::PixelUnshuffle).
    PixelUnshuffle(usize),
    /// `x`, for the sake of the epilogue or of a copy.
    Pointwise,
    /// A `[1, C, H, W]` parameter, repeated over the batch; has no `x`.
    Constant(ParamId),
    /// See [`Op::MaxPool2d`](crate::graph::Op::MaxPool2d).
    MaxPool2d {
        /// Side of the window.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Rows and columns around the input.
        padding: usize,
    },
    /// To the output's size; see [`Op::AdaptiveAvgPool2d`](crate::graph::Op::AdaptiveAvgPool2d).
    AdaptiveAvgPool2d,
    /// See [`Op::ReflectPad`](crate::graph::Op::ReflectPad).
    ReflectPad(Padding),
}

impl Compute {
    /// Shows every parameter to `visit`, which may put another in its place.
    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        match self {
            Compute::Conv { conv, .. } | Compute::ConvTranspose { conv, .. } => {
                visit(&mut conv.weight);
            }
            Compute::MultiPathConv(paths) => {
                paths.iter_mut().for_each(|path| visit(&mut path.weight));
            }
            Compute::Linear(id)
            | Compute::Demodulate(id)
            | Compute::GroupNorm { weight: id, .. }
            | Compute::LayerNorm { weight: id, .. }
            | Compute::Embedding(id)
            | Compute::Upfirdn2d { kernel: id, .. }
            | Compute::Constant(id) => visit(id),
            Compute::PixelNorm
            | Compute::AdaIn { .. }
            | Compute::Attention { .. }
            | Compute::ArgMax
            | Compute::Resize { .. }
            | Compute::PixelShuffle(_)
            | Compute::PixelUnshuffle(_)
            | Compute::Pointwise
            | Compute::MaxPool2d { .. }
            | Compute::AdaptiveAvgPool2d
            | Compute::ReflectPad(_) => {}
        }
    }

    /// Shows every view that it reads besides `x` to `visit`, which may put another in its place.
    fn visit_views(&mut self, visit: &mut dyn FnMut(&mut View)) {
        match self {
            Compute::Conv { style, .. } | Compute::ConvTranspose { style, .. } => {
                style.iter_mut().for_each(visit);
            }
            Compute::AdaIn { style, .. } => visit(style),
            Compute::Attention { key, value, .. } => [key, value].into_iter().for_each(visit),
            _ => {}
        }
    }

    /// What it reads besides `x` and its parameters, in the order of the fields.
    pub fn reads(&self) -> impl Iterator<Item = View> {
        let views = match *self {
            Compute::Conv { style, .. } | Compute::ConvTranspose { style, .. } => [style, None],
            Compute::AdaIn { style, .. } => [Some(style), None],
            Compute::Attention { key, value, .. } => [Some(key), Some(value)],
            _ => [None, None],
        };
        views.into_iter().flatten()
    }
}

/// What happens to each value `v` at channel `o` before it is stored, in this order:
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

/// Which kernel executes a step. One name everywhere: `kernels/x.wgsl`, `gpu/ops/x.rs`, `cpu/x.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kernel {
    /// Any convolution, one thread per few outputs.
    ConvDirect,
    /// As many groups as channels.
    ConvDepthwise,
    /// Implicit matrix product.
    ConvGemm,
    /// F(4×4, 3×3) for 3×3, stride 1, dilation 1.
    ConvWinograd,
    /// Transposed convolution.
    ConvTranspose,
    /// All paths of an MMRB stage in one dispatch.
    MultiPathConv,
    /// Matrix times few vectors.
    Linear,
    /// Demodulation factors.
    Demodulate,
    /// Normalised vectors.
    PixelNorm,
    /// Normalised groups of channels.
    GroupNorm,
    /// Normalised pixels.
    LayerNorm,
    /// Mean and deviation of another tensor.
    AdaIn,
    /// Softmax attention without a matrix of all scores.
    Attention,
    /// Largest channel of each pixel.
    ArgMax,
    /// Rows of a table.
    Embedding,
    /// Filtered resampling.
    Upfirdn2d,
    /// Nearest and bilinear.
    Resize,
    /// Depth to space.
    PixelShuffle,
    /// Space to depth.
    PixelUnshuffle,
    /// Only an epilogue.
    Pointwise,
    /// A parameter as an activation.
    Constant,
    /// Largest values of windows.
    MaxPool,
    /// Means of windows.
    AdaptiveAvgPool,
    /// Mirrored borders.
    ReflectPad,
}

impl Kernel {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::ConvDirect => "conv_direct",
            Kernel::ConvDepthwise => "conv_depthwise",
            Kernel::ConvGemm => "conv_gemm",
            Kernel::ConvWinograd => "conv_winograd",
            Kernel::ConvTranspose => "conv_transpose",
            Kernel::MultiPathConv => "multi_path_conv",
            Kernel::Linear => "linear",
            Kernel::Demodulate => "demodulate",
            Kernel::PixelNorm => "pixel_norm",
            Kernel::GroupNorm => "group_norm",
            Kernel::LayerNorm => "layer_norm",
            Kernel::AdaIn => "ada_in",
            Kernel::Attention => "attention",
            Kernel::ArgMax => "arg_max",
            Kernel::Embedding => "embedding",
            Kernel::Upfirdn2d => "upfirdn2d",
            Kernel::Resize => "resize",
            Kernel::PixelShuffle => "pixel_shuffle",
            Kernel::PixelUnshuffle => "pixel_unshuffle",
            Kernel::Pointwise => "pointwise",
            Kernel::Constant => "constant",
            Kernel::MaxPool => "max_pool",
            Kernel::AdaptiveAvgPool => "adaptive_avg_pool",
            Kernel::ReflectPad => "reflect_pad",
        }
    }
}

/// One kernel launch (or a fixed few): `output = epilogue(compute(input))`.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the graph node that it computes.
    pub name: String,
    /// What.
    pub compute: Compute,
    /// By which kernel.
    pub kernel: Kernel,
    /// `x`; none for [`Compute::Constant`].
    pub input: Option<View>,
    /// Which of the kernel's tiles computes it; none leaves that to the kernel's host side.
    pub tile: Option<usize>,
    /// What happens to each value before it is stored.
    pub epilogue: Epilogue,
    /// Where it goes.
    pub output: View,
    /// f32 working memory for kernels that need it, as a vector.
    pub scratch: Option<View>,
}

impl Step {
    /// The shape of `x`; the output's where there is none.
    pub fn input_shape(&self) -> Shape {
        self.input.map_or(self.output.shape, |x| x.shape)
    }

    /// Every view that the step reads.
    pub fn reads(&self) -> impl Iterator<Item = View> + '_ {
        let sft = self.epilogue.sft.iter().flat_map(|s| [s.scale, s.shift]);
        [self.input, self.epilogue.demodulation, self.epilogue.residual]
            .into_iter()
            .flatten()
            .chain(self.compute.reads())
            .chain(sft)
    }

    /// Every parameter that the step reads.
    pub fn params(&self) -> Vec<ParamId> {
        let mut params = Vec::new();
        self.clone().visit_params(&mut |id| params.push(*id));
        params
    }

    /// Shows every parameter to `visit`, which may put another in its place.
    pub(super) fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        self.compute.visit_params(visit);
        let Epilogue { noise, bias, activation, .. } = &mut self.epilogue;
        if let Some((noise, _)) = noise {
            visit(noise);
        }
        if let Some(bias) = bias {
            visit(bias);
        }
        if let Activation::Prelu(slopes) = activation {
            visit(slopes);
        }
    }

    /// Shows every view but the working memory to `visit`, which may put another in its place.
    pub(super) fn visit_views(&mut self, visit: &mut dyn FnMut(&mut View)) {
        self.compute.visit_views(visit);
        let Epilogue { demodulation, residual, sft, .. } = &mut self.epilogue;
        let sft = sft.iter_mut().flat_map(|s| [&mut s.scale, &mut s.shift]);
        let views = [&mut self.input, demodulation, residual].into_iter().flatten();
        views.chain(sft).chain([&mut self.output]).for_each(visit);
    }
}
