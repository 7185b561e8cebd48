//! The kernels of a plan, ready to run: one match from [`Kernel`] to code.

use super::arena::Operands;
use super::conv_direct::Direct;
use super::convolution::Convolution;
use super::tensor::Tensor;
use super::upfirdn2d::Filter;
use super::workspace::Workspace;
use super::{
    ada_in, adaptive_avg_pool, arg_max, attention, constant, conv_depthwise, conv_transpose,
    conv_winograd, demodulate, embedding, epilogue, group_norm, layer_norm, linear, max_pool,
    multi_path_conv, pixel_norm, pixel_shuffle, pixel_unshuffle, pointwise, reflect_pad, resize,
    upfirdn2d,
};
use crate::error::{Error, Result};
use crate::graph::{Conv2d, Graph, Interpolation, Padding, ParamId, Path};
use crate::plan::{Compute, Kernel, Layout, Step, Upsample, pack};

/// What a step computes, with its weights in the layout that its kernel wants.
enum Work {
    Direct {
        conv: Conv2d,
        upsample: Upsample,
        weight: Weight,
    },
    Depthwise {
        conv: Conv2d,
        upsample: Upsample,
        weight: Weight,
    },
    Convolution(Convolution),
    Transpose {
        conv: Conv2d,
        weight: Weight,
    },
    TransposeFast(conv_transpose::Packed),
    MultiPath(Vec<(Path, Weight)>),
    /// How many channels, and what computes them.
    MultiPathFast(Vec<(usize, Convolution)>),
    Linear(Vec<f32>),
    LinearFast(Vec<f32>),
    Demodulate(Vec<f32>),
    PixelNorm,
    GroupNorm {
        groups: usize,
        epsilon: f32,
        weight: Vec<f32>,
    },
    LayerNorm {
        epsilon: f32,
        weight: Vec<f32>,
    },
    AdaIn {
        epsilon: f32,
    },
    Attention {
        heads: usize,
    },
    AttentionFast {
        heads: usize,
    },
    ArgMax,
    Embedding(Vec<f32>),
    Upfirdn2d(Filter),
    Resize {
        interpolation: Interpolation,
        step: [f32; 2],
    },
    ResizeFast {
        interpolation: Interpolation,
        step: [f32; 2],
    },
    PixelShuffle(usize),
    PixelUnshuffle(usize),
    Pointwise,
    Constant(Vec<f32>),
    /// Kernel, stride, padding.
    MaxPool([usize; 3]),
    AdaptiveAvgPool,
    ReflectPad(Padding),
}

/// A weight `[O, I, kh, kw]` as in the checkpoint.
struct Weight {
    dims: [usize; 4],
    values: Vec<f32>,
}

impl Weight {
    fn new(graph: &Graph, id: ParamId) -> Result<Self> {
        let param = graph.param(id);
        let [o, i, kh, kw] = *param.dims else {
            return Err(Error::Internal(format!("{param:?} is no convolution's weight")));
        };
        Ok(Self { dims: [o, i, kh, kw], values: param.to_f32() })
    }

    fn direct(&self, conv: &Conv2d, upsample: Upsample) -> Direct<'_> {
        let Self { dims, values } = self;
        Direct { conv: *conv, dims: *dims, weight: values, upsample, first_channel: 0 }
    }
}

/// A step, ready to run.
pub struct Prepared {
    work: Work,
    epilogue: epilogue::Parameters,
}

