//! The layers of an ncnn model as a graph, with their weights.

use std::collections::HashMap;

use crate::{
    error::{Result, short},
    structure::{Array, Graph, Id, Op, Resize, Window},
};

use super::param::{Layer, Parameters, bad};
use super::weights::{Stored, Weights, dequantised};

/// Makes the graph; layers take their weights in turn.
pub(super) struct Importer<'f> {
    graph: Graph,
    /// What each name of the file stands for, and whether a layer used it.
    results: HashMap<&'f str, (Id, bool)>,
    weights: Weights,
    /// Whether weights were integers.
    quantised: bool,
}

/// The graph of these layers, and what should be said of it.
pub(super) fn import(layers: &[Layer], weights: Weights) -> Result<(Graph, Vec<String>)> {
    let mut importer =
        Importer { graph: Graph::default(), results: HashMap::new(), weights, quantised: false };
    for layer in layers {
        importer.layer(layer)?;
    }
    let left = importer.weights.left();
    if left > 0 {
        return Err(bad(format!(
            "the .bin file has {left} bytes more than the layers need: it belongs to another .param file"
        )));
    }
    let Importer { mut graph, results, quantised, .. } = importer;
    let mut outputs: Vec<Id> =
        results.values().filter(|(_, used)| !used).map(|&(id, _)| id).collect();
    outputs.sort_unstable();
    graph.outputs = outputs;
    let note =
        "the rounding of values to 8 bits between layers: only the weights were taken, as f32";
    Ok((graph, if quantised { vec![note.into()] } else { Vec::new() }))
}

impl<'f> Importer<'f> {
    fn layer(&mut self, layer: &'f Layer) -> Result<()> {
        let mut inputs = Vec::new();
        for name in &layer.inputs {
            let Some((id, used)) = self.results.get_mut(name.as_str()) else {
                let (layer, name) = (short(&layer.name), short(name));
                return Err(bad(format!(
                    "the layer {layer} uses {name}, which no layer before it gives"
                )));
            };
            *used = true;
            inputs.push(*id);
        }
        // Copies and results that are one thing.
        if matches!(layer.kind.as_str(), "Split" | "Noop" | "Dropout") {
            let &[x] = inputs.as_slice() else {
                return Err(bad(format!("the layer {} has not one input", short(&layer.name))));
            };
            return layer.outputs.iter().try_for_each(|name| self.give(name, x));
        }
        if layer.kind == "Slice" {
            let axis = layer.parameters.int(1, 0) + 1;
            for (index, name) in layer.outputs.iter().enumerate() {
                let part = Op::Part { axis, index, of: layer.outputs.len() };
                let id = self.graph.add(part, inputs.clone(), &label(layer));
                self.give(name, id)?;
            }
            return Ok(());
        }
        let id = self.compute(layer, inputs)?;
        match layer.outputs.as_slice() {
            [only] => self.give(only, id),
            outputs => {
                for name in outputs {
                    let id = self.graph.add(Op::Other, vec![id], &label(layer));
                    self.give(name, id)?;
                }
                Ok(())
            }
        }
    }

    fn give(&mut self, name: &'f str, id: Id) -> Result<()> {
        match self.results.insert(name, (id, false)) {
            None => Ok(()),
            Some(_) => Err(bad(format!("two layers give the result {}", short(name)))),
        }
    }

