//! The layers of an ONNX model as a graph.

use std::collections::HashMap;

use crate::{
    error::{Result, short},
    structure::{Array, Graph, Id, Op, Resize, Window},
};

use super::fold::fold;
use super::model::{Model, Node};
use super::wire::bad;

struct Importer<'f> {
    graph: Graph,
    /// Of each layer of the graph, how many channels its result has, where that is known.
    channels: HashMap<Id, usize>,
    results: HashMap<&'f str, Id>,
    opset: i64,
    /// Bytes that folding may still make.
    budget: usize,
}

/// The graph of a model; `budget` bounds the bytes of folded constants.
pub(super) fn import(model: &Model<'_>, budget: usize) -> Result<Graph> {
    let mut importer = Importer {
        graph: Graph::default(),
        channels: HashMap::new(),
        results: HashMap::new(),
        opset: model.opset,
        budget,
    };
    for (name, array) in &model.constants {
        let id = importer.graph.constant(array.clone());
        importer.give(name, id)?;
    }
    for name in &model.inputs {
        // Older files list their constants here, too.
        if !importer.results.contains_key(name) {
            let id = importer.graph.add(Op::Input, Vec::new(), &format!("input {name:?}"));
            importer.give(name, id)?;
        }
    }
    for node in &model.nodes {
        importer.node(node)?;
    }
    let outputs: Option<Vec<Id>> =
        model.outputs.iter().map(|name| importer.results.get(name).copied()).collect();
    let outputs = outputs.ok_or_else(|| bad("nothing in it gives one of its outputs"))?;
    importer.graph.outputs = outputs;
    Ok(importer.graph)
}

impl<'f> Importer<'f> {
    fn give(&mut self, name: &'f str, id: Id) -> Result<()> {
        match self.results.insert(name, id) {
            None => Ok(()),
            Some(_) => Err(bad(format!("two layers give the result {:?}", short(name)))),
        }
    }

    fn node(&mut self, node: &Node<'f>) -> Result<()> {
        let mut inputs = Vec::new();
        for &name in &node.inputs {
            inputs.push(match name {
                "" => None,
                name => match self.results.get(name) {
                    Some(&id) => Some(id),
                    None => {
                        let (kind, name) = (short(node.kind), short(name));
                        return Err(bad(format!(
                            "a layer of the type {kind} uses {name:?}, which nothing before it gives"
                        )));
                    }
                },
            });
        }
        let given: Vec<Id> = inputs.iter().flatten().copied().collect();
        let label = label(node);
        if node.domain.is_empty() {
            if let Some(id) = self.alias(node, &given) {
                let first = node.outputs.first().copied().unwrap_or_default();
                return self.give(first, id);
            }
            if node.kind == "Split" {
                return self.split(node, &given, &label);
            }
            if node.kind == "Constant"
                && let Some(array) = node.value()
                && let &[name] = node.outputs.as_slice()
            {
                let id = self.graph.constant(array);
                return self.give(name, id);
            }
            if let Some(array) = self.dimension(node, &given)
                && let &[name] = node.outputs.as_slice()
            {
                let id = self.graph.constant(array);
                return self.give(name, id);
            }
            let arrays: Option<Vec<&Array>> =
                given.iter().map(|&id| self.graph.array(id)).collect();
            if let Some(arrays) = arrays.filter(|arrays| !arrays.is_empty())
                && let Some(array) = fold(node, &arrays, self.opset, &mut self.budget)
                && let &[name] = node.outputs.as_slice()
            {
                let id = self.graph.constant(array);
                return self.give(name, id);
            }
        }
        let (op, given) = match node.domain {
            "" => self.operation(node, &inputs, given),
            _ => (Op::Other, given),
        };
        let channels = self.channels(&op, &given);
        let id = self.graph.add(op, given, &label);
        if let Some(channels) = channels {
            self.channels.insert(id, channels);
        }
        for (i, &name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // What training alone would read, or a part that nothing of ours takes.
            let id = if i == 0 { id } else { self.graph.add(Op::Other, vec![id], &label) };
            self.give(name, id)?;
        }
        Ok(())
    }

    /// How many channels a layer gives, as far as what is computed from that needs it.
    fn channels(&self, op: &Op, given: &[Id]) -> Option<usize> {
        let of = |id: &Id| self.channels.get(id).copied();
        match op {
            Op::Conv(_) => self.graph.array(*given.get(1)?)?.dims().first().copied(),
            Op::Add | Op::Sub | Op::Mul | Op::Div => given.iter().find_map(of),
            Op::Leaky(_) | Op::Prelu | Op::Sigmoid | Op::Gelu | Op::Pad(Some(_)) => {
                given.first().and_then(of)
            }
            Op::PixelShuffle(factor) => given.first().and_then(of)?.checked_div(factor * factor),
            _ => None,
        }
    }

