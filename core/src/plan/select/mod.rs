//! Which kernel executes a step, and how. The only place that decides it: executors translate what
//! stands here, and tuning tries the candidates that add in the same order as the first.

mod patch;
mod thresholds;
mod tiles;

pub use patch::PatchTile;
pub use thresholds::{THRESHOLDS, Threshold};
pub use tiles::{CooperativeTile, DirectTile, GemmTile, PathTile, WindowTile};

use super::{
    Backend, Layout, Product, Step, Storage, Target, Upsample, Variant, are_alike, packed_len,
    products,
};
use crate::error::Result;
use crate::for_each_kernel;
use crate::graph::ops::Linears;
use crate::graph::{Conv2d, Graph, Op, Padding};
use crate::tensor::{Dtype, Shape};
use thresholds::{
    CPU_DEEP_WINOGRAD_SIZE, CPU_PATH_CHANNELS, CPU_PATH_SIZE, CPU_SMALL_STRIDED, CPU_SMALL_WIDTH,
    CPU_WINOGRAD_CHANNELS, CPU_WINOGRAD_SIZE, DEEP, GPU_GEMM_DEPTH, GPU_GEMM_INPUTS,
    GPU_GEMM_PRODUCTS, GPU_GEMM_ROWS, GPU_WINOGRAD_CHANNELS, GPU_WINOGRAD_SIZE,
};

/// How `linear` and `linears` read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LinearForm {
    /// A sample at a time, by words of four values.
    Words,
    /// Some samples at a time, value by value.
    Values,
}

/// Neighbouring paths of an MMRB stage that the CPU computes together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PathRun {
    /// How many.
    pub paths: usize,
    /// How.
    pub form: PathForm,
}

/// How the CPU computes a [`PathRun`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PathForm {
    /// As `conv_gemm`.
    Gemm,
    /// As `conv_small`.
    Small,
    /// As `conv_winograd`.
    Winograd,
}

/// The known part of a plan when a step is added to it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// For whom.
    pub target: &'a Target,
    /// Holds the parameters.
    pub graph: &'a Graph,
    /// Where operands stand.
    pub storages: &'a [Storage],
}

/// The variant for `step`: the first of its [`candidates`].
///
/// # Errors
/// [`Error::Internal`](crate::Error::Internal) when no kernel computes it.
pub fn select(step: &Step, context: Context) -> Result<Variant> {
    let first = candidates(step, context)?.into_iter().next();
    first.ok_or_else(|| step.misfit("no kernel computes it"))
}

