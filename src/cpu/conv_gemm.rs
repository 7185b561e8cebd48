//! `conv_gemm`: convolutions of any geometry as matrix products.
//!
//! Output pixels are cut into blocks of columns. Per block, the inputs that its pixels see are
//! gathered once (a 1×1 convolution's are copied), multiplied with the packed weights, and the
//! epilogue runs while the result is in cache.

use rayon::prelude::*;

use super::conv_direct::Direct;
use super::epilogue::Epilogue;
use super::gather::{self, Tap};
use super::matmul::{self, Block, PANEL, Panels};
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use super::workspace::Workspace;
use super::{blocks, upsample};
use crate::plan::Upsample;

/// Elements of a gathered block: with the product's, about a core's second-level cache.
const BLOCK: usize = 96 << 10;
/// Fewest and most columns of a block.
const COLUMNS: [usize; 2] = [64, 512];

/// One or several convolutions of the same input, as products.
#[derive(Clone, Debug)]
pub struct Packed {
    products: Vec<Product>,
    stride: usize,
    upsample: Upsample,
}

/// A group of output channels and what they see.
#[derive(Clone, Debug)]
struct Product {
    weights: Panels,
    taps: Vec<Tap>,
}

impl Packed {
    /// Packs `conv`.
    pub fn new(conv: &Direct) -> Self {
        Self::of_paths(std::slice::from_ref(conv))
    }

    /// Packs convolutions whose outputs follow each other. They share stride and resize; their
    /// padding goes into the taps.
    pub fn of_paths(paths: &[Direct]) -> Self {
        let products = paths.iter().flat_map(products).collect();
        let (stride, upsample) =
            paths.first().map_or((1, Upsample::None), |path| (path.conv.stride, path.upsample));
        Self { products, stride, upsample }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        self.products.iter().map(|product| product.weights.memory()).sum()
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
        if self.upsample == Upsample::None {
            return self.run_on(x, style, epilogue, output, workspace);
        }
        let shape = upsample::shape(x.shape, self.upsample);
        let mut resized = workspace.take(shape.len());
        let samples = resized.chunks_exact_mut(shape.sample()).collect();
        upsample::run(x, self.upsample, &mut TensorMut { shape, samples });
        let x = Tensor { shape, samples: resized.chunks_exact(shape.sample()).collect() };
        self.run_on(&x, style, epilogue, output, workspace);
    }

    fn run_on(
        &self,
        x: &Tensor,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        output: &mut TensorMut,
        workspace: &Workspace,
    ) {
        let width = output.shape.w;
        let outputs: Vec<_> = self.products.iter().map(|product| product.weights.rows).collect();
        let depth = self.products.iter().map(|product| product.weights.depth).max().unwrap_or(1);
        let columns = (BLOCK / depth).clamp(COLUMNS[0], COLUMNS[1]).next_multiple_of(64);
        blocks::cut(output, columns, &outputs).into_par_iter().for_each(|mut part| {
            let pixels = part.rows.first().map_or(0, |row| row.len());
            let block = Block::new(pixels);
            let Product { weights, taps } = &self.products[part.product];
            let inputs = block.len(weights.depth);
            let mut buffer = workspace.take(inputs + block.len(part.panels.len() * PANEL));
            let (b, c) = buffer.split_at_mut(inputs);
            let runs = gather::runs([part.first_pixel, pixels], width, self.stride);
            vectorize(
                #[inline(always)]
                || {
                    for (tap, row) in taps.iter().zip(b.chunks_exact_mut(block.stride)) {
                        let plane = x.plane(part.n, tap.channel);
                        let gain = style.map_or(1.0, |style| style.samples[part.n][tap.channel]);
                        let size = [x.shape.h, x.shape.w];
                        gather::fill(plane, size, gain, (&runs, self.stride), *tap, row);
                    }
                },
            );
            matmul::multiply(weights, part.panels.clone(), b, block, c);
            for (i, (y, c)) in part.rows.iter_mut().zip(c.chunks_exact(block.stride)).enumerate() {
                y.copy_from_slice(&c[..pixels]);
                epilogue.apply(part.n, part.first_output + i, part.first_pixel, y);
            }
        });
    }
}

/// One product per group of `path`.
fn products(path: &Direct) -> Vec<Product> {
    let [outputs, depth, kh, kw] = path.dims;
    let rows = outputs / path.conv.groups;
    let columns = depth * kh * kw;
    let padding = [path.conv.padding.top, path.conv.padding.left].map(|p| p as isize);
    let shift = |tap: usize, padding: isize| (tap * path.conv.dilation) as isize - padding;
    let product = |group: usize| Product {
        weights: Panels::new(&path.weight[group * rows * columns..], rows, columns),
        taps: (0..columns)
            .map(|k| Tap {
                channel: path.first_channel + group * depth + k / (kh * kw),
                shift: [shift(k / kw % kh, padding[0]), shift(k % kw, padding[1])],
            })
            .collect(),
    };
    (0..path.conv.groups).map(product).collect()
}