    /// Adds what the layer computes, its activation included.
    fn compute(&mut self, layer: &Layer, inputs: Vec<Id>) -> Result<Id> {
        let p = &layer.parameters;
        let label = label(layer);
        let op = match layer.kind.as_str() {
            "Input" => Op::Input,
            "Convolution" | "ConvolutionDepthWise" | "Deconvolution" | "DeconvolutionDepthWise" => {
                return self.convolution(layer, inputs);
            }
            "InnerProduct" => return self.inner_product(layer, inputs),
            "PReLU" | "BatchNorm" | "InstanceNorm" | "GroupNorm" | "LayerNorm" | "Scale"
            | "Bias" | "MemoryData" => return self.weighted(layer, inputs),
            "ReLU" => Op::Leaky(p.float(0, 0.0)),
            "Sigmoid" => Op::Sigmoid,
            "Swish" => Op::Silu,
            "GELU" => Op::Gelu,
            "Softmax" => Op::Softmax,
            "Clip" => Op::Clip,
            "Eltwise" => return self.eltwise(layer, &inputs),
            "BinaryOp" => return Ok(self.binary(layer, inputs)),
            "Concat" => Op::Concat(p.int(0, 0) + 1),
            "PixelShuffle" if p.int(1, 0) == 0 => pixels(p.int(0, 1), Op::PixelShuffle),
            "Reorg" if p.int(1, 0) == 0 => pixels(p.int(0, 1), Op::PixelUnshuffle),
            "Interp" => interp(p, &inputs),
            "Pooling" => pooling(p),
            "Padding" => padding(p),
            "Reshape" => {
                let dims = [2, 11, 1, 0].map(|id| p.int(id, -233));
                Op::Reshape(dims.into_iter().filter(|&d| d != -233).collect())
            }
            "Flatten" => Op::Reshape(vec![-1]),
            "Squeeze" | "ExpandDims" => Op::Reshape(Vec::new()),
            "Crop"
            | "Permute"
            | "Reduction"
            | "UnaryOp"
            | "Tile"
            | "Power"
            | "ELU"
            | "TanH"
            | "HardSigmoid"
            | "HardSwish"
            | "Mish"
            | "SELU"
            | "MatMul"
            | "ShuffleChannel"
            | "AbsVal"
            | "Exp"
            | "Log"
            | "LRN"
            | "MVN"
            | "Threshold"
            | "Packing"
            | "Cast"
            | "ArgMax"
            | "GridSample"
            | "Unfold"
            | "Fold"
            | "CopyTo"
            | "Einsum"
            | "YoloDetectionOutput"
            | "DetectionOutput"
            | "PriorBox"
            | "Proposal"
            | "ROIPooling"
            | "ROIAlign"
            | "SPP"
            | "Yolov3DetectionOutput"
            | "Softplus"
            | "Shrink"
            | "Diag"
            | "rife.Warp" => Op::Other,
            kind => {
                return Err(bad(format!(
                    "the layer {} is of the type {}, and it is not known how many weights such a layer \
                     has; convert the .pth that the model was made from",
                    short(&layer.name),
                    short(kind)
                )));
            }
        };
        Ok(self.graph.add(op, inputs, &label))
    }

    fn convolution(&mut self, layer: &Layer, inputs: Vec<Id>) -> Result<Id> {
        let p = &layer.parameters;
        let label = label(layer);
        let wrong = |what: &str| bad(format!("{what} of the layer {}", short(&layer.name)));
        let transposed = layer.kind.starts_with("Deconv");
        if p.int(19, 0) != 0 && !transposed {
            // Its weights are an input.
            let id = self.graph.add(Op::Other, inputs, &label);
            return self.activated(layer, id);
        }
        let size = |id: i64, default: usize| {
            p.size(id, default)
                .filter(|&n| n <= 1 << 16)
                .ok_or_else(|| wrong("a size is not sound"))
        };
        let (out, width) = (size(0, 0)?, size(1, 0)?);
        let height = size(11, width)?;
        let groups = if layer.kind.ends_with("DepthWise") { size(7, 1)? } else { 1 };
        let total = p.size(6, 0).ok_or_else(|| wrong("the number of weights is negative"))?;
        let per_channel = out.checked_mul(width * height).filter(|&n| n > 0);
        let per_channel = per_channel.ok_or_else(|| wrong("the output channels are not sound"))?;
        if total == 0 || !total.is_multiple_of(per_channel) {
            return Err(wrong("the number of weights does not fit the kernel"));
        }
        let dims = [out, total / per_channel, height, width];
        let (weight, bias) = self.kernel(layer, &dims, groups)?;
        let stride = size(3, 1)?;
        let dilation = size(2, 1)?;
        let left = p.int(4, 0);
        let top = p.int(14, left);
        let sides = [top, left, p.int(16, top), p.int(15, left)];
        let mut parts = vec![*inputs.first().ok_or_else(|| wrong("the input is missing"))?];
        parts.push(self.graph.constant(weight));
        parts.extend(bias.map(|bias| self.graph.constant(bias)));
        // Negative ones ask for as much as keeps the size.
        let padding = sides.map(usize::try_from);
        let op = match padding {
            [Ok(top), Ok(left), Ok(bottom), Ok(right)] if p.float(18, 0.0) == 0.0 => {
                let window = Window {
                    stride: [size(13, stride)?, stride],
                    padding: [top, left, bottom, right],
                    dilation: [size(12, dilation)?, dilation],
                    groups,
                };
                if transposed { Op::ConvTranspose(window) } else { Op::Conv(window) }
            }
            _ => Op::Other,
        };
        let id = self.graph.add(op, parts, &label);
        self.activated(layer, id)
    }

