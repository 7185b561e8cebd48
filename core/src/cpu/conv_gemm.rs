//! `conv_gemm`: convolutions of any geometry as matrix products.
//!
//! Output pixels are cut into blocks of columns. With stride 1, what a tap sees of a channel is the
//! channel, shifted: rows of pixels are copied once with zeros around them, and the product reads
//! them at one offset per tap; a 1×1 convolution's are not even copied. Otherwise the inputs that the
//! pixels see are gathered tap by tap. The epilogue runs while the result is in cache.

use super::blocks;
use super::conv_direct::Direct;
use super::conv_direct::Weight;
use super::epilogue::Epilogue;
use super::gather::{self, Tap};
use super::kernel::Ready;
use super::matmul::{self, Block, PANEL, Panels, lanes};
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::upsample::{self, Channel};
use super::vectorize::vectorize;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Graph;
use crate::plan::Step;
use crate::plan::Upsample;
use crate::tensor::Shape;

/// Makes a convolution ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = Weight::new(step, graph)?;
    let packed = Packed::of_paths(&[weight.direct()]);
    Ok(Ready::new(packed.memory(), move |io| {
        packed.run(io.x(), io.style(), io.epilogue, io.output, io.workspace);
    }))
}

/// Elements of a gathered block: with the product's, about a core's second-level cache.
const BLOCK: usize = 96 << 10;
/// Fewest and most columns of a block.
const COLUMNS: [usize; 2] = [64, 512];
/// Elements of a block of rows copied with zeros around them, about, with the product's.
const SHIFTED_BLOCK: usize = 32 << 10;
/// Fewest columns of a picture whose rows are copied with zeros around them: those are computed for
/// nothing.
const SHIFTED_WIDTH: usize = 16;

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
        let seen = upsample::shape(x.shape, self.upsample);
        let shifted = self.is_shifted(seen, output.shape);
        if self.upsample == Upsample::None || shifted {
            return self.run_on(x, self.upsample, style, epilogue, output, workspace);
        }
        let mut resized = workspace.take(seen.len());
        let samples = resized.chunks_exact_mut(seen.sample()).collect();
        upsample::run(x, self.upsample, &mut TensorMut { shape: seen, samples });
        let x = Tensor { shape: seen, samples: resized.chunks_exact(seen.sample()).collect() };
        self.run_on(&x, Upsample::None, style, epilogue, output, workspace);
    }

    /// Whether rows of what is `seen` are copied with zeros around them.
    fn is_shifted(&self, seen: Shape, output: Shape) -> bool {
        let width = output.w;
        self.stride == 1 && width >= SHIFTED_WIDTH && seen.w <= width + width / 2
    }

    fn run_on(
        &self,
        x: &Tensor,
        upsample: Upsample,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        output: &mut TensorMut,
        workspace: &Workspace,
    ) {
        let width = output.shape.w;
        let outputs: Vec<_> = self.products.iter().map(|product| product.weights.rows).collect();
        let depth = self.products.iter().map(|product| product.weights.depth).max().unwrap_or(1);
        let columns = (BLOCK / depth).clamp(COLUMNS[0], COLUMNS[1]).next_multiple_of(64);
        let single = self.products.iter().all(Product::is_single) && self.stride == 1;
        if single && upsample == Upsample::None && x.shape.plane().is_multiple_of(lanes()) {
            // Modulated weights instead of modulated inputs, which are many more.
            let modulated: Vec<Vec<Panels>> = (style.iter())
                .flat_map(|style| &style.samples)
                .map(|style| self.products.iter().map(|product| product.modulated(style)).collect())
                .collect();
            let parts = blocks::cut(output, columns, &outputs);
            return team::for_each(parts, |part| {
                let product = &self.products[part.product];
                let modulated = modulated.get(part.n).map(|of_sample| &of_sample[part.product]);
                product.run_in_place(modulated, x, epilogue, part, workspace);
            });
        }
        if self.is_shifted(upsample::shape(x.shape, upsample), output.shape) {
            let most = outputs.iter().max().map_or(1, |outputs| outputs + x.shape.c);
            let rows = (SHIFTED_BLOCK / (most * width)).max(2);
            let parts = blocks::cut(output, rows * width, &outputs);
            return team::for_each(parts, |part| {
                let product = &self.products[part.product];
                product.run_shifted(x, upsample, style, epilogue, width, part, workspace);
            });
        }
        team::for_each(blocks::cut(output, columns, &outputs), |mut part| {
            let pixels = part.pixels();
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
            part.finish(c, [block.stride, pixels, pixels], epilogue);
        });
    }
}

