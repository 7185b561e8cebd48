//! Which kernel executes a step. The only place that decides it.

use super::{Backend, Compute, Kernel, Layout, Target, Upsample, packed_len};
use crate::graph::{Conv2d, Padding, Param};
use crate::tensor::Shape;

/// Channels from which on a quarter of the products outweighs what a transform costs at 16×16.
const DEEP: usize = 256;

/// Where the time of a convolution stops to be worth a matrix kernel or a transform.
struct Thresholds {
    /// Fewest channels, in and out, for Winograd.
    winograd_channels: usize,
    /// Fewest rows and columns of the output for Winograd, with fewer than [`DEEP`] channels and
    /// with more.
    winograd_size: [usize; 2],
    /// Fewest output channels of a group for the implicit matrix product.
    gemm_rows: usize,
    /// Fewest products per output for the implicit matrix product.
    gemm_depth: usize,
    /// Fewest input channels of a group for it.
    gemm_inputs: usize,
}

/// Measured on two AVX-512 cores for the CPU executor; for GPUs taken from the tile sizes: a 64-row
/// tile that is less than a quarter full, or 16 channels at a time that are less than half there,
/// lose to the direct kernel.
fn thresholds(backend: Backend) -> Thresholds {
    match backend {
        Backend::Cpu => Thresholds {
            winograd_channels: 8,
            // A product takes half as long for 8×8 and 16×16 pixels of up to 96 channels.
            winograd_size: [17, 16],
            gemm_rows: 1,
            gemm_depth: 1,
            gemm_inputs: 1,
        },
        Backend::Gpu => Thresholds {
            winograd_channels: 32,
            // Transformed weights take four times their memory; what they save grows with the
            // pixels that share them. Below this size GFPGAN would need 1.2 GB instead of 0.4.
            winograd_size: [256; 2],
            gemm_rows: 16,
            gemm_depth: 16,
            gemm_inputs: 8,
        },
    }
}

/// Products of an output that the matrix kernel sums at most on a GPU. It takes an iteration for
/// each, and Mesa's llvmpipe ends all loops of an invocation after 65,535, silently. No known network
/// has half as many.
const GEMM_PRODUCTS: usize = 60_000;

/// The kernel for `compute` from `input` to `output` on `target`; `params` are the graph's.
pub fn select(
    compute: &Compute,
    input: Shape,
    output: Shape,
    target: &Target,
    params: &[Param],
) -> Kernel {
    match compute {
        Compute::Conv { conv, upsample, .. } => {
            convolution(conv, *upsample, input, output, target, params)
        }
        Compute::ConvTranspose { .. } => Kernel::ConvTranspose,
        Compute::MultiPathConv(_) => Kernel::MultiPathConv,
        Compute::Linear(_) => Kernel::Linear,
        Compute::Demodulate(_) => Kernel::Demodulate,
        Compute::PixelNorm => Kernel::PixelNorm,
        Compute::GroupNorm { .. } => Kernel::GroupNorm,
        Compute::LayerNorm { .. } => Kernel::LayerNorm,
        Compute::AdaIn { .. } => Kernel::AdaIn,
        Compute::Attention { .. } => Kernel::Attention,
        Compute::ArgMax => Kernel::ArgMax,
        Compute::Embedding(_) => Kernel::Embedding,
        Compute::Upfirdn2d { .. } => Kernel::Upfirdn2d,
        Compute::Resize { .. } => Kernel::Resize,
        Compute::PixelShuffle(_) => Kernel::PixelShuffle,
        Compute::PixelUnshuffle(_) => Kernel::PixelUnshuffle,
        Compute::Pointwise => Kernel::Pointwise,
        Compute::Constant(_) => Kernel::Constant,
        Compute::MaxPool2d { .. } => Kernel::MaxPool,
        Compute::AdaptiveAvgPool2d => Kernel::AdaptiveAvgPool,
        Compute::ReflectPad(_) => Kernel::ReflectPad,
    }
}