    /// The number of channels of a result that the file asks for as it runs.
    fn dimension(&self, node: &Node<'_>, given: &[Id]) -> Option<Array> {
        let ("Gather", &[shape, index]) = (node.kind, given) else { return None };
        let (Op::Shape, Some(&[x])) =
            (self.graph.op(shape)?, self.graph.node(shape).map(|node| node.inputs.as_slice()))
        else {
            return None;
        };
        let index = self.graph.array(index)?;
        let channels = i64::try_from(*self.channels.get(&x)?).ok()?;
        match index.to_ints()?.as_slice() {
            [1] if node.int("axis", 0) == 0 => Array::of_i64(index.dims().to_vec(), &[channels]),
            _ => None,
        }
    }

    /// The input of a layer that changes nothing.
    fn alias(&self, node: &Node<'_>, given: &[Id]) -> Option<Id> {
        match (node.kind, given) {
            ("Identity" | "Dropout", &[x, ..]) => Some(x),
            // Constants are cast when they are folded.
            ("Cast" | "CastLike", &[x, ..]) if self.graph.array(x).is_none() => Some(x),
            _ => None,
        }
    }

    fn split(&mut self, node: &Node<'f>, given: &[Id], label: &str) -> Result<()> {
        let of = node.outputs.len();
        let whole = given.first().and_then(|&id| self.graph.array(id)).cloned();
        let sizes = match (node.ints("split"), given) {
            (Some(sizes), _) => Some(sizes.to_vec()),
            (None, [_, sizes]) => self.graph.array(*sizes).and_then(Array::to_ints),
            _ => None,
        };
        let even =
            sizes.is_none_or(|sizes| sizes.windows(2).all(|pair| pair.first() == pair.last()));
        for (index, &name) in node.outputs.iter().enumerate() {
            // A part of a constant is one, without a copy.
            if let Some(array) = whole.as_ref().filter(|_| even && node.int("axis", 0) == 0)
                && let Some(rows) = array.dims().first().and_then(|rows| rows.checked_div(of))
                && let Some(part) = array.rows(index * rows, (index + 1) * rows)
            {
                let id = self.graph.constant(part);
                self.give(name, id)?;
                continue;
            }
            let op = match even {
                true => Op::Part { axis: node.int("axis", 0), index, of },
                false => Op::Other,
            };
            let id = self.graph.add(op, given.iter().take(1).copied().collect(), label);
            self.give(name, id)?;
        }
        Ok(())
    }