impl Product {
    /// Whether each output sees one pixel, that at its own place.
    fn is_single(&self) -> bool {
        self.taps.iter().all(|tap| tap.shift == [0, 0])
    }

    /// The weights times the gains of the channels that they meet.
    fn modulated(&self, style: &[f32]) -> Panels {
        let gains: Vec<f32> = self.taps.iter().map(|tap| style[tap.channel]).collect();
        self.weights.scaled(&gains)
    }

    /// A part of a 1×1 convolution.
    fn run_in_place(
        &self,
        modulated: Option<&Panels>,
        x: &Tensor,
        epilogue: &Epilogue,
        mut part: blocks::Part,
        workspace: &Workspace,
    ) {
        let pixels = part.pixels();
        let block = Block::new(pixels);
        let weights = modulated.unwrap_or(&self.weights);
        let mut c = workspace.take(block.len(part.panels.len() * PANEL));
        let start = |tap: &Tap| tap.channel * x.shape.plane() + part.first_pixel;
        let rows: Vec<usize> = self.taps.iter().map(start).collect();
        let (panels, x) = (part.panels.clone(), x.samples[part.n]);
        // More rows than the processor would follow at once.
        for &row in &rows {
            upsample::prefetch(&x[row..row + pixels]);
        }
        matmul::multiply_rows(weights, panels, x, &rows, block, &mut c);
        part.finish(&c, [block.stride, pixels, pixels], epilogue);
    }

    /// A part, of whole rows, of a convolution with stride 1.
    #[allow(clippy::too_many_arguments)]
    fn run_shifted(
        &self,
        x: &Tensor,
        upsample: Upsample,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        width: usize,
        mut part: blocks::Part,
        workspace: &Workspace,
    ) {
        let rows = part.pixels() / width;
        let bounds = |values: &mut dyn Iterator<Item = isize>| {
            values.fold([0, 0], |[low, high], v| [v.min(low), v.max(high)])
        };
        let [top, bottom] = bounds(&mut self.taps.iter().map(|tap| tap.shift[0]));
        let [left, right] = bounds(&mut self.taps.iter().map(|tap| tap.shift[1]));
        let channels = self.taps.iter().map(|tap| tap.channel);
        let first = channels.clone().min().unwrap_or(0);
        let channels = channels.max().map_or(0, |last| last + 1 - first);
        let line = width + (right - left) as usize;
        let lines = rows + (bottom - top) as usize;
        let block = Block::new((rows - 1) * line + width);
        let inputs = channels * lines * line + block.columns + line;
        let sums = block.len(part.panels.len() * PANEL);
        let mut buffer = workspace.take(inputs + sums + x.shape.w);
        let (b, rest) = buffer.split_at_mut(inputs);
        let (c, blended) = rest.split_at_mut(sums);
        let first_row = (part.first_pixel / width) as isize;
        vectorize(
            #[inline(always)]
            || {
                for (i, b) in b.chunks_exact_mut(lines * line).take(channels).enumerate() {
                    let channel = Channel {
                        plane: x.plane(part.n, first + i),
                        size: [x.shape.h, x.shape.w],
                        upsample,
                        gain: style.map_or(1.0, |style| style.samples[part.n][first + i]),
                    };
                    for (h, to) in (first_row + top..).zip(b.chunks_exact_mut(line)) {
                        channel.row(h, left, blended, to);
                    }
                }
            },
        );
        let start = |tap: &Tap| {
            let [h, w] = [tap.shift[0] - top, tap.shift[1] - left].map(|shift| shift as usize);
            ((tap.channel - first) * lines + h) * line + w
        };
        let starts: Vec<usize> = self.taps.iter().map(start).collect();
        matmul::multiply_rows(&self.weights, part.panels.clone(), b, &starts, block, c);
        part.finish(c, [block.stride, line, width], epilogue);
    }
}

/// One product per group of `path`.
fn products(path: &Direct) -> Vec<Product> {
    let [outputs, depth, kh, kw] = path.dims;
    let rows = outputs / path.conv.groups;
    let columns = depth * kh * kw;
    let product = |group: usize| Product {
        weights: Panels::new(&path.weight[group * rows * columns..], rows, columns),
        taps: gather::taps(path, group),
    };
    (0..path.conv.groups).map(product).collect()
}