fn convolution(
    conv: &Conv2d,
    upsample: Upsample,
    input: Shape,
    output: Shape,
    target: &Target,
    params: &[Param],
) -> Kernel {
    let limits = thresholds(target.backend);
    let taps: usize = params[conv.weight.index()].dims.iter().skip(2).product();
    if conv.groups > 1 && conv.groups == input.c && conv.groups == output.c {
        return Kernel::ConvDepthwise;
    }
    let channels = input.c.min(output.c);
    // Transformed factors need f32, which cooperative matrices do not multiply: these compute nine
    // products in less time than others a quarter of them.
    let winograd = target.cooperative.is_none()
        && is_winograd(conv, upsample, params)
        && channels >= limits.winograd_channels
        && output.h.min(output.w) >= limits.winograd_size[usize::from(channels >= DEEP)]
        && (target.backend == Backend::Cpu
            || packed_len(&params[conv.weight.index()], Layout::Winograd) * size_of::<f32>()
                <= target.max_binding);
    if winograd {
        return Kernel::ConvWinograd;
    }
    let rows = output.c / conv.groups;
    let depth = input.c / conv.groups * taps;
    let endless = target.backend == Backend::Gpu && depth > GEMM_PRODUCTS;
    if rows >= limits.gemm_rows
        && depth >= limits.gemm_depth
        && depth / taps >= limits.gemm_inputs
        && !endless
    {
        return Kernel::ConvGemm;
    }
    Kernel::ConvDirect
}

/// Whether F(4×4, 3×3) computes it: 3×3, stride 1, dilation 1, one group; behind a bilinear resize
/// one pixel of padding, for which that transform was written.
fn is_winograd(conv: &Conv2d, upsample: Upsample, params: &[Param]) -> bool {
    params[conv.weight.index()].dims[2..] == [3, 3]
        && conv.stride == 1
        && conv.dilation == 1
        && conv.groups == 1
        && (upsample != Upsample::Bilinear || conv.padding == Padding::all(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn chosen(
        weight: [usize; 4],
        geometry: impl Fn(&mut Conv2d),
        size: usize,
        t: &Target,
    ) -> Kernel {
        let mut graph = Graph::new();
        let values = vec![0.0; weight.iter().product()];
        let id = graph.add_param(Param::from_values("w", weight.to_vec(), &values));
        let mut conv = Conv2d::same(id, weight[2]);
        geometry(&mut conv);
        let input = Shape::new(1, weight[1] * conv.groups, size, size);
        let compute = Compute::Conv { conv, upsample: Upsample::None, style: None };
        select(&compute, input, input.with_channels(weight[0]), t, graph.params())
    }

    #[test]
    fn each_kind_of_convolution_has_its_kernel() {
        let gpu = Target::webgpu_defaults();
        for target in [Target::cpu(), gpu] {
            let is = |w, f: &dyn Fn(&mut Conv2d), size| chosen(w, f, size, &target);
            assert_eq!(is([64, 64, 3, 3], &|_| (), 256), Kernel::ConvWinograd);
            assert_eq!(is([64, 64, 3, 3], &|_| (), 4), Kernel::ConvGemm);
            assert_eq!(is([64, 64, 3, 3], &|c| c.stride = 2, 32), Kernel::ConvGemm);
            let bare = |c: &mut Conv2d| c.padding = Padding::all(0);
            assert_eq!(is([64, 64, 3, 3], &bare, 256), Kernel::ConvWinograd);
            assert_eq!(is([64, 64, 5, 5], &|_| (), 32), Kernel::ConvGemm);
            assert_eq!(is([64, 64, 1, 1], &|_| (), 32), Kernel::ConvGemm);
            let few =
                if target.backend == Backend::Cpu { Kernel::ConvGemm } else { Kernel::ConvDirect };
            assert_eq!(is([3, 64, 1, 1], &|_| (), 32), few);
            assert_eq!(is([64, 1, 3, 3], &|c| c.groups = 64, 32), Kernel::ConvDepthwise);
            assert_eq!(is([64, 2, 1, 1], &|c| c.groups = 32, 32), few);
        }
    }
}
