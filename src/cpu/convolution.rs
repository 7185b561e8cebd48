//! The fast versions of a convolution, and which of them computes it.

use super::conv_direct::Direct;
use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};
use super::workspace::Workspace;
use super::{conv_gemm, conv_small, conv_winograd};
use crate::tensor::Shape;

/// Fewest channels, in and out, of a path that Winograd computes: they share what a transform costs.
const WINOGRAD_CHANNELS: usize = 16;
/// Fewest rows and columns of its output.
const WINOGRAD_SIZE: usize = 32;

/// Convolutions of one input whose outputs follow each other, with their weights packed.
#[derive(Clone, Debug)]
pub enum Convolution {
    /// Products of rows of pixels.
    Gemm(conv_gemm::Packed),
    /// Products of vectors of channels.
    Small(conv_small::Packed),
    /// One convolution, transformed.
    Winograd(conv_winograd::Packed),
}

impl Convolution {
    /// `paths` as products for an output of `shape`.
    pub fn products(paths: &[Direct], shape: Shape) -> Self {
        if paths.iter().all(|path| conv_small::fits(path, shape)) {
            Self::Small(conv_small::Packed::of_paths(paths))
        } else {
            Self::Gemm(conv_gemm::Packed::of_paths(paths))
        }
    }

    /// `path` by Winograd's algorithm, which must fit.
    pub fn winograd(path: &Direct) -> Self {
        Self::Winograd(conv_winograd::Packed::new(path))
    }

    /// The undilated ones among `paths` by Winograd where that is faster, those between them as
    /// products; each with the number of its output channels.
    pub fn of_paths(paths: &[Direct], shape: Shape) -> Vec<(usize, Self)> {
        let transformed = |path: &Direct| {
            let [outputs, inputs, ..] = path.dims;
            conv_winograd::fits(&path.conv, path.dims)
                && path.first_channel == 0
                && inputs.min(outputs) >= WINOGRAD_CHANNELS
                && shape.h.min(shape.w) >= WINOGRAD_SIZE
        };
        (paths.chunk_by(|a, b| !transformed(a) && !transformed(b)))
            .map(|paths| {
                let convolution = match paths {
                    [path] if transformed(path) => Self::winograd(path),
                    _ => Self::products(paths, shape),
                };
                (paths.iter().map(|path| path.dims[0]).sum(), convolution)
            })
            .collect()
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        match self {
            Self::Gemm(packed) => packed.memory(),
            Self::Small(packed) => packed.memory(),
            Self::Winograd(packed) => packed.memory(),
        }
    }

    /// Convolves.
    pub fn run(
        &self,
        x: &Tensor,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        output: &mut TensorMut,
        workspace: &Workspace,
    ) {
        match self {
            Self::Gemm(packed) => packed.run(x, style, epilogue, output, workspace),
            Self::Small(packed) => packed.run(x, style, epilogue, output, workspace),
            Self::Winograd(packed) => packed.run(x, style, epilogue, output, workspace),
        }
    }
}
