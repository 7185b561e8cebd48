//! CodeFormer: a transformer predicts which codes of a VQGAN's codebook a degraded face shows; the
//! generator may look at the encoder's features.

use super::find::{Found, Layer, Mismatch, Spec, near};
use super::graph::{Graph, Id, Op};
use super::vqgan::{Block, ResBlock, Step};
use super::{Array, Mapped};

/// Heads that the engine takes where nothing tells.
const HEADS: usize = 8;
/// Slope of the activations of scale and shift.
const SLOPE: f32 = 0.2;
/// What PyTorch's layer norm adds to the variance.
const EPSILON: f32 = 1e-5;

/// The controllable feature transform: `decoder + w · (decoder · scale + shift)`.
struct Fusion {
    encode: ResBlock,
    /// First and last convolutions of scale and shift.
    convs: [[Layer; 2]; 2],
    encoder: Id,
    decoder: Id,
    /// The fidelity w, where the file fixes it.
    fidelity: Option<f32>,
}

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let output = graph.outputs.first().copied().unwrap_or_default();
    // The generator, the last block first; fusions lie after blocks.
    let mut blocks: Vec<Step> = Vec::new();
    let mut fusions: Vec<(usize, Fusion)> = Vec::new();
    let mut at = output;
    let (table, choice, latent) = loop {
        match fusion(graph, at) {
            Ok(fusion) => {
                at = fusion.decoder;
                fusions.push((blocks.len(), fusion));
                continue;
            }
            Err(miss) => match graph.block(at) {
                Ok(step) => {
                    at = step.from;
                    blocks.push(step);
                }
                Err(other) => {
                    break codes(graph, at).map_err(|_: Mismatch| {
                        if blocks.len() < 3 || other.at < miss.at { other } else { miss }
                    })?;
                }
            },
        }
    };
    mapped.push("quantize.embedding.weight", table);
    let (x, tokens, heads) = transformer(graph, choice, &mut mapped)?;
    let lq = graph.unshaped(x);
    if latent.is_some_and(|latent| latent != lq) {
        return graph.miss(lq, "the features whose mean and deviation the codes get");
    }
    if latent.is_none() {
        mapped.notes.push(
            "nothing, but the file's codes do not get the mean and deviation of the face's features \
             (adain), which the engine gives them by default"
                .into(),
        );
    }
    let begins = |id| graph.conv(id, Spec::same(3)).is_ok_and(|(_, x)| graph.input(x).is_ok());
    let (encoder, begin) = graph.blocks(lq, begins)?;
    let (first, _) = graph.conv(begin, Spec::same(3))?;
    mapped.layer("encoder.blocks.0", first);

    let side = tokens.isqrt();
    let halvings =
        |steps: &[Step]| steps.iter().filter(|step| matches!(step.block, Block::Down(_))).count();
    let doublings =
        |steps: &[Step]| steps.iter().filter(|step| matches!(step.block, Block::Up(_))).count();
    for (before, fusion) in fusions {
        // Blocks between the codes and the fusion, and between the encoder's features and its end.
        let ups = doublings(blocks.get(before..).unwrap_or_default());
        let place = encoder.iter().position(|step| step.at == fusion.encoder);
        let downs = halvings(place.and_then(|place| encoder.get(..place)).unwrap_or_default());
        if place.is_none() || ups != downs || side * side != tokens || ups > 16 {
            return graph.miss(fusion.encoder, "the encoder's features of the same size");
        }
        let size = side << ups;
        if let Some(fidelity) = fusion.fidelity.filter(|&w| !near(w, 0.5)) {
            mapped.notes.push(format!(
                "the fidelity {fidelity} that the file fixes at {size} pixels: it is chosen when faces \
                 are restored"
            ));
        }
        let name = format!("fuse_convs_dict.{size}");
        mapped.res_block(&format!("{name}.encode_enc"), fusion.encode, "conv_out");
        for (part, [first, last]) in ["scale", "shift"].into_iter().zip(fusion.convs) {
            mapped.layer(&format!("{name}.{part}.0"), first);
            mapped.layer(&format!("{name}.{part}.2"), last);
        }
    }
    name(graph, "generator", 0, blocks, &mut mapped)?;
    name(graph, "encoder", 1, encoder, &mut mapped)?;
    if heads != HEADS {
        mapped.fact("heads", heads.to_string());
    }
    Ok(mapped)
}

/// Numbers the blocks, which are given the last first.
fn name(
    graph: &Graph,
    part: &str,
    first: usize,
    steps: Vec<Step>,
    mapped: &mut Mapped,
) -> Found<()> {
    for (i, step) in steps.into_iter().rev().enumerate() {
        let name = format!("{part}.blocks.{}", first + i);
        match step.block {
            Block::Residual(block) => mapped.res_block(&name, block, "conv_out"),
            Block::Attention(block) if block.query.is_none() && block.heads == 1 => {
                mapped.attention(&name, block, "norm");
            }
            Block::Attention(_) => {
                return graph.miss(step.at, "attention with one head, to itself");
            }
            Block::Down(layer) | Block::Up(layer) => mapped.layer(&format!("{name}.conv"), layer),
            Block::Norm(layer) | Block::Conv(layer) => mapped.layer(&name, layer),
        }
    }
    Ok(())
}

