//! Blocks of VQGAN, of which RestoreFormer and CodeFormer are made, and the choice of codes.

use super::find::{Found, Layer, Spec, near};
use super::graph::{Graph, Id, Op, Resize};
use super::{Array, Mapped};

/// Groups of every group norm.
const GROUPS: usize = 32;
/// What every group norm adds to the variance.
const EPSILON: f32 = 1e-6;

/// Two convolutions with a norm before each, and a third where the channels change.
#[derive(Clone, Debug)]
pub(super) struct ResBlock {
    layers: [Layer; 4],
    shortcut: Option<Layer>,
}

/// Attention between pixels.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    norm: Layer,
    /// Query, key, value, and what follows.
    layers: [Layer; 4],
    pub heads: usize,
    /// The norm of another picture, which the query is made of, and that picture.
    pub query: Option<(Layer, Id)>,
}

/// What stands in an encoder or a decoder.
#[derive(Clone, Debug)]
pub(super) enum Block {
    Residual(ResBlock),
    Attention(Attention),
    /// A convolution that halves the size.
    Down(Layer),
    /// A convolution after each pixel became four.
    Up(Layer),
    Norm(Layer),
    Conv(Layer),
}

/// A block, what it gives and what it was given.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub block: Block,
    pub at: Id,
    pub from: Id,
}

impl Graph {
    /// The scale and shift of a group norm, and what was normalised.
    pub(super) fn group_norm(&self, at: Id) -> Found<(Layer, Id)> {
        let expected = "a group norm of 32 groups";
        if let (&Op::GroupNorm { groups: GROUPS, epsilon }, &[x, scale, shift]) =
            self.step(at, expected)?
            && near(epsilon, EPSILON)
            && let (Some(weight), Some(bias)) = (self.array(scale), self.array(shift))
            && weight.numel() != GROUPS
        {
            return Ok((Layer { weight: weight.clone(), bias: Some(bias.clone()) }, x));
        }
        let (shift, y) = self.plus_constant(at)?;
        let (scale, y) = self.times_constant(y)?;
        let y = self.unshaped(y);
        let (&Op::InstanceNorm(epsilon), &[x, ones, zeros]) = self.step(y, expected)? else {
            return self.miss(y, expected);
        };
        let plain = |id, value| {
            self.array(id).is_some_and(|a| a.numel() == GROUPS && a.uniform() == Some(value))
        };
        let weight = scale.reshaped(&[scale.numel()]);
        let bias = shift.reshaped(&[shift.numel()]);
        match weight {
            Some(weight) if near(epsilon, EPSILON) && plain(ones, 1.0) && plain(zeros, 0.0) => {
                Ok((Layer { weight, bias }, self.unshaped(x)))
            }
            _ => self.miss(y, expected),
        }
    }

    /// What `v · sigmoid(v)` was applied to.
    pub(super) fn swish(&self, at: Id) -> Found<Id> {
        if let Ok(x) = self.unary(at, |op| matches!(op, Op::Silu), "a swish") {
            return Ok(x);
        }
        let sigmoid = |id| self.unary(id, |op| matches!(op, Op::Sigmoid), "a sigmoid");
        match self.either(self.product(at)?, sigmoid)? {
            (inner, x) if inner == x => Ok(x),
            _ => self.miss(at, "a swish"),
        }
    }

    /// A group norm and a swish, and what they were applied to.
    pub(super) fn norm_swish(&self, at: Id) -> Found<(Layer, Id)> {
        self.group_norm(self.swish(at)?)
    }

    pub(super) fn res_block(&self, at: Id) -> Found<(ResBlock, Id)> {
        let main = |id| {
            let (conv2, y) = self.conv(id, Spec::same(3))?;
            let (norm2, y) = self.norm_swish(y)?;
            let (conv1, y) = self.conv(y, Spec::same(3))?;
            let (norm1, x) = self.norm_swish(y)?;
            Ok(([norm1, conv1, norm2, conv2], x))
        };
        let ((layers, x), other) = self.either(self.sum(at)?, main)?;
        if self.unshaped(other) == x {
            return Ok((ResBlock { layers, shortcut: None }, x));
        }
        let (shortcut, from) = self.conv(other, Spec::same(1))?;
        match self.unshaped(from) == x {
            true => Ok((ResBlock { layers, shortcut: Some(shortcut) }, x)),
            false => self.miss(from, "the block's input"),
        }
    }

    /// What stands before reshapes and products with numbers, and their product.
    pub(super) fn unscaled(&self, mut at: Id) -> (f32, Id) {
        let mut scale = 1.0;
        loop {
            at = self.unshaped(at);
            match self.scaled(at) {
                Ok((factor, x)) => {
                    scale *= factor;
                    at = x;
                }
                Err(_) => return (scale, at),
            }
        }
    }

    /// Query, key and value of an attention, and the factor of their products.
    pub(super) fn attention_of(&self, at: Id) -> Found<([Id; 3], f32)> {
        let [a, b] = self.matmul(self.unshaped(at))?;
        let weights = |id| {
            let id = self.unshaped(id);
            self.unary(id, |op| matches!(op, Op::Softmax), "the weights of an attention")
        };
        let (products, value) = self.either([a, b], weights)?;
        let (outer, products) = self.unscaled(products);
        let [query, key] = self.matmul(products)?;
        let ((of_query, query), (of_key, key)) = (self.unscaled(query), self.unscaled(key));
        Ok(([query, key, self.unshaped(value)], outer * of_query * of_key))
    }

