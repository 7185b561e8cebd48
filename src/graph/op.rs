//! What a node can compute. Formulas are given per output element; `s·h + u·d - p` abbreviates
//! stride, kernel offset times dilation, minus padding.

use super::ParamId;

/// Zeros (or, for [`Op::Upfirdn2d`], negative: crops) around an input.
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
    /// The same on all four sides.
    pub const fn all(p: i32) -> Self {
        Self { top: p, bottom: p, left: p, right: p }
    }

    /// `before` above and left, `after` below and right.
    pub const fn pair(before: i32, after: i32) -> Self {
        Self { top: before, bottom: after, left: before, right: after }
    }
}

/// A convolution (cross-correlation, zero padding) with weight `[O, I/groups, kh, kw]`.
///
/// `y[n,o,h,w] = Σ_{i,u,v} W[o,i,u,v] · x[n, g(o)·I/groups + i, s·h + u·d - p, s·w + v·d - p]`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conv2d {
    /// `[O, I/groups, kh, kw]`
    pub weight: ParamId,
    /// Step between outputs, in input pixels.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Step between kernel taps, in input pixels.
    pub dilation: usize,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

impl Conv2d {
    /// Stride 1, dilation 1, one group, and the padding that keeps the size of an odd kernel.
    pub const fn same(weight: ParamId, kernel: usize) -> Self {
        Self {
            weight,
            stride: 1,
            padding: Padding::all((kernel / 2) as i32),
            dilation: 1,
            groups: 1,
        }
    }
}

/// One path of a [`Op::MultiPathConv`]: a stride-1 convolution that keeps the size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// `[C_p, channels/groups, k, k]`, `k` odd.
    pub weight: ParamId,
    /// First input channel that the path sees.
    pub first_channel: usize,
    /// Number of input channels that the path sees.
    pub channels: usize,
    /// Step between kernel taps.
    pub dilation: usize,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

/// A function of one value (PReLU: of one value and its channel).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Activation {
    /// `v`
    #[default]
    Identity,
    /// `v` if positive, else `slope · v`; slope 0 is ReLU.
    LeakyRelu(f32),
    /// Leaky ReLU with one slope per channel, a `[C]` parameter.
    Prelu(ParamId),
    /// `v · sigmoid(v)`
    Silu,
    /// `1 / (1 + e^-v)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `min(max(v, low), high)`
    Clamp(f32, f32),
}

/// How [`Op::Resize`] reads between pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interpolation {
    /// `x[⌊dst · in/out⌋]`
    Nearest,
    /// `src = max(0, (dst + ½) · step - ½)`, edges clamp (PyTorch's `align_corners=False`).
    Bilinear,
    /// `src = dst · (in - 1)/(out - 1)` (PyTorch's `align_corners=True`).
    BilinearAlignCorners,
}

