//! RestoreFormer: a VQGAN whose decoder attends to the features of the degraded face.

use super::Mapped;
use super::find::{Found, Spec};
use super::graph::{Graph, Id, Op};
use super::vqgan::{Block, Step};

/// Heads that the engine takes where nothing tells: those of the public RestoreFormer, and of
/// RestoreFormer++, which attends on several levels.
const HEADS: [usize; 2] = [8, 4];

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let output = graph.outputs.first().copied().unwrap_or_default();
    let (last, x) = graph.conv(output, Spec::same(3))?;
    mapped.layer("decoder.conv_out", last);
    let (norm, x) = graph.norm_swish(x)?;
    mapped.layer("decoder.norm_out", norm);
    // The first convolution of the decoder is the one after a 1×1 convolution.
    let begins = |id| {
        let first = graph.conv(id, Spec::same(3)).and_then(|(_, x)| graph.conv(x, Spec::same(1)));
        first.is_ok()
    };
    let (decoder, begin) = graph.blocks(x, begins)?;
    let (first, x) = graph.conv(begin, Spec::same(3))?;
    mapped.layer("decoder.conv_in", first);
    let (post, x) = graph.conv(x, Spec::same(1))?;
    mapped.layer("post_quant_conv", post);
    let z = codes(graph, x, &mut mapped)?;

    let (quant, x) = graph.conv(z, Spec::same(1))?;
    mapped.layer("quant_conv", quant);
    let (last, x) = graph.conv(x, Spec::same(3))?;
    mapped.layer("encoder.conv_out", last);
    let (norm, middle) = graph.norm_swish(x)?;
    mapped.layer("encoder.norm_out", norm);
    let begins = |id| graph.conv(id, Spec::same(3)).is_ok_and(|(_, x)| graph.input(x).is_ok());
    let (encoder, begin) = graph.blocks(middle, begins)?;
    let (first, _) = graph.conv(begin, Spec::same(3))?;
    mapped.layer("encoder.conv_in", first);

    let mut heads = Vec::new();
    let coder = Coder { graph, mapped: &mut mapped, heads: &mut heads };
    let (features, before_middle) = coder.encoder(encoder)?;
    let coder = Coder { graph, mapped: &mut mapped, heads: &mut heads };
    let attending = coder.decoder(decoder, &features, [before_middle, middle])?;
    let usual = HEADS.get(usize::from(attending > 1)).copied();
    if heads.iter().any(|&count| Some(count) != heads.first().copied()) {
        return graph.miss(output, "attention with as many heads everywhere");
    }
    if let Some(&count) = heads.first().filter(|&&count| Some(count) != usual) {
        mapped.fact("heads", count.to_string());
    }
    Ok(mapped)
}

/// What the codes were chosen for; the table gets its name.
fn codes(graph: &Graph, at: Id, mapped: &mut Mapped) -> Found<Id> {
    let at = graph.unshaped(at);
    // `z + (code - z)`, which lets gradients pass.
    let passed = graph.sum(at).and_then(|both| {
        graph.either(both, |id| {
            let [code, z] = graph.difference(graph.unshaped(id))?;
            Ok((code, graph.unshaped(z)))
        })
    });
    let code = match passed {
        Ok(((code, z), other)) if graph.unshaped(other) == z => code,
        _ => at,
    };
    let (table, choice) = graph.codes(code)?;
    let (&[rows, channels], values) = (table.dims(), table.to_f32()) else {
        return graph.miss(code, "a table of codes");
    };
    // The distances are of products with the same table.
    let same = |op: &Op, inputs: &[Id]| {
        let weight = inputs.get(1).and_then(|&id| graph.array(id));
        matches!(op, Op::Linear)
            && weight.is_some_and(|w| w.dims() == [rows, channels] && w.to_f32() == values)
    };
    mapped.push("quantize.embedding.weight", table);
    match graph.behind(choice, same).and_then(|id| graph.node(id)) {
        Some(node) => Ok(graph.unshaped(node.inputs.first().copied().unwrap_or_default())),
        None => graph.miss(choice, "the distances from the codes"),
    }
}

/// Gives the blocks of an encoder or a decoder their names.
struct Coder<'g, 'm> {
    graph: &'g Graph,
    mapped: &'m mut Mapped,
    heads: &'m mut Vec<usize>,
}

/// Blocks of one size, the last first, and the convolution to the next size.
type Level = Vec<Step>;

impl Coder<'_, '_> {
    /// Divides at the convolutions that change the size.
    fn levels(steps: Vec<Step>) -> Vec<Level> {
        let mut levels: Vec<Level> = vec![Vec::new()];
        for step in steps {
            if matches!(step.block, Block::Up(_) | Block::Down(_)) {
                levels.push(Vec::new());
            }
            if let Some(level) = levels.last_mut() {
                level.push(step);
            }
        }
        levels
    }