    /// What a layer computes, and from which of its inputs.
    fn operation(
        &mut self,
        node: &Node<'_>,
        inputs: &[Option<Id>],
        given: Vec<Id>,
    ) -> (Op, Vec<Id>) {
        let epsilon = node.float("epsilon", 1e-5);
        let ints = |place: usize| {
            let id = inputs.get(place).copied().flatten()?;
            self.graph.array(id)?.to_ints()
        };
        let first = || given.first().copied().into_iter().collect::<Vec<_>>();
        let op = match node.kind {
            "Conv" => window(node).map_or(Op::Other, Op::Conv),
            "ConvTranspose"
                if node.ints("output_padding").is_none_or(|p| p.iter().all(|&n| n == 0)) =>
            {
                window(node).map_or(Op::Other, Op::ConvTranspose)
            }
            "Gemm" => return self.gemm(node, given),
            "MatMul" => return self.matmul(given),
            "Relu" => Op::Leaky(0.0),
            "LeakyRelu" => Op::Leaky(node.float("alpha", 0.01)),
            "PRelu" => Op::Prelu,
            "Sigmoid" => Op::Sigmoid,
            "Swish" if node.float("alpha", 1.0) == 1.0 => Op::Silu,
            "Gelu" if node.text("approximate", "none") == "none" => Op::Gelu,
            "Erf" => Op::Erf,
            "Sqrt" => Op::Sqrt,
            "Reciprocal" => Op::Reciprocal,
            "Exp" => Op::Exp,
            "Softmax" => Op::Softmax,
            "Add" => Op::Add,
            "Sub" => Op::Sub,
            "Mul" => Op::Mul,
            "Div" => Op::Div,
            "Pow" => Op::Pow,
            "GlobalAveragePool" => Op::Mean(vec![2, 3]),
            "ReduceMean" => {
                // An input since version 18, and an attribute before.
                let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(|| ints(1));
                return (Op::Mean(axes.unwrap_or_default()), first());
            }
            "AveragePool" => average_pool(node),
            "ReduceSum" => return (Op::Sum, first()),
            "Concat" => Op::Concat(node.int("axis", 0)),
            "BatchNormalization" => Op::BatchNorm(epsilon),
            "InstanceNormalization" => Op::InstanceNorm(epsilon),
            "LayerNormalization" => Op::LayerNorm(epsilon),
            "GroupNormalization" => {
                let groups = usize::try_from(node.int("num_groups", 0)).unwrap_or_default();
                Op::GroupNorm { groups, epsilon }
            }
            "MaxPool" => max_pool(node),
            "Resize" | "Upsample" => return (self.resize(node, inputs), first()),
            "Pad" => return (pad(node, ints(1)), first()),
            "Reshape" => return (Op::Reshape(ints(1).unwrap_or_default()), first()),
            "Flatten" | "Squeeze" | "Unsqueeze" => return (Op::Reshape(Vec::new()), first()),
            // Of a batch, which is one picture.
            "Expand" | "Tile" => return (Op::Reshape(Vec::new()), first()),
            "Transpose" => {
                let order = node.ints("perm").unwrap_or_default().iter();
                Op::Transpose(order.filter_map(|&axis| usize::try_from(axis).ok()).collect())
            }
            "DepthToSpace" if node.text("mode", "DCR") == "CRD" => {
                match usize::try_from(node.int("blocksize", 0)) {
                    Ok(factor) if (1..=8).contains(&factor) => Op::PixelShuffle(factor),
                    _ => Op::Other,
                }
            }
            "Slice" => return (slice(node, [ints(1), ints(2), ints(3), ints(4)]), first()),
            "Gather" => match ints(1).as_deref() {
                Some(&[index]) => return (Op::Pick { axis: node.int("axis", 0), index }, first()),
                _ => Op::Gather,
            },
            "Shape" => Op::Shape,
            "Clip" => return (Op::Clip, first()),
            "ArgMax" | "ArgMin" => Op::ArgMax,
            "TopK" => return (Op::TopK, first()),
            _ => Op::Other,
        };
        (op, given)
    }

    /// `alpha · x · w + beta · c`, as a linear layer where it is one.
    fn gemm(&mut self, node: &Node<'_>, mut given: Vec<Id>) -> (Op, Vec<Id>) {
        let plain = node.float("alpha", 1.0) == 1.0
            && node.float("beta", 1.0) == 1.0
            && node.int("transA", 0) == 0;
        if !plain {
            return (Op::Other, given);
        }
        if node.int("transB", 0) == 0
            && let Some(weight) = given.get_mut(1)
        {
            match self.turned(*weight) {
                Some(id) => *weight = id,
                None => return (Op::Other, given),
            }
        }
        (Op::Linear, given)
    }

    fn matmul(&mut self, mut given: Vec<Id>) -> (Op, Vec<Id>) {
        if let Some(weight) = given.get_mut(1)
            && let Some(id) = self.turned(*weight)
        {
            *weight = id;
            return (Op::Linear, given);
        }
        (Op::MatMul, given)
    }

    /// A constant matrix with rows and columns exchanged.
    fn turned(&mut self, id: Id) -> Option<Id> {
        let array = self.graph.array(id)?;
        let (bytes, rank) = (array.bytes().len(), array.dims().len());
        if rank != 2 || bytes > self.budget {
            return None;
        }
        let turned = array.transposed(&[1, 0])?;
        self.budget -= bytes;
        Some(self.graph.constant(turned))
    }

    fn resize(&self, node: &Node<'_>, inputs: &[Option<Id>]) -> Op {
        let array = |place: usize| {
            let id = inputs.get(place).copied().flatten()?;
            self.graph.array(id).filter(|array| array.numel() == 4)
        };
        // Upsample, and Resize of version 10, have the factors in the second place.
        let place = if node.kind == "Upsample" || self.opset < 11 { 1 } else { 2 };
        let factors = array(place).map(Array::to_f32);
        let factor = match factors.as_deref() {
            Some(&[1.0, 1.0, height, width]) => Some([height, width]),
            _ => None,
        };
        let centres = node.text("coordinate_transformation_mode", "half_pixel");
        let half = matches!(centres, "half_pixel" | "pytorch_half_pixel");
        let mode = match node.text("mode", "nearest") {
            "nearest" if node.kind == "Upsample" => Resize::Nearest,
            "nearest" if node.text("nearest_mode", "round_prefer_floor") == "floor" => {
                if centres == "asymmetric" { Resize::Nearest } else { Resize::Other }
            }
            "nearest" if half && node.text("nearest_mode", "round_prefer_floor") != "ceil" => {
                Resize::Nearest
            }
            "linear" if half && node.int("antialias", 0) == 0 => Resize::Bilinear,
            "linear" if centres == "align_corners" && node.int("antialias", 0) == 0 => {
                Resize::Corners
            }
            "cubic" if half && node.int("antialias", 0) == 0 => Resize::Bicubic,
            _ => Resize::Other,
        };
        Op::Resize { mode, factor }
    }
}