/// A node's operation. `x` is its first input.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// An input of the graph.
    Input,
    /// A `[1, C, H, W]` parameter, repeated over the batch.
    Constant {
        /// `[1, C, H, W]`
        value: ParamId,
        /// Samples.
        batch: usize,
    },
    /// Convolution without bias.
    Conv2d(Conv2d),
    /// StyleGAN2's modulated convolution; inputs `x`, `style [N, I]`:
    /// `W'[n,o,i] = W[o,i] · style[n,i]`, and with `demodulate`
    /// `W' *= rsqrt(Σ_{i,u,v} W'² + 1e-8)`; then a convolution with `W'`.
    ModulatedConv2d {
        /// The convolution; `groups` is 1.
        conv: Conv2d,
        /// Whether output channels are normalised.
        demodulate: bool,
        /// Transposed instead: `y[o, s·h + u, s·w + v] += Σ_i x[i,h,w] · W'[o,i,u,v]`,
        /// padding crops the `(H-1)·s + k` rows.
        transposed: bool,
    },
    /// One stage of an MMRB: all paths read `x`, outputs are concatenated in order.
    MultiPathConv(Vec<Path>),
    /// `y[n,o] = Σ_i W[o,i] · x[n,i]` with weight `[O, I]`; `x` is flattened (C, H, W).
    Linear(ParamId),
    /// `x · rsqrt(mean_c(x²) + 1e-8)`
    PixelNorm,
    /// Insert `up - 1` zeros after every sample, pad, convolve with the `[k, k]` parameter
    /// (flipped: true convolution), keep every `down`-th sample.
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
    /// To `height × width`. `step` is the distance of two outputs in input pixels
    /// (`1/scale_factor`, or `in/out` when the size was given).
    Resize {
        /// Rows of the output.
        height: usize,
        /// Columns of the output.
        width: usize,
        /// How to read between pixels.
        interpolation: Interpolation,
        /// Input pixels per output pixel, `[y, x]`.
        step: [f32; 2],
    },
    /// `y[c, h·r+i, w·r+j] = x[c·r² + i·r + j, h, w]`
    PixelShuffle(usize),
    /// The inverse of [`Op::PixelShuffle`].
    PixelUnshuffle(usize),
    /// `activation(x)`
    Activation(Activation),
    /// `x + b[c]`
    Bias(ParamId),
    /// `x + strength · noise[h,w]`, noise `[1, 1, H, W]` for every channel and sample.
    Noise {
        /// `[1, 1, H, W]`
        noise: ParamId,
        /// One factor for all.
        strength: f32,
    },
    /// `factor · x`
    Scale(f32),
    /// `x + y`, same shape.
    Add,
    /// Spatial feature transform; inputs `x`, `scale`, `shift`: channels from `first_channel` on
    /// become `x · scale + shift`, those before stay.
    Sft {
        /// First channel that is transformed; `scale` and `shift` have the channels from there.
        first_channel: usize,
    },
    /// Along channels, in order.
    Concat,
    /// Channels `start..end`.
    Slice {
        /// First channel.
        start: usize,
        /// One past the last channel.
        end: usize,
    },
    /// `y[h,w] = max_{u,v} x[h·stride - padding + u, w·stride - padding + v]`, places outside of
    /// `x` not counted.
    MaxPool2d {
        /// Side of the window.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Rows and columns around the input; at most half of the window.
        padding: usize,
    },
    /// `y[h,w] = mean(x[⌊h·H/H'⌋..⌈(h+1)·H/H'⌉, ⌊w·W/W'⌋..⌈(w+1)·W/W'⌉])`; to a single pixel it is
    /// the mean of all.
    AdaptiveAvgPool2d {
        /// Rows of the output.
        height: usize,
        /// Columns of the output.
        width: usize,
    },
    /// Mirrored borders: `y[h,w] = x[mirror(h - top), mirror(w - left)]`, the edge not repeated.
    ReflectPad(Padding),
    /// Inputs `x` and `factor [N, C, 1, 1]`: `x · factor[n,c]`.
    ScaleChannels,
}

impl Op {
    /// The op's name in dumps, profiles and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Constant { .. } => "constant",
            Op::Conv2d(_) => "conv2d",
            Op::ModulatedConv2d { transposed: false, .. } => "modulated_conv2d",
            Op::ModulatedConv2d { transposed: true, .. } => "modulated_conv_transpose2d",
            Op::MultiPathConv(_) => "multi_path_conv",
            Op::Linear(_) => "linear",
            Op::PixelNorm => "pixel_norm",
            Op::Upfirdn2d { .. } => "upfirdn2d",
            Op::Resize { .. } => "resize",
            Op::PixelShuffle(_) => "pixel_shuffle",
            Op::PixelUnshuffle(_) => "pixel_unshuffle",
            Op::Activation(_) => "activation",
            Op::Bias(_) => "bias",
            Op::Noise { .. } => "noise",
            Op::Scale(_) => "scale",
            Op::Add => "add",
            Op::Sft { .. } => "sft",
            Op::Concat => "concat",
            Op::Slice { .. } => "slice",
            Op::MaxPool2d { .. } => "max_pool2d",
            Op::AdaptiveAvgPool2d { .. } => "adaptive_avg_pool2d",
            Op::ReflectPad(_) => "reflect_pad",
            Op::ScaleChannels => "scale_channels",
        }
    }
}