    /// Heads of an attention of so many channels, whose products are divided by the root of a head's.
    pub(super) fn heads(&self, at: Id, channels: usize, scale: f32) -> Found<usize> {
        let heads = (channels as f64 * f64::from(scale) * f64::from(scale)).round();
        let expected = (heads / channels as f64).sqrt() as f32;
        match heads >= 1.0 && near(scale, expected) && channels.is_multiple_of(heads as usize) {
            true => Ok(heads as usize),
            false => self.miss(at, "an attention with heads of as many channels"),
        }
    }

    pub(super) fn attention(&self, at: Id) -> Found<(Attention, Id)> {
        let main = |id| {
            let (projection, y) = self.conv(id, Spec::same(1))?;
            Ok((projection, self.attention_of(y)?))
        };
        let ((projection, ([query, key, value], scale)), x) = self.either(self.sum(at)?, main)?;
        let point = |id| self.conv(id, Spec::same(1));
        let ((query, of_query), (key, of_key), (value, of_value)) =
            (point(query)?, point(key)?, point(value)?);
        let (norm, from) = self.group_norm(of_key)?;
        if of_key != of_value || from != self.unshaped(x) {
            return self.miss(of_key, "keys and values of the block's input");
        }
        let other = match of_query == of_key {
            true => None,
            false => Some(self.group_norm(of_query)?),
        };
        let channels = query.weight.dims().first().copied().unwrap_or_default();
        let heads = self.heads(at, channels, scale)?;
        let layers = [query, key, value, projection];
        Ok((Attention { norm, layers, heads, query: other }, from))
    }

    /// A block of an encoder or a decoder.
    pub(super) fn block(&self, at: Id) -> Found<Step> {
        let step = |block, from| Ok(Step { block, at, from: self.unshaped(from) });
        let mut miss = match self.res_block(at) {
            Ok((block, x)) => return step(Block::Residual(block), x),
            Err(miss) => miss,
        };
        match self.attention(at) {
            Ok((block, x)) => return step(Block::Attention(block), x),
            // The one that was followed further says more.
            Err(other) if other.at < miss.at => miss = other,
            Err(_) => {}
        }
        if let Ok((norm, x)) = self.group_norm(at) {
            return step(Block::Norm(norm), x);
        }
        let odd = Spec::same(3).stride(2).padding([0, 0, 1, 1]);
        if let Ok((conv, x)) = self.conv(at, odd) {
            return step(Block::Down(conv), x);
        }
        if let Ok((conv, y)) = self.conv(at, odd.padding([0; 4]))
            && let Ok(x) = self.unary(y, |op| matches!(op, Op::Pad(Some([0, 0, 1, 1]))), "zeros")
        {
            return step(Block::Down(conv), x);
        }
        match self.conv(at, Spec::same(3)) {
            Ok((conv, y)) => match self.resized(y, Resize::Nearest, 2.0) {
                Ok(x) => step(Block::Up(conv), x),
                Err(_) => step(Block::Conv(conv), y),
            },
            Err(_) => Err(miss),
        }
    }

    /// The blocks between `at` and what `ends` knows, the last one first, and what is known.
    pub(super) fn blocks(&self, mut at: Id, ends: impl Fn(Id) -> bool) -> Found<(Vec<Step>, Id)> {
        let mut steps = Vec::new();
        while !ends(at) {
            let step = self.block(at)?;
            at = step.from;
            steps.push(step);
        }
        Ok((steps, at))
    }

    /// The table `[K, C]` of which rows were picked, and what tells which.
    pub(super) fn codes(&self, at: Id) -> Found<(Array, Id)> {
        let at = self.unshaped(at);
        match self.step(at, "rows of a table")? {
            // One-hot rows times the table.
            (Op::Linear, &[choice, table]) => match self.array(table) {
                Some(table) => match table.transposed(&[1, 0]) {
                    Some(table) => Ok((table, choice)),
                    None => self.miss(at, "a table of codes"),
                },
                None => self.miss(at, "a constant table of codes"),
            },
            (Op::Gather, &[table, choice]) => match self.array(table) {
                Some(table) => Ok((table.clone(), choice)),
                None => self.miss(at, "a constant table of codes"),
            },
            _ => self.miss(at, "rows of a table of codes"),
        }
    }

    /// The nearest layer behind `at`, on any way, that `is` selects.
    pub(super) fn behind(&self, at: Id, is: impl Fn(&Op, &[Id]) -> bool) -> Option<Id> {
        let mut open = std::collections::BTreeSet::from([at]);
        // Layers use earlier ones: the last of the open ones is seen once.
        while let Some(id) = open.pop_last() {
            let node = self.node(id)?;
            if is(&node.op, &node.inputs) {
                return Some(id);
            }
            open.extend(&node.inputs);
        }
        None
    }
}

impl Mapped {
    /// A residual block, whose shortcut is called so.
    pub(super) fn res_block(&mut self, name: &str, block: ResBlock, shortcut: &str) {
        for (part, layer) in ["norm1", "conv1", "norm2", "conv2"].into_iter().zip(block.layers) {
            self.layer(&format!("{name}.{part}"), layer);
        }
        if let Some(layer) = block.shortcut {
            self.layer(&format!("{name}.{shortcut}"), layer);
        }
    }

    /// An attention block, whose norm is called so.
    pub(super) fn attention(&mut self, name: &str, block: Attention, norm: &str) {
        self.layer(&format!("{name}.{norm}"), block.norm);
        if let Some((layer, _)) = block.query {
            self.layer(&format!("{name}.norm2"), layer);
        }
        for (part, layer) in ["q", "k", "v", "proj_out"].into_iter().zip(block.layers) {
            self.layer(&format!("{name}.{part}"), layer);
        }
    }
}