/// The type and the name of a layer, or the name of its result where it has none.
fn label(node: &Node<'_>) -> String {
    let name = if node.name.is_empty() { node.outputs.first().copied() } else { Some(node.name) };
    format!("{} {:?}", node.kind, name.unwrap_or_default())
}

/// Two numbers that may be left out.
fn two(values: Option<&[i64]>, default: usize) -> Option<[usize; 2]> {
    match values {
        None => Some([default; 2]),
        Some(&[a, b]) => Some([usize::try_from(a).ok()?, usize::try_from(b).ok()?]),
        Some(_) => None,
    }
}

fn window(node: &Node<'_>) -> Option<Window> {
    if !matches!(node.text("auto_pad", "NOTSET"), "NOTSET" | "VALID") {
        return None;
    }
    let padding = match node.ints("pads") {
        None => [0; 4],
        Some(&[top, left, bottom, right]) => {
            let sides = [top, left, bottom, right].map(|side| usize::try_from(side).ok());
            let [top, left, bottom, right] = sides;
            [top?, left?, bottom?, right?]
        }
        Some(_) => return None,
    };
    Some(Window {
        stride: two(node.ints("strides"), 1)?,
        padding,
        dilation: two(node.ints("dilations"), 1)?,
        groups: usize::try_from(node.int("group", 1)).ok()?,
    })
}

fn max_pool(node: &Node<'_>) -> Op {
    let kernel = two(node.ints("kernel_shape"), 0);
    match (window(node), kernel) {
        (Some(window), Some(kernel)) if node.int("ceil_mode", 0) == 0 => {
            Op::MaxPool(window, kernel)
        }
        _ => Op::Other,
    }
}

/// Means of windows that do not overlap.
fn average_pool(node: &Node<'_>) -> Op {
    let kernel = two(node.ints("kernel_shape"), 0);
    match (window(node), kernel) {
        (Some(Window { stride, padding: [0, 0, 0, 0], dilation: [1, 1], .. }), Some(kernel))
            if stride == kernel && node.int("ceil_mode", 0) == 0 =>
        {
            Op::AveragePool(kernel)
        }
        _ => Op::Other,
    }
}

/// Zeros around a picture; `pads` are before and after each of its axes.
fn pad(node: &Node<'_>, pads: Option<Vec<i64>>) -> Op {
    let pads = pads.or_else(|| node.ints("pads").map(<[i64]>::to_vec));
    match (node.text("mode", "constant"), pads.as_deref()) {
        ("constant", _) if node.float("value", 0.0) != 0.0 => Op::Other,
        ("constant", Some(&[0, 0, top, left, 0, 0, bottom, right])) => {
            Op::Pad(Some([top, left, bottom, right]))
        }
        ("constant", _) => Op::Pad(None),
        ("reflect", Some(&[0, 0, top, left, 0, 0, bottom, right])) => {
            Op::Mirror([top, left, bottom, right])
        }
        _ => Op::Other,
    }
}

/// A run along one axis, from inputs or, before version 10, attributes.
fn slice(node: &Node<'_>, [starts, ends, axes, steps]: [Option<Vec<i64>>; 4]) -> Op {
    let or = |list: Option<Vec<i64>>, name| list.or_else(|| node.ints(name).map(<[i64]>::to_vec));
    let (starts, ends, axes) = (or(starts, "starts"), or(ends, "ends"), or(axes, "axes"));
    match (starts.as_deref(), ends.as_deref(), axes.as_deref(), steps.as_deref()) {
        (Some(&[start]), Some(&[_]), Some(&[axis]), None | Some(&[1])) => Op::Run { axis, start },
        (Some(&[0, 0]), Some(&[_, _]), Some(&[2, 3]), None | Some(&[1, 1])) => Op::Crop,
        _ => Op::Slice,
    }
}