fn fusion(graph: &Graph, at: Id) -> Found<Fusion> {
    let residual = |id: Id| {
        // Times w: a number, an input of the network, or nothing where it is 1.
        let (fidelity, inner) = match graph.scaled(id) {
            Ok((w, inner)) => (Some(w), inner),
            Err(_) => match graph.product(id) {
                Ok(both) => {
                    let given = |id| graph.input(graph.unshaped(id));
                    (None, graph.either(both, given)?.1)
                }
                Err(_) => (Some(1.0), id),
            },
        };
        let both = graph.sum(inner)?;
        let ((scaled, _), shift) = graph.either(both, |id| {
            let factors = graph.product(id)?;
            // Not the swish of a block, and not the scale of a norm.
            match factors.into_iter().any(|id| graph.array(id).is_some()) {
                true => graph.miss(id, "a product with a scale"),
                false => Ok((factors, ())),
            }
        })?;
        Ok((fidelity, scaled, shift))
    };
    let ((fidelity, factors, shift), decoder) = graph.either(graph.sum(at)?, residual)?;
    let is = |id: Id| if id == decoder { Ok(()) } else { graph.miss(id, "the decoder's features") };
    let ((), scale) = graph.either(factors, is)?;
    let condition = |id| {
        let (last, y) = graph.conv(id, Spec::same(3))?;
        let (first, e) = graph.conv(graph.leaky(y, SLOPE)?, Spec::same(3))?;
        Ok(([first, last], e))
    };
    let ((scale, e), (shift, again)) = (condition(scale)?, condition(shift)?);
    let (encode, both) = graph.res_block(e)?;
    match *graph.channels(both)?.as_slice() {
        [encoder, found] if found == decoder && e == again => {
            Ok(Fusion { encode, convs: [scale, shift], encoder, decoder, fidelity })
        }
        _ => graph.miss(both, "the features of the encoder and of the decoder"),
    }
}

/// The table of codes, what tells which, and the features whose mean and deviation they get.
fn codes(graph: &Graph, at: Id) -> Found<(Array, Id, Option<Id>)> {
    // (code - mean) / deviation · deviation' + mean'
    let adapted = || {
        let (([inner, _], deviation), mean) = graph.either(graph.sum(at)?, |id| {
            graph.either(graph.product(id)?, |id| graph.quotient(id))
        })?;
        let [code, _] = graph.difference(inner)?;
        let mean = graph.unshaped(mean);
        let latent = graph.unary(mean, |op| matches!(op, Op::Mean(_)), "the mean of features")?;
        let root = graph.unshaped(deviation);
        graph.unary(root, |op| matches!(op, Op::Sqrt), "the deviation of features")?;
        Ok::<_, Mismatch>((code, graph.unshaped(latent)))
    };
    let (code, latent) = match adapted() {
        Ok((code, latent)) => (code, Some(latent)),
        Err(_) => (at, None),
    };
    let (table, choice) = graph.codes(code)?;
    Ok((table, choice, latent))
}

/// What a GELU with the error function was applied to.
fn gelu(graph: &Graph, at: Id) -> Found<Id> {
    if let Ok(x) = graph.unary(at, |op| matches!(op, Op::Gelu), "a GELU") {
        return Ok(x);
    }
    // 0.5 · x · (1 + erf(x / √2)), the half at any of the factors.
    let (outer, inner) = graph.scaled(at).unwrap_or((1.0, at));
    let bell = |id| {
        let erf = graph.unary(graph.plus_number(id, 1.0)?, |op| matches!(op, Op::Erf), "erf")?;
        let (factor, x) = graph.scaled(erf)?;
        match near(factor, std::f32::consts::FRAC_1_SQRT_2) {
            true => Ok(x),
            false => graph.miss(id, "a GELU"),
        }
    };
    let (x, other) = graph.either(graph.product(inner)?, bell)?;
    let (half, other) = match other == x {
        true => (outer, other),
        false => graph.scaled(other).map(|(factor, x)| (outer * factor, x))?,
    };
    match other == x && near(half, 0.5) {
        true => Ok(x),
        false => graph.miss(at, "a GELU"),
    }
}