impl Prepared {
    /// Packs the weights of `step` for its kernel, or with `twins` for the kernel's twin.
    ///
    /// # Errors
    /// [`Error::Internal`] when the kernel cannot compute the step.
    pub fn new(graph: &Graph, step: &Step, twins: bool) -> Result<Self> {
        let weight = |id| Weight::new(graph, id);
        let work = match (step.kernel, &step.compute) {
            (
                kernel @ (Kernel::ConvDirect
                | Kernel::ConvDepthwise
                | Kernel::ConvGemm
                | Kernel::ConvWinograd),
                Compute::Conv { conv, upsample, .. },
            ) => {
                let (conv, upsample, weight) = (*conv, *upsample, weight(conv.weight)?);
                match kernel {
                    Kernel::ConvDepthwise if !twins && weight.dims[1] == 1 => {
                        Work::Depthwise { conv, upsample, weight }
                    }
                    Kernel::ConvWinograd if !twins && conv_winograd::fits(&conv, weight.dims) => {
                        let direct = weight.direct(&conv, upsample);
                        Work::Convolution(Convolution::winograd(&direct))
                    }
                    Kernel::ConvGemm if !twins => {
                        let direct = weight.direct(&conv, upsample);
                        Work::Convolution(Convolution::products(&[direct], step.output.shape))
                    }
                    _ if twins || kernel == Kernel::ConvDirect => {
                        Work::Direct { conv, upsample, weight }
                    }
                    _ => return Err(misfit(step)),
                }
            }
            (Kernel::ConvTranspose, Compute::ConvTranspose { conv, .. }) => {
                let weight = weight(conv.weight)?;
                if twins {
                    Work::Transpose { conv: *conv, weight }
                } else {
                    let direct = weight.direct(conv, Upsample::None);
                    Work::TransposeFast(conv_transpose::Packed::new(&direct))
                }
            }
            (Kernel::MultiPathConv, Compute::MultiPathConv(paths)) => {
                let paths = (paths.iter())
                    .map(|path| Ok((*path, weight(path.weight)?)))
                    .collect::<Result<Vec<_>>>()?;
                if twins {
                    Work::MultiPath(paths)
                } else {
                    let shape = step.output.shape;
                    Work::MultiPathFast(Convolution::of_paths(&direct_paths(&paths), shape))
                }
            }
            (Kernel::Linear, Compute::Linear(id)) => {
                let values = graph.param(*id).to_f32();
                if twins { Work::Linear(values) } else { Work::LinearFast(values) }
            }
            (Kernel::Demodulate, Compute::Demodulate(id)) => {
                Work::Demodulate(pack(graph.param(*id), Layout::TapSquares))
            }
            (Kernel::PixelNorm, Compute::PixelNorm) => Work::PixelNorm,
            (Kernel::GroupNorm, &Compute::GroupNorm { groups, epsilon, weight }) => {
                Work::GroupNorm { groups, epsilon, weight: graph.param(weight).to_f32() }
            }
            (Kernel::LayerNorm, &Compute::LayerNorm { epsilon, weight }) => {
                Work::LayerNorm { epsilon, weight: graph.param(weight).to_f32() }
            }
            (Kernel::AdaIn, &Compute::AdaIn { epsilon, .. }) => Work::AdaIn { epsilon },
            (Kernel::Attention, &Compute::Attention { heads, .. }) if twins => {
                Work::Attention { heads }
            }
            (Kernel::Attention, &Compute::Attention { heads, .. }) => Work::AttentionFast { heads },
            (Kernel::ArgMax, Compute::ArgMax) => Work::ArgMax,
            (Kernel::Embedding, Compute::Embedding(id)) => {
                Work::Embedding(graph.param(*id).to_f32())
            }
            (Kernel::Upfirdn2d, &Compute::Upfirdn2d { kernel, up, down, padding }) => {
                let param = graph.param(kernel);
                let [kh, kw] = *param.dims else { return Err(misfit(step)) };
                Work::Upfirdn2d(Filter { taps: param.to_f32(), size: [kh, kw], up, down, padding })
            }
            (Kernel::Resize, &Compute::Resize { interpolation, step }) if twins => {
                Work::Resize { interpolation, step }
            }
            (Kernel::Resize, &Compute::Resize { interpolation, step }) => {
                Work::ResizeFast { interpolation, step }
            }
            (Kernel::PixelShuffle, Compute::PixelShuffle(r)) => Work::PixelShuffle(*r),
            (Kernel::PixelUnshuffle, Compute::PixelUnshuffle(r)) => Work::PixelUnshuffle(*r),
            (Kernel::Pointwise, Compute::Pointwise) => Work::Pointwise,
            (Kernel::Constant, Compute::Constant(id)) => Work::Constant(graph.param(*id).to_f32()),
            (Kernel::MaxPool, &Compute::MaxPool2d { kernel, stride, padding }) => {
                Work::MaxPool([kernel, stride, padding])
            }
            (Kernel::AdaptiveAvgPool, Compute::AdaptiveAvgPool2d) => Work::AdaptiveAvgPool,
            (Kernel::ReflectPad, Compute::ReflectPad(padding)) => Work::ReflectPad(*padding),
            _ => return Err(misfit(step)),
        };
        Ok(Self { work, epilogue: epilogue::Parameters::new(graph, &step.epilogue) })
    }

    /// Bytes of weights.
    pub fn memory(&self) -> usize {
        let work = match &self.work {
            Work::Direct { weight, .. }
            | Work::Depthwise { weight, .. }
            | Work::Transpose { weight, .. } => size_of_val(&weight.values[..]),
            Work::Convolution(convolution) => convolution.memory(),
            Work::MultiPathFast(paths) => paths.iter().map(|(_, path)| path.memory()).sum(),
            Work::TransposeFast(packed) => packed.memory(),
            Work::MultiPath(paths) => paths.iter().map(|(_, w)| size_of_val(&w.values[..])).sum(),
            Work::Linear(values)
            | Work::LinearFast(values)
            | Work::Demodulate(values)
            | Work::GroupNorm { weight: values, .. }
            | Work::LayerNorm { weight: values, .. }
            | Work::Embedding(values)
            | Work::Constant(values) => size_of_val(&values[..]),
            Work::Upfirdn2d(filter) => size_of_val(&filter.taps[..]),
            Work::PixelNorm
            | Work::AdaIn { .. }
            | Work::Attention { .. }
            | Work::AttentionFast { .. }
            | Work::ArgMax
            | Work::Resize { .. }
            | Work::ResizeFast { .. }
            | Work::PixelShuffle(_)
            | Work::PixelUnshuffle(_)
            | Work::Pointwise
            | Work::MaxPool(_)
            | Work::AdaptiveAvgPool
            | Work::ReflectPad(_) => 0,
        };
        work + self.epilogue.memory()
    }