macro_rules! candidates {
    (
        chosen $chosen:tt gpu $gpu:tt cpu $cpu:tt
        only { $($(#[$doc:meta])* $only:ident: $name:ident $wgsl:tt $(scratch $scratch:ident)?,)* }
    ) => {
        /// Every variant that can compute `step`, the one to take first.
        ///
        /// # Errors
        /// [`Error::Internal`](crate::Error::Internal) when the operation is no step of its own.
        pub fn candidates(step: &Step, context: Context) -> Result<Vec<Variant>> {
            match &step.op {
                Op::Conv2d(_) | Op::ModulatedConv2d(_) => convolutions(step, context),
                Op::ModulatedConvTranspose2d(_) => match context.target.backend {
                    Backend::Cpu => Ok(vec![Variant::ConvTranspose]),
                    Backend::Gpu => tiled(step, context),
                },
                Op::MultiPathConv(_) => paths(step, context),
                Op::Linear(_) => Ok(vec![Variant::Linear(linear(step, context.target)?)]),
                Op::Linears(op) => Ok(vec![Variant::Linears(linears(op, step, context)?)]),
                Op::WindowAttention(op) => {
                    let tile = WindowTile::new(step.input_shape().c / op.heads);
                    let tile = (context.target.backend == Backend::Gpu).then_some(tile);
                    Ok(vec![Variant::WindowAttention(tile)])
                }
                $(Op::$only(_) => Ok(vec![Variant::$only]),)*
                Op::Input(_) | Op::Concat(_) | Op::Slice(_) => {
                    Err(step.misfit("others fill its memory"))
                }
                Op::Activation(_)
                | Op::Add(_)
                | Op::Bias(_)
                | Op::Noise(_)
                | Op::Scale(_)
                | Op::ScaleChannels(_)
                | Op::Sft(_) => Err(step.misfit("it is a part of an epilogue")),
            }
        }
    };
}

for_each_kernel!(candidates);

/// Whether a convolution of a doubled input should double it in its loads. A repeated pixel costs
/// nothing to load again; four weighted ones pay only where each is loaded about twice, not nine
/// times: where they are transformed, or staged once for all taps.
pub(super) fn folds(
    conv: &Conv2d,
    upsample: Upsample,
    input: Shape,
    output: Shape,
    target: &Target,
    graph: &Graph,
) -> bool {
    upsample == Upsample::Nearest
        || algorithm(conv, upsample, input, output, target, graph) == Algorithm::Winograd
        || is_staged_once(conv, upsample, output, target, graph)
}

/// Whether `conv_patch_cooperative` is the first candidate for a convolution of halves.
fn is_staged_once(
    conv: &Conv2d,
    upsample: Upsample,
    output: Shape,
    target: &Target,
    graph: &Graph,
) -> bool {
    let param = graph.param(conv.weight);
    let (Some(matrices), &[o, i, kh, kw]) = (target.cooperative, &param.dims[..]) else {
        return false;
    };
    let product = Product::of(conv, [o, i, kh, kw], upsample, output);
    target.dtype == Dtype::F16
        && !param.exact
        && PatchTile::keep_busy(&PatchTile::family(matrices, &product, target), &product)
}

/// Which kind of kernel a convolution gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Algorithm {
    Depthwise,
    Winograd,
    Product,
    Direct,
}

/// The kind of kernel for `conv` from `input` to `output`.
fn algorithm(
    conv: &Conv2d,
    upsample: Upsample,
    input: Shape,
    output: Shape,
    target: &Target,
    graph: &Graph,
) -> Algorithm {
    if is_depthwise(conv, input, output) {
        return Algorithm::Depthwise;
    }
    let channels = input.c.min(output.c);
    let deep = channels >= DEEP;
    let [least_channels, least_size] = match target.backend {
        Backend::Cpu if deep => [CPU_WINOGRAD_CHANNELS, CPU_DEEP_WINOGRAD_SIZE],
        Backend::Cpu => [CPU_WINOGRAD_CHANNELS, CPU_WINOGRAD_SIZE],
        Backend::Gpu => [GPU_WINOGRAD_CHANNELS, GPU_WINOGRAD_SIZE],
    };
    // Transformed factors need f32, which cooperative matrices do not multiply: these compute nine
    // products in less time than others a quarter of them.
    if target.cooperative.is_none()
        && is_winograd(conv, upsample, target, graph)
        && channels >= least_channels
        && output.h.min(output.w) >= least_size
    {
        return Algorithm::Winograd;
    }
    let taps: usize = graph.param(conv.weight).dims.iter().skip(2).product();
    let inputs = input.c / conv.groups;
    let depth = inputs * taps;
    let full = output.c / conv.groups >= GPU_GEMM_ROWS
        && (GPU_GEMM_DEPTH..=GPU_GEMM_PRODUCTS).contains(&depth)
        && inputs >= GPU_GEMM_INPUTS;
    // The CPU computes as products what it does not transform.
    if full || target.backend == Backend::Cpu { Algorithm::Product } else { Algorithm::Direct }
}

fn is_depthwise(conv: &Conv2d, input: Shape, output: Shape) -> bool {
    conv.groups > 1 && conv.groups == input.c && conv.groups == output.c
}

/// Whether F(4×4, 3×3) computes it: 3×3, stride 1, dilation 1, one group; behind a bilinear resize
/// one pixel of padding, for which that transform was written.
fn is_winograd(conv: &Conv2d, upsample: Upsample, target: &Target, graph: &Graph) -> bool {
    let param = graph.param(conv.weight);
    let bytes = packed_len(param, Layout::Winograd) * size_of::<f32>();
    param.dims[2..] == [3, 3]
        && (conv.stride, conv.dilation, conv.groups) == (1, 1, 1)
        && (upsample != Upsample::Bilinear || conv.padding == Padding::all(1))
        && (target.backend == Backend::Cpu || bytes <= target.max_binding)
}

fn convolutions(step: &Step, context: Context) -> Result<Vec<Variant>> {
    let Context { target, graph, .. } = context;
    let conv = step.convolution()?.conv;
    let (input, output, upsample) = (step.input_shape(), step.output.shape, step.upsample);
    let mut kinds = vec![algorithm(&conv, upsample, input, output, target, graph)];
    let mut or = |kind, fits| {
        if fits && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    or(Algorithm::Product, true);
    or(Algorithm::Winograd, is_winograd(&conv, upsample, target, graph));
    or(Algorithm::Depthwise, is_depthwise(&conv, input, output));
    or(Algorithm::Direct, target.backend == Backend::Gpu);
    let mut candidates = Vec::new();
    for kind in kinds {
        match (kind, target.backend) {
            (Algorithm::Depthwise, _) => candidates.push(Variant::ConvDepthwise),
            (Algorithm::Winograd, _) => candidates.push(Variant::ConvWinograd),
            (Algorithm::Direct, _) => {
                let tile = |product| DirectTile::new(product, target);
                candidates.extend(products(step, graph)?.iter().map(tile).map(Variant::ConvDirect));
            }
            (Algorithm::Product, Backend::Gpu) => candidates.extend(tiled(step, context)?),
            (Algorithm::Product, Backend::Cpu) => {
                if products(step, graph)?.iter().all(|product| is_small(product, output, target)) {
                    candidates.push(Variant::ConvSmall);
                }
                candidates.push(Variant::ConvGemm(Vec::new()));
            }
        }
    }
    Ok(candidates)
}

/// The ways to tile a step of products on a GPU: by cooperative matrices where the device has them
/// and all factors are f16, then by others.
fn tiled(step: &Step, context: Context) -> Result<Vec<Variant>> {
    let Context { target, graph, storages } = context;
    let products = products(step, graph)?;
    let stored = storages.get(step.x()?.storage.index()).map(|storage| storage.dtype);
    let exact = products.iter().any(|product| graph.param(product.weight).exact);
    let halves = stored == Some(Dtype::F16) && target.dtype == Dtype::F16 && !exact;
    let mut candidates = Vec::new();
    if let Some(matrices) = target.cooperative.filter(|_| halves) {
        let family = |product: &Product| {
            let mut family = CooperativeTile::family(matrices, product, target);
            if let Some(rates) = &target.rates {
                family.sort_by(|a, b| {
                    rates.cooperative(product, a).total_cmp(&rates.cooperative(product, b))
                });
            }
            family
        };
        candidates.extend(
            transposed(products.iter().map(family).collect()).map(Variant::ConvGemmCooperative),
        );
        let family = |product: &Product| {
            let mut family = PatchTile::family(matrices, product, target);
            if let Some(rates) = &target.rates {
                let time = |tile: &PatchTile| rates.patch(product, tile);
                family.sort_by(|a, b| time(a).total_cmp(&time(b)));
            }
            family
        };
        let families: Vec<_> = products.iter().map(family).collect();
        let busy = |(family, product): (&Vec<PatchTile>, _)| PatchTile::keep_busy(family, product);
        // Paths of a stage have one launch there.
        let first = families.iter().zip(&products).all(busy) && !are_alike(&products);
        let at = if first { 0 } else { candidates.len() };
        let patches = transposed(families).map(Variant::ConvPatchCooperative);
        candidates.splice(at..at, patches);
    }
    let family = |product: &Product| {
        let mut family = GemmTile::family(product, target);
        if let Some(rates) = &target.rates {
            let time = |tile: &GemmTile| rates.gemm(product, tile, target.dtype);
            family.sort_by(|a, b| time(a).total_cmp(&time(b)));
        }
        family
    };
    candidates.extend(transposed(products.iter().map(family).collect()).map(Variant::ConvGemm));
    Ok(candidates)
}

/// From each product's tiles to the tiles of all products: first every product's first, then their
/// seconds, and so on, a product that has fewer keeping its last. None where a product has none.
fn transposed<T: Copy>(families: Vec<Vec<T>>) -> impl Iterator<Item = Vec<T>> {
    let none = families.iter().any(Vec::is_empty);
    let count = families.iter().map(Vec::len).max().filter(|_| !none).unwrap_or(0);
    (0..count).map(move |tile| {
        let nth = |family: &Vec<T>| family.get(tile).or(family.last()).copied();
        families.iter().filter_map(nth).collect()
    })
}

/// One product per path by cooperative matrices, which multiply many times faster than other
/// arithmetic; elsewhere all paths at once.
fn paths(step: &Step, context: Context) -> Result<Vec<Variant>> {
    let target = context.target;
    if target.backend == Backend::Cpu {
        return Ok(vec![Variant::ConvPaths(path_runs(step, context)?)]);
    }
    let mut candidates = tiled(step, context)?;
    let at = if target.cooperative.is_some() { candidates.len() } else { 0 };
    let tile = PathTile::new(&products(step, context.graph)?);
    candidates.insert(at, Variant::MultiPathConv(tile));
    Ok(candidates)
}

/// The undilated paths by Winograd where that is faster, those between them as products.
fn path_runs(step: &Step, context: Context) -> Result<Vec<PathRun>> {
    let (y, target) = (step.output.shape, context.target);
    let products = products(step, context.graph)?;
    let transformed = |path: &Product| {
        let Product { group_inputs, group_outputs, .. } = *path;
        (path.used_taps, path.step, path.groups, path.first_input) == ([3, 3], 1, 1, 0)
            && group_inputs.min(group_outputs) >= CPU_PATH_CHANNELS
            && y.h.min(y.w) >= CPU_PATH_SIZE
    };
    let run = |run: &[Product]| {
        let form = match run {
            [path] if transformed(path) => PathForm::Winograd,
            _ if run.iter().all(|path| is_small(path, y, target)) => PathForm::Small,
            _ => PathForm::Gemm,
        };
        PathRun { paths: run.len(), form }
    };
    Ok(products.chunk_by(|a, b| !transformed(a) && !transformed(b)).map(run).collect())
}

/// Whether vectors of channels compute it on the CPU: whether vectors of pixels would be gathered or
/// cross the ends of rows, and whether lanes have a channel each.
fn is_small(product: &Product, output: Shape, target: &Target) -> bool {
    let gathers = match product.stride {
        1 => output.w <= CPU_SMALL_WIDTH && product.taps > 1,
        _ => output.plane() <= CPU_SMALL_STRIDED,
    };
    gathers && 4 * product.group_outputs >= 3 * target.vector_lanes
}

/// Samples are read by words where they are whole, whatever the batch.
fn linear(step: &Step, target: &Target) -> Result<LinearForm> {
    let words = target.backend == Backend::Gpu && step.x()?.has_whole_words();
    Ok(if words { LinearForm::Words } else { LinearForm::Values })
}

/// As [`linear`], where all layers begin at whole words and have whole words of inputs.
fn linears(op: &Linears, step: &Step, context: Context) -> Result<LinearForm> {
    let mut form = linear(step, context.target)?;
    for layer in &op.layers {
        let [_, inputs] = op.sizes(context.graph, layer).map_err(|error| step.misfit(&error))?;
        if !layer.first.is_multiple_of(4) || !inputs.is_multiple_of(4) {
            form = LinearForm::Values;
        }
    }
    Ok(form)
}

#[cfg(test)]
mod tests;