    /// Weights of as many rows as the first of `dims`, and their bias.
    fn kernel(
        &mut self,
        layer: &Layer,
        dims: &[usize],
        groups: usize,
    ) -> Result<(Array, Option<Array>)> {
        let p = &layer.parameters;
        let name = short(&layer.name);
        let rows = dims.first().copied().unwrap_or_default();
        let stored = self.weights.tagged(dims, &name)?;
        let biased = p.int(if layer.kind == "InnerProduct" { 1 } else { 5 }, 0) != 0;
        let bias = if biased { Some(self.weights.plain(&[rows], &name)?) } else { None };
        let term = p.int(8, 0);
        let mut scales = Vec::new();
        if term != 0 {
            let depthwise = layer.kind.ends_with("DepthWise");
            let count = match (depthwise, term % 100) {
                (true, 2) => 1,
                (true, _) => groups,
                _ => rows,
            };
            scales = self.weights.plain(&[count], &name)?.to_f32();
            self.weights.plain(&[1], &name)?;
            if term > 100 {
                self.weights.plain(&[1], &name)?;
            }
        }
        let weight = match stored {
            Stored::Floats(array) => array,
            Stored::Integers(integers) => {
                self.quantised = true;
                dequantised(&integers, dims, &scales, &name)?
            }
        };
        Ok((weight, bias))
    }

    fn inner_product(&mut self, layer: &Layer, inputs: Vec<Id>) -> Result<Id> {
        let p = &layer.parameters;
        let wrong = |what: &str| bad(format!("{what} of the layer {}", short(&layer.name)));
        let (out, total) = (p.size(0, 0).unwrap_or_default(), p.size(2, 0).unwrap_or_default());
        if out == 0 || total == 0 || !total.is_multiple_of(out) {
            return Err(wrong("the number of weights does not fit the rows"));
        }
        let (weight, bias) = self.kernel(layer, &[out, total / out], 1)?;
        let mut parts = vec![*inputs.first().ok_or_else(|| wrong("the input is missing"))?];
        parts.push(self.graph.constant(weight));
        parts.extend(bias.map(|bias| self.graph.constant(bias)));
        let id = self.graph.add(Op::Linear, parts, &label(layer));
        self.activated(layer, id)
    }

    /// The activation that a layer brings.
    fn activated(&mut self, layer: &Layer, x: Id) -> Result<Id> {
        let values = layer.parameters.floats(10);
        let op = match layer.parameters.int(9, 0) {
            0 => return Ok(x),
            1 => Op::Leaky(0.0),
            2 => Op::Leaky(values.first().copied().unwrap_or(0.0)),
            3 => Op::Clip,
            4 => Op::Sigmoid,
            _ => Op::Other,
        };
        Ok(self.graph.add(op, vec![x], &format!("the activation of {}", label(layer))))
    }

    /// Layers whose weights are plain vectors.
    fn weighted(&mut self, layer: &Layer, mut inputs: Vec<Id>) -> Result<Id> {
        let p = &layer.parameters;
        let name = short(&layer.name);
        let size = |id: i64| {
            p.size(id, 0).ok_or_else(|| bad(format!("a size of the layer {name} is negative")))
        };
        let (op, vectors) = match layer.kind.as_str() {
            "PReLU" => (Op::Prelu, vec![size(0)?]),
            "BatchNorm" => (Op::BatchNorm(p.float(1, 0.0)), vec![size(0)?; 4]),
            "InstanceNorm" => {
                let vectors = if p.int(2, 1) != 0 { vec![size(0)?; 2] } else { Vec::new() };
                (Op::InstanceNorm(p.float(1, 1e-3)), vectors)
            }
            "GroupNorm" => {
                let vectors = if p.int(3, 1) != 0 { vec![size(1)?; 2] } else { Vec::new() };
                (
                    Op::GroupNorm { groups: p.size(0, 1).unwrap_or(1), epsilon: p.float(2, 1e-3) },
                    vectors,
                )
            }
            "LayerNorm" => {
                let vectors = if p.int(2, 1) != 0 { vec![size(0)?; 2] } else { Vec::new() };
                (Op::LayerNorm(p.float(1, 1e-3)), vectors)
            }
            "Bias" => (Op::Add, vec![size(0)?]),
            "Scale" if p.int(0, 0) == -233 => (Op::Mul, Vec::new()),
            "Scale" => (Op::Mul, vec![size(0)?; 1 + usize::from(p.int(1, 0) != 0)]),
            _ => return self.memory(layer),
        };
        for (i, &count) in vectors.iter().enumerate() {
            let array = self.weights.plain(&[count], &name)?;
            let id = self.graph.constant(array);
            if matches!(op, Op::Mul) && i == 1 {
                let scaled = self.graph.add(Op::Mul, inputs, &label(layer));
                return Ok(self.graph.add(Op::Add, vec![scaled, id], &label(layer)));
            }
            inputs.push(id);
        }
        // ncnn stores slope, mean, variance, shift.
        if matches!(op, Op::BatchNorm(_))
            && let &[x, slope, mean, variance, shift] = inputs.as_slice()
        {
            inputs = vec![x, slope, shift, mean, variance];
        }
        Ok(self.graph.add(op, inputs, &label(layer)))
    }

