//! `multi_path_conv`: one stage of a mixed multi-path residual block. All paths read the same
//! input; their outputs stand one after the other.

use super::conv_direct::Direct;
use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};
use crate::graph::{Conv2d, Padding, Path};
use crate::plan::Upsample;

/// A path as a convolution; `dims` and `weight` as in the checkpoint.
pub fn direct<'a>(path: &Path, dims: [usize; 4], weight: &'a [f32]) -> Direct<'a> {
    let conv = Conv2d {
        weight: path.weight,
        stride: 1,
        padding: Padding::all((path.dilation * (dims[2] / 2)) as i32),
        dilation: path.dilation,
        groups: path.groups,
    };
    let first_channel = path.first_channel;
    Direct { conv, dims, weight, upsample: Upsample::None, first_channel }
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