    /// Blocks in the middle, the last first.
    fn middle(&mut self, steps: Vec<Step>, name: &str) -> Found<Option<(Id, Option<Id>)>> {
        let [last, attention, first] = steps.as_slice() else {
            return self.graph.miss(0, "two blocks and an attention in the middle");
        };
        let (Block::Residual(two), Block::Attention(between), Block::Residual(one)) =
            (&last.block, &attention.block, &first.block)
        else {
            return self.graph.miss(last.at, "a block, an attention and a block in the middle");
        };
        let query = between.query.as_ref().map(|&(_, id)| id);
        self.heads.push(between.heads);
        self.mapped.res_block(&format!("{name}.mid.block_1"), one.clone(), "nin_shortcut");
        self.mapped.attention(&format!("{name}.mid.attn_1"), between.clone(), "norm1");
        self.mapped.res_block(&format!("{name}.mid.block_2"), two.clone(), "nin_shortcut");
        Ok(Some((first.at, query)))
    }

    /// Blocks of one size with the attentions after them; returns what they attend to.
    fn level(&mut self, steps: Vec<Step>, name: &str) -> Found<Vec<Id>> {
        let (mut block, mut queries) = (0, Vec::new());
        for step in steps.into_iter().rev() {
            match step.block {
                Block::Residual(inner) => {
                    self.mapped.res_block(&format!("{name}.block.{block}"), inner, "nin_shortcut");
                    block += 1;
                }
                Block::Attention(inner) if block > 0 => {
                    queries.extend(inner.query.as_ref().map(|&(_, id)| id));
                    self.heads.push(inner.heads);
                    self.mapped.attention(&format!("{name}.attn.{}", block - 1), inner, "norm1");
                }
                _ => return self.graph.miss(step.at, "a block of two convolutions"),
            }
        }
        Ok(queries)
    }

    /// Returns the features of all levels, and those before the middle.
    fn encoder(mut self, steps: Vec<Step>) -> Found<(Vec<Id>, Id)> {
        let mut levels = Self::levels(steps);
        let count = levels.len();
        let Some(coarse) = levels.first_mut().filter(|level| level.len() > 3) else {
            return self.graph.miss(0, "an encoder");
        };
        let rest = coarse.split_off(3);
        let middle = std::mem::replace(coarse, rest);
        let before = self.middle(middle, "encoder")?;
        let mut features = vec![0; count];
        for (place, mut level) in levels.into_iter().enumerate() {
            let number = count - 1 - place;
            let name = format!("encoder.down.{number}");
            if place > 0 {
                // The convolution that leads to the level before, which is smaller.
                match level.remove(0).block {
                    Block::Down(conv) => {
                        self.mapped.layer(&format!("{name}.downsample.conv"), conv);
                    }
                    _ => return self.graph.miss(0, "a convolution that halves the size"),
                }
            }
            let Some(last) = level.first() else {
                return self.graph.miss(0, "blocks at each size");
            };
            if let Some(feature) = features.get_mut(number) {
                *feature = last.at;
            }
            if !self.level(level, &name)?.is_empty() {
                return self.graph.miss(0, "an encoder that attends to itself");
            }
        }
        match before {
            Some((id, None)) => Ok((features, id)),
            _ => self.graph.miss(0, "an encoder that attends to itself"),
        }
    }

    /// Returns how many levels attend to the encoder.
    fn decoder(mut self, steps: Vec<Step>, features: &[Id], middle: [Id; 2]) -> Found<usize> {
        let mut levels = Self::levels(steps);
        let count = levels.len();
        let [before_middle, middle] = middle;
        let Some(coarse) = levels.last_mut().filter(|level| level.len() > 3) else {
            return self.graph.miss(0, "a decoder");
        };
        let steps = coarse.split_off(coarse.len() - 3);
        match self.middle(steps, "decoder")? {
            Some((_, Some(query))) if query == middle => {}
            _ => return self.graph.miss(middle, "a decoder that attends to the encoder"),
        }
        let mut attending = 0;
        for (number, mut level) in levels.into_iter().enumerate() {
            let name = format!("decoder.up.{number}");
            if number > 0 {
                match level.remove(0).block {
                    Block::Up(conv) => {
                        self.mapped.layer(&format!("{name}.upsample.conv"), conv);
                    }
                    _ => return self.graph.miss(0, "a convolution that doubles the size"),
                }
            }
            let blocks = level.len();
            let queries = self.level(level, &name)?;
            let expected = match number + 1 == count {
                true => Some(before_middle),
                false => features.get(number).copied(),
            };
            if queries.iter().any(|&id| Some(id) != expected) {
                return self.graph.miss(before_middle, "attention to the encoder's features");
            }
            if !queries.is_empty() {
                attending += 1;
                if queries.len() * 2 != blocks {
                    return self.graph.miss(before_middle, "an attention after each block");
                }
            }
        }
        Ok(attending)
    }
}