    /// Values that are a result.
    fn memory(&mut self, layer: &Layer) -> Result<Id> {
        let name = short(&layer.name);
        let dims: Vec<usize> = [2, 11, 1, 0]
            .into_iter()
            .filter_map(|id| layer.parameters.size(id, 0).filter(|&d| d != 0))
            .collect();
        if dims.is_empty() {
            return Err(bad(format!("the layer {name} has no size")));
        }
        let array = match layer.parameters.int(21, 1) {
            0 => self.weights.floats(&dims, &name)?,
            _ => self.weights.plain(&dims, &name)?,
        };
        Ok(self.graph.constant(array))
    }

    /// Sum, product or maximum of inputs, each with a factor.
    fn eltwise(&mut self, layer: &Layer, inputs: &[Id]) -> Result<Id> {
        let label = label(layer);
        let op = match layer.parameters.int(0, 0) {
            0 => Op::Mul,
            1 => Op::Add,
            _ => Op::Other,
        };
        let factors = layer.parameters.floats(1);
        let mut parts = Vec::new();
        for (i, &input) in inputs.iter().enumerate() {
            let factor = factors.get(i).copied().unwrap_or(1.0);
            parts.push(match (factor == 1.0, Array::filled(1, factor)) {
                (false, Some(factor)) if matches!(op, Op::Add) => {
                    let factor = self.graph.constant(factor);
                    self.graph.add(Op::Mul, vec![input, factor], &label)
                }
                _ => input,
            });
        }
        let mut parts = parts.into_iter();
        let Some(mut total) = parts.next() else {
            return Err(bad(format!("the layer {} has no input", short(&layer.name))));
        };
        for part in parts {
            total = self.graph.add(op.clone(), vec![total, part], &label);
        }
        Ok(total)
    }

    fn binary(&mut self, layer: &Layer, mut inputs: Vec<Id>) -> Id {
        let p = &layer.parameters;
        if p.int(1, 0) != 0
            && let Some(number) = Array::filled(1, p.float(2, 0.0))
        {
            inputs.push(self.graph.constant(number));
        }
        let op = match p.int(0, 0) {
            0 => Op::Add,
            1 => Op::Sub,
            2 => Op::Mul,
            3 => Op::Div,
            6 => Op::Pow,
            _ => Op::Other,
        };
        self.graph.add(op, inputs, &label(layer))
    }
}

fn label(layer: &Layer) -> String {
    format!("{} {}", layer.kind, layer.name)
}

fn pixels(factor: i64, op: impl Fn(usize) -> Op) -> Op {
    match usize::try_from(factor) {
        Ok(factor) if (1..=8).contains(&factor) => op(factor),
        _ => Op::Other,
    }
}

fn interp(p: &Parameters, inputs: &[Id]) -> Op {
    let mode = match p.int(0, 0) {
        1 => Resize::Nearest,
        2 if p.int(6, 0) == 0 => Resize::Bilinear,
        3 if p.int(6, 0) == 0 => Resize::Bicubic,
        _ => Resize::Other,
    };
    let sized = p.int(3, 0) != 0 || p.int(4, 0) != 0 || inputs.len() > 1;
    let factor = (!sized).then(|| [p.float(1, 1.0), p.float(2, 1.0)]);
    Op::Resize { mode, factor }
}

fn pooling(p: &Parameters) -> Op {
    let of = |id: i64, default: i64| usize::try_from(p.int(id, default)).ok();
    let window = (|| {
        let width = of(1, 0)?;
        let stride = of(2, 1)?;
        let left = p.int(3, 0);
        let top = p.int(13, left);
        let sides = [top, left, p.int(15, top), p.int(14, left)];
        let [top, left, bottom, right] = sides.map(|side| usize::try_from(side).ok());
        let padding = [top?, left?, bottom?, right?];
        let stride = [of(12, p.int(2, 1))?, stride];
        let window = Window { stride, padding, dilation: [1; 2], groups: 1 };
        Some(Op::MaxPool(window, [of(11, p.int(1, 0))?, width]))
    })();
    // Of the largest value in each window, with sizes rounded down (mode 1).
    let plain = p.int(0, 0) == 0 && p.int(4, 0) == 0 && p.int(7, 0) == 0;
    window.filter(|_| plain).unwrap_or(Op::Other)
}

fn padding(p: &Parameters) -> Op {
    let zeros = p.int(4, 0) == 0 && p.float(5, 0.0) == 0.0;
    match zeros && p.int(7, 0) == 0 && p.int(8, 0) == 0 {
        true => Op::Pad(Some([p.int(0, 0), p.int(2, 0), p.int(1, 0), p.int(3, 0)])),
        false => Op::Other,
    }
}