/// The transformer: what it was given, how many tokens there are, and its heads.
fn transformer(graph: &Graph, choice: Id, mapped: &mut Mapped) -> Found<(Id, usize, usize)> {
    let Some(best) = graph.behind(choice, |op, _| matches!(op, Op::TopK | Op::ArgMax)) else {
        return graph.miss(choice, "the choice of the best code");
    };
    let chosen = graph.unary(best, |_| true, "scores of codes")?;
    let chosen = graph.unshaped(chosen);
    let scores = graph.unary(chosen, |op| matches!(op, Op::Softmax), "probabilities");
    let (last, x) = graph.linear(graph.unshaped(scores.unwrap_or(chosen)))?;
    mapped.layer("idx_pred_layer.1", last);
    let (norm, mut x) = graph.layer_norm(graph.unshaped(x), EPSILON, &[-1])?;
    mapped.layer("idx_pred_layer.0", norm);
    let mut layers = Vec::new();
    let (mut position, mut heads) = (None, None);
    // Until the linear layer that makes tokens of features.
    while graph.sum(graph.unshaped(x)).is_ok() && graph.linear(graph.unshaped(x)).is_err() {
        let layer = layer(graph, graph.unshaped(x))?;
        if *heads.get_or_insert(layer.heads) != layer.heads {
            return graph.miss(x, "as many heads in all layers");
        }
        x = layer.from;
        position.get_or_insert(layer.position.clone());
        layers.push(layer);
    }
    let (Some(position), Some(heads)) = (position, heads) else {
        return graph.miss(x, "layers of a transformer");
    };
    let count = layers.len();
    for (place, layer) in layers.into_iter().enumerate() {
        let name = format!("ft_layers.{}", count - 1 - place);
        for (part, layer) in layer.parts {
            mapped.layer(&format!("{name}.{part}"), layer);
        }
        let Layer { weight, bias } = layer.packed;
        mapped.push(format!("{name}.self_attn.in_proj_weight"), weight);
        if let Some(bias) = bias {
            mapped.push(format!("{name}.self_attn.in_proj_bias"), bias);
        }
    }
    let tokens = position.dims().first().copied().unwrap_or_default();
    mapped.push("position_emb", position);
    let (first, x) = graph.linear(graph.unshaped(x))?;
    mapped.layer("feat_emb", first);
    Ok((x, tokens, heads))
}

/// A layer of the transformer.
struct TransformerLayer {
    parts: [(&'static str, Layer); 5],
    /// Query, key and value as one.
    packed: Layer,
    /// `[tokens, channels]`
    position: Array,
    heads: usize,
    from: Id,
}

fn layer(graph: &Graph, at: Id) -> Found<TransformerLayer> {
    let expected = "a layer of a transformer";
    // x₁ + linear2(gelu(linear1(norm2(x₁))))
    let feed = |id| {
        let (linear2, y) = graph.linear(graph.unshaped(id))?;
        let (linear1, y) = graph.linear(graph.unshaped(gelu(graph, graph.unshaped(y))?))?;
        let (norm2, x) = graph.layer_norm(graph.unshaped(y), EPSILON, &[-1])?;
        Ok((linear1, linear2, norm2, graph.unshaped(x)))
    };
    let ((linear1, linear2, norm2, middle), other) = graph.either(graph.sum(at)?, feed)?;
    if graph.unshaped(other) != middle {
        return graph.miss(other, expected);
    }
    // x + out_proj(attention(norm1(x) + position, norm1(x) + position, norm1(x)))
    let attend = |id| {
        let (out, y) = graph.linear(graph.unshaped(id))?;
        Ok((out, graph.attention_of(y)?))
    };
    let ((out, ([query, key, value], scale)), from) = graph.either(graph.sum(middle)?, attend)?;
    let ((query, of_query), (key, of_key), (value, of_value)) =
        (graph.linear(query)?, graph.linear(key)?, graph.linear(value)?);
    let [of_query, of_key, of_value] = [of_query, of_key, of_value].map(|id| graph.unshaped(id));
    let constant = |id| match graph.array(graph.unshaped(id)) {
        Some(array) => Ok(array.clone()),
        None => graph.miss(id, "the positions of tokens"),
    };
    let (position, normed) = graph.either(graph.sum(of_query)?, constant)?;
    let (norm1, x) = graph.layer_norm(of_value, EPSILON, &[-1])?;
    let same = of_query == of_key
        && graph.unshaped(normed) == of_value
        && graph.unshaped(x) == graph.unshaped(from);
    let channels = query.weight.dims().first().copied().unwrap_or_default();
    let position =
        position.numel().checked_div(channels).and_then(|n| position.reshaped(&[n, channels]));
    let heads = graph.heads(at, channels, scale)?;
    let weight = Array::stacked(&[&query.weight, &key.weight, &value.weight]);
    let bias = match (&query.bias, &key.bias, &value.bias) {
        (Some(query), Some(key), Some(value)) => Array::stacked(&[query, key, value]),
        _ => None,
    };
    let (true, Some(position), Some(weight)) = (same, position, weight) else {
        return graph.miss(at, expected);
    };
    let parts = [
        ("norm1", norm1),
        ("norm2", norm2),
        ("linear1", linear1),
        ("linear2", linear2),
        ("self_attn.out_proj", out),
    ];
    let packed = Layer { weight, bias };
    Ok(TransformerLayer { parts, packed, position, heads, from })
}
