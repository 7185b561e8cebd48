//! `multi_path_conv`: one stage of a mixed multi-path residual block. All paths read the same
//! input; their outputs stand one after the other.

use super::conv_direct::{Direct, Weight};
use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::MultiPathConv;
use crate::plan::Step;

/// Makes its twin ready to run.
pub fn twin(step: &Step, graph: &Graph) -> Result<Ready> {
    let paths = weights(step, graph)?;
    Ok(Ready::new(paths.iter().map(Weight::memory).sum(), move |io| {
        let paths: Vec<_> = paths.iter().map(Weight::direct).collect();
        run(&paths, io.x(), io.epilogue, io.output);
    }))
}

/// The weights of its paths.
pub fn weights(step: &Step, graph: &Graph) -> Result<Vec<Weight>> {
    let MultiPathConv(paths) = step.op()?;
    paths.iter().map(|path| Weight::of_path(path, step, graph)).collect()
}

/// The twin: path by path.
pub fn run(paths: &[Direct], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let width = output.shape.w;
    output.fill_planes(|n, o, plane| {
        let mut first = 0;
        for path in paths {
            if (first..first + path.dims[0]).contains(&o) {
                path.plane(x, None, [n, o - first], width, plane);
            }
            first += path.dims[0];
        }
        epilogue.apply(n, o, 0, plane);
    });
}
