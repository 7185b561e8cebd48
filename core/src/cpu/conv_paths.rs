//! `conv_paths`: one stage of a mixed multi-path residual block, some paths at a time. Its twin is
//! [`multi_path_conv`](super::multi_path_conv).

use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::multi_path_conv::weights;
use super::tensor::{Tensor, TensorMut};
use super::workspace::Workspace;
use super::{conv_gemm, conv_small, conv_winograd};
use crate::error::Result;
use crate::graph::Graph;
use crate::plan::{PathForm, PathRun, Step, Variant};

/// Neighbouring paths with their weights packed.
enum Packed {
    Gemm(conv_gemm::Packed),
    Small(conv_small::Packed),
    Winograd(conv_winograd::Packed),
}

impl Packed {
    fn memory(&self) -> usize {
        match self {
            Self::Gemm(packed) => packed.memory(),
            Self::Small(packed) => packed.memory(),
            Self::Winograd(packed) => packed.memory(),
        }
    }

    fn run(&self, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut, workspace: &Workspace) {
        match self {
            Self::Gemm(packed) => packed.run(x, None, epilogue, output, workspace),
            Self::Small(packed) => packed.run(x, None, epilogue, output, workspace),
            Self::Winograd(packed) => packed.run(x, None, epilogue, output, workspace),
        }
    }
}

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let Variant::ConvPaths(runs) = &step.variant else {
        return Err(step.misfit("its paths have no forms"));
    };
    let weights = weights(step, graph)?;
    let mut rest: Vec<_> = weights.iter().map(|weight| weight.direct()).collect();
    let mut parts = Vec::new();
    for &PathRun { paths, form } in runs {
        if paths == 0 || paths > rest.len() {
            return Err(step.misfit("its forms are for other paths"));
        }
        let paths: Vec<_> = rest.drain(..paths).collect();
        let outputs: usize = paths.iter().map(|path| path.dims[0]).sum();
        let packed = match (form, &paths[..]) {
            (PathForm::Gemm, paths) => Packed::Gemm(conv_gemm::Packed::of_paths(paths)),
            (PathForm::Small, paths) => Packed::Small(conv_small::Packed::of_paths(paths)),
            (PathForm::Winograd, [path]) if conv_winograd::fits(&path.conv, path.dims) => {
                Packed::Winograd(conv_winograd::Packed::new(path))
            }
            (PathForm::Winograd, _) => return Err(step.misfit("a path is not 3×3")),
        };
        parts.push((outputs, packed));
    }
    if !rest.is_empty() {
        return Err(step.misfit("some of its paths have no form"));
    }
    let memory = parts.iter().map(|(_, part)| part.memory()).sum();
    Ok(Ready::new(memory, move |io| {
        let (x, mut first) = (io.x(), 0);
        for (outputs, part) in &parts {
            let mut output = io.output.channels(first..first + outputs);
            part.run(x, &io.epilogue.from(first), &mut output, io.workspace);
            first += outputs;
        }
    }))
}