    /// Computes the step.
    pub fn run(&self, operands: Operands, workspace: &Workspace) {
        let Operands { x, others, epilogue, mut output } = operands;
        let epilogue = self.epilogue.bind(output.shape, epilogue);
        let (epilogue, output, style) = (&epilogue, &mut output, others.first());
        // A constant has no input, every other step has.
        let nothing = Tensor { shape: output.shape, samples: Vec::new() };
        let x = x.as_ref().unwrap_or(&nothing);
        let other = |i: usize| others.get(i).unwrap_or(&nothing);
        match &self.work {
            Work::Direct { conv, upsample, weight } => {
                weight.direct(conv, *upsample).run(x, style, epilogue, output);
            }
            Work::Depthwise { conv, upsample, weight } => {
                let conv = weight.direct(conv, *upsample);
                conv_depthwise::run(&conv, x, style, epilogue, output);
            }
            Work::Convolution(convolution) => {
                convolution.run(x, style, epilogue, output, workspace);
            }
            Work::Transpose { conv, weight } => {
                conv_transpose::run(
                    &weight.direct(conv, Upsample::None),
                    x,
                    style,
                    epilogue,
                    output,
                );
            }
            Work::TransposeFast(packed) => packed.run(x, style, epilogue, output, workspace),
            Work::MultiPath(paths) => {
                multi_path_conv::run(&direct_paths(paths), x, epilogue, output);
            }
            Work::MultiPathFast(paths) => {
                let mut first = 0;
                for (outputs, path) in paths {
                    let mut output = output.channels(first..first + outputs);
                    path.run(x, None, &epilogue.from(first), &mut output, workspace);
                    first += outputs;
                }
            }
            Work::Linear(weight) => linear::run(weight, x, epilogue, output),
            Work::LinearFast(weight) => linear::run_fast(weight, x, epilogue, output),
            Work::Demodulate(squares) => demodulate::run(squares, x, epilogue, output),
            Work::PixelNorm => pixel_norm::run(x, epilogue, output),
            Work::GroupNorm { groups, epsilon, weight } => {
                group_norm::run(*groups, *epsilon, weight, x, epilogue, output);
            }
            Work::LayerNorm { epsilon, weight } => {
                layer_norm::run(*epsilon, weight, x, epilogue, output);
            }
            Work::AdaIn { epsilon } => ada_in::run(*epsilon, x, other(0), epilogue, output),
            Work::Attention { heads } => {
                attention::run(*heads, x, [other(0), other(1)], epilogue, output);
            }
            Work::AttentionFast { heads } => {
                attention::run_fast(*heads, x, [other(0), other(1)], epilogue, output, workspace);
            }
            Work::ArgMax => arg_max::run(x, epilogue, output),
            Work::Embedding(table) => embedding::run(table, x, epilogue, output),
            Work::Upfirdn2d(filter) => upfirdn2d::run(filter, x, epilogue, output),
            Work::Resize { interpolation, step } => {
                resize::run(*interpolation, *step, x, epilogue, output);
            }
            Work::ResizeFast { interpolation, step } => {
                resize::run_fast(*interpolation, *step, x, epilogue, output);
            }
            Work::PixelShuffle(r) => pixel_shuffle::run(*r, x, epilogue, output),
            Work::PixelUnshuffle(r) => pixel_unshuffle::run(*r, x, epilogue, output),
            Work::Pointwise => pointwise::run(x, epilogue, output),
            Work::Constant(values) => constant::run(values, epilogue, output),
            Work::MaxPool(window) => max_pool::run(*window, x, epilogue, output),
            Work::AdaptiveAvgPool => adaptive_avg_pool::run(x, epilogue, output),
            Work::ReflectPad(padding) => reflect_pad::run(*padding, x, epilogue, output),
        }
    }
}

fn direct_paths(paths: &[(Path, Weight)]) -> Vec<Direct<'_>> {
    (paths.iter())
        .map(|(path, weight)| multi_path_conv::direct(path, weight.dims, &weight.values))
        .collect()
}

fn misfit(step: &Step) -> Error {
    let Step { name, kernel, compute, .. } = step;
    Error::Internal(format!("{name}: kernel {} cannot compute {compute:?}", kernel.name()))
}
