//! ParseNet: residual blocks on mirrored borders, which halve, keep, and double the size.

use super::Mapped;
use super::find::{Found, Spec};
use super::graph::{Graph, Id, Op, Resize};
use super::norm::Normed;

/// Slope of the activation in a block.
const SLOPE: f32 = 0.2;
/// More blocks than any network has.
const MOST: usize = 64;

/// What a block does to the size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    Keep,
    Half,
    Double,
}

/// Two normalised convolutions, and one beside them where the shape changes.
struct Block {
    convs: [Normed; 2],
    shortcut: Option<Normed>,
}

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut features = None;
    let mut masks = 0;
    for &output in &graph.outputs {
        let (head, x) = plain(graph, output, Scale::Keep)?;
        if *features.get_or_insert(x) != x {
            return graph.miss(output, "a head on the same features");
        }
        // The picture, where it is not another map.
        let picture = head.channels() == 3 && graph.outputs.len() > 1;
        masks += usize::from(!picture);
        mapped.plain(if picture { "out_img_conv" } else { "out_mask_conv" }, head);
    }
    let (Some(x), 1) = (features, masks) else {
        let at = graph.outputs.first().copied().unwrap_or_default();
        return graph.miss(at, "one map of classes");
    };
    let (doubles, x) = blocks(graph, x, Scale::Double)?;
    let (body, x) = between(graph, x)?;
    let (halves, x) = blocks(graph, x, Scale::Half)?;
    if halves.len() != doubles.len() || halves.is_empty() {
        return graph.miss(x, "as many halvings as doublings");
    }
    let (first, x) = plain(graph, x, Scale::Keep)?;
    graph.input(x)?;
    mapped.plain("encoder.0", first);
    for (part, blocks, from) in [("encoder", halves, 1), ("body", body, 0), ("decoder", doubles, 0)]
    {
        for (i, block) in blocks.into_iter().rev().enumerate() {
            mapped.block(&format!("{part}.{}", i + from), block);
        }
    }
    Ok(mapped)
}

impl Mapped {
    /// A convolution without a normalisation.
    fn plain(&mut self, name: &str, conv: Normed) {
        self.layer(&format!("{name}.conv2d"), conv.into_conv());
    }

    fn block(&mut self, name: &str, Block { convs, shortcut }: Block) {
        for (i, conv) in convs.into_iter().enumerate() {
            let conv_name = format!("{name}.conv{}.conv2d", i + 1);
            self.normed([&conv_name, &format!("{name}.conv{}.norm.norm", i + 1)], conv, false);
        }
        if let Some(shortcut) = shortcut {
            self.plain(&format!("{name}.shortcut_func"), shortcut);
        }
    }
}

/// A 3×3 convolution on a mirrored border, and its input, before it was doubled.
fn layer(graph: &Graph, at: Id, scale: Scale) -> Found<(Normed, Id)> {
    let stride = if scale == Scale::Half { 2 } else { 1 };
    let spec = Spec { padding: [0; 4], ..Spec::same(3) };
    let (conv, y) = graph.conv_norm(unscaled(graph, at), spec.stride(stride))?;
    let mirrored = |op: &Op| matches!(op, Op::Mirror([1, 1, 1, 1]));
    let x = graph.unary(y, mirrored, "a mirrored border of one pixel")?;
    match scale {
        Scale::Double => Ok((conv, graph.resized(x, Resize::Nearest, 2.0)?)),
        _ => Ok((conv, x)),
    }
}

/// The value before products with 1, which stand where there is no normalisation or activation.
fn unscaled(graph: &Graph, mut at: Id) -> Id {
    for _ in 0..2 {
        match graph.scaled_by(at, 1.0) {
            Ok(x) => at = x,
            Err(_) => break,
        }
    }
    at
}

/// The same without a normalisation.
fn plain(graph: &Graph, at: Id, scale: Scale) -> Found<(Normed, Id)> {
    match layer(graph, at, scale)? {
        (conv, _) if conv.is_normed() => graph.miss(at, "a convolution without a normalisation"),
        found => Ok(found),
    }
}

/// A residual block, and its input.
fn block(graph: &Graph, at: Id, scale: Scale) -> Found<(Block, Id)> {
    let [first, second] = match scale {
        Scale::Keep => [Scale::Keep; 2],
        Scale::Half => [Scale::Keep, Scale::Half],
        Scale::Double => [Scale::Double, Scale::Keep],
    };
    let chain = |id: Id| {
        let (second, y) = layer(graph, id, second)?;
        let (first, x) = layer(graph, graph.leaky(y, SLOPE)?, first)?;
        Ok(([first, second], x))
    };
    let ((convs, x), other) = graph.either(graph.sum(at)?, chain)?;
    if other == x && scale == Scale::Keep {
        return Ok((Block { convs, shortcut: None }, x));
    }
    let (shortcut, from) = plain(graph, other, scale)?;
    if from != x {
        return graph.miss(from, "the block's input");
    }
    Ok((Block { convs, shortcut: Some(shortcut) }, x))
}

/// All blocks of one kind up to `at`, the last one first, and the input of the first.
fn blocks(graph: &Graph, mut at: Id, scale: Scale) -> Found<(Vec<Block>, Id)> {
    let mut found = Vec::new();
    while let Ok((block, x)) = block(graph, at, scale) {
        found.push(block);
        at = x;
        if found.len() > MOST {
            return graph.miss(at, format!("at most {MOST} blocks"));
        }
    }
    Ok((found, at))
}

/// The blocks between the halvings and the doublings, whose input is added to their result `at`.
fn between(graph: &Graph, at: Id) -> Found<(Vec<Block>, Id)> {
    let [a, b] = graph.sum(at)?;
    for (end, start) in [(a, b), (b, a)] {
        let (found, x) = blocks(graph, end, Scale::Keep)?;
        if x == start && !found.is_empty() {
            return Ok((found, start));
        }
    }
    graph.miss(at, "blocks whose input is added to their result")
}
