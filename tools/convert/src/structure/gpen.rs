//! GPEN: an encoder whose features take the place of a StyleGAN2 generator's noise. Exporters multiply
//! its weights with the factors of equalised layers, which are divided out again.

use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op};
use super::modulated::Modulated;
use super::{Array, Mapped};

/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;
/// Factor of the learning rate of the mapping network.
const MAPPING: f32 = 0.01;
/// Values of a resampling filter.
const FILTER: usize = 16;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut generator = Generator { graph, mapped: &mut mapped, latent: None };
    let (constant, features) = generator.build()?;
    let Some(latent) = generator.latent else { return graph.miss(0, "a latent vector") };
    mapped.push("generator.input.input", constant);
    let bottom = mapping(graph, latent, &mut mapped)?;
    encoder(graph, bottom, &features, &mut mapped)?;
    Ok(mapped)
}

/// `1 / √n`
fn equalised(n: usize) -> f32 {
    (1.0 / (n as f64).sqrt()) as f32
}

struct Generator<'g, 'm> {
    graph: &'g Graph,
    mapped: &'m mut Mapped,
    /// The latent vector, the same for all layers.
    latent: Option<Id>,
}

/// A convolution, the encoder's features, a bias and an activation.
struct Styled {
    conv: Modulated,
    /// The filter after a transposed convolution.
    filter: Option<Array>,
    strength: Array,
    feature: Id,
    bias: Array,
}

impl Generator<'_, '_> {
    /// The constant that it begins with, and the encoder's features from 4×4 pixels on.
    fn build(&mut self) -> Found<(Array, Vec<Id>)> {
        let graph = self.graph;
        let mut levels = Vec::new();
        let mut rgb = graph.output()?;
        let skipped = |at| graph.either(graph.sum(at)?, |id| graph.filtered(id));
        while let Ok(((filter, skip), own)) = skipped(rgb) {
            levels.push((own, filter));
            rgb = skip;
        }
        let count = levels.len();
        let (conv, bias) = graph.biased(rgb, 1)?;
        let first = conv.x;
        self.rgb("to_rgb1", rgb, &conv, bias)?;
        let mut features = Vec::new();
        let mut below = None;
        for (place, (own, filter)) in levels.into_iter().enumerate() {
            let level = count - 1 - place;
            let (conv, bias) = graph.biased(own, 1)?;
            if below.is_some_and(|below| below != conv.x) {
                return graph.miss(conv.x, "the features of the level");
            }
            let x = conv.x;
            let name = format!("to_rgbs.{level}");
            self.rgb(&name, own, &conv, bias)?;
            self.mapped.push(format!("generator.{name}.upsample.kernel"), filter);
            let plain = self.styled(x)?;
            let (y, feature) = (plain.conv.x, plain.feature);
            if plain.conv.transposed || plain.filter.is_some() {
                return graph.miss(x, "a convolution that keeps the size");
            }
            self.write(x, &format!("convs.{}", 2 * level + 1), plain)?;
            let up = self.styled(y)?;
            if !up.conv.transposed || up.filter.is_none() || up.feature != feature {
                return graph
                    .miss(y, "a convolution that doubles the size, with the same features");
            }
            below = Some(up.conv.x);
            self.write(y, &format!("convs.{}", 2 * level), up)?;
            features.push(feature);
        }
        if below != Some(first) {
            return graph.miss(first, "the features of the first level");
        }
        let styled = self.styled(first)?;
        features.push(styled.feature);
        let Some(constant) = graph.array(styled.conv.x).cloned() else {
            return graph.miss(styled.conv.x, "a constant of 4×4 pixels");
        };
        self.write(first, "conv1", styled)?;
        features.reverse();
        Ok((constant, features))
    }

    fn rgb(&mut self, name: &str, at: Id, conv: &Modulated, bias: Array) -> Found<()> {
        let name = format!("generator.{name}");
        match bias.reshaped(&[1, 3, 1, 1]) {
            Some(bias) => self.mapped.push(format!("{name}.bias"), bias),
            None => return self.graph.miss(at, "a bias of three channels"),
        }
        self.conv(at, &format!("{name}.conv"), conv)
    }

    /// Writes a modulated convolution without its equalising factors.
    fn conv(&mut self, at: Id, name: &str, conv: &Modulated) -> Found<()> {
        let all = match self.graph.latent(conv.latent) {
            Ok((_, all)) => all,
            // A simplifier knows that all are the same.
            Err(_) => self.graph.unshaped(conv.latent),
        };
        if *self.latent.get_or_insert(all) != all {
            return self.graph.miss(conv.latent, "the latent vector of all layers");
        }
        let fan_in = conv.weight.dims().iter().skip(2).product();
        let width = conv.modulation.weight.dims().last().copied().unwrap_or_default();
        let scales = [equalised(fan_in), equalised(width)];
        self.mapped.modulated(self.graph, at, name, conv, scales)
    }

    /// `√2 · lrelu([conv, w · feature] + bias)`, or with their sum in place of the concatenation.
    fn styled(&self, at: Id) -> Found<Styled> {
        let graph = self.graph;
        let (bias, y) = graph.plus_constant(graph.active(at)?)?;
        let weighted = |id| {
            let (strength, feature) = graph.times_constant(id)?;
            match strength.numel() {
                1 => Ok((strength, feature)),
                _ => graph.miss(id, "features with one factor"),
            }
        };
        let (strength, feature, conv) = match graph.sum(y) {
            Ok(both) => {
                let ((strength, feature), conv) = graph.either(both, weighted)?;
                (strength, feature, conv)
            }
            Err(_) => {
                let &[conv, feature] = graph.channels(y)?.as_slice() else {
                    return graph.miss(y, "a convolution and the encoder's features");
                };
                let (strength, feature) = weighted(feature)?;
                (strength, feature, conv)
            }
        };
        let (filter, conv) = match graph.filtered(conv) {
            Ok((filter, below)) => (Some(filter), below),
            Err(_) => (None, conv),
        };
        let conv = graph.modulated(conv, 3, true)?;
        Ok(Styled { conv, filter, strength, feature, bias })
    }

    fn write(&mut self, at: Id, name: &str, styled: Styled) -> Found<()> {
        let Styled { conv, filter, strength, bias, .. } = styled;
        let name = format!("generator.{name}");
        let (Some(strength), Some(bias)) =
            (strength.reshaped(&[1]), bias.reshaped(&[bias.numel()]))
        else {
            return self.graph.miss(at, "a factor and a bias");
        };
        self.mapped.push(format!("{name}.noise.weight"), strength);
        self.mapped.push(format!("{name}.activate.bias"), bias);
        if let Some(filter) = filter {
            self.mapped.push(format!("{name}.conv.blur.kernel"), filter);
        }
        self.conv(at, &format!("{name}.conv"), &conv)
    }
}

/// The mapping network, and what it is made of the bottom of the encoder with; returns that.
fn mapping(graph: &Graph, latent: Id, mapped: &mut Mapped) -> Found<Id> {
    let mut layers = Vec::new();
    let mut at = latent;
    while let Ok((layer, below)) = graph.active(at).and_then(|y| graph.linear(y)) {
        layers.push(layer);
        at = below;
    }
    let count = layers.len();
    for (place, layer) in layers.into_iter().enumerate() {
        let number = count - place;
        mapped.equal(graph, at, &format!("generator.style.{number}"), layer, MAPPING)?;
    }
    // x / √(mean(x²) + ε)
    let by_norm = |id| graph.norms_from(id);
    let (from, x) = graph.either(graph.product(at)?, by_norm)?;
    if from != x {
        return graph.miss(from, "the values that are normalised");
    }
    let (last, bottom) = graph.linear(graph.active(x)?)?;
    mapped.equal(graph, x, "final_linear.0", last, 1.0)?;
    Ok(graph.unshaped(bottom))
}

/// The encoder, from 4×4 pixels back to the face.
fn encoder(graph: &Graph, bottom: Id, features: &[Id], mapped: &mut Mapped) -> Found<()> {
    let count = features.len();
    let mut at = bottom;
    for (place, &feature) in features.iter().enumerate() {
        if feature != at {
            return graph.miss(feature, "the encoder's features of the same size");
        }
        let number = count - 1 - place;
        let y = graph.active(at)?;
        // A bias that is added, or part of the convolution.
        let (bias, conv) = match graph.plus_constant(y) {
            Ok((bias, conv)) => (Some(bias), conv),
            Err(_) => (None, y),
        };
        let spec = match number {
            0 => Spec::same(1),
            _ => Spec::same(3).stride(2).padding([0; 4]),
        };
        let (conv, x) = graph.conv(conv, spec)?;
        let Layer { weight, bias: own } = conv;
        let fan_in = weight.dims().iter().skip(1).product();
        let bias = bias.or(own).and_then(|bias| bias.reshaped(&[bias.numel()]));
        let (Some(weight), Some(bias)) = (weight.divided(equalised(fan_in)), bias) else {
            return graph.miss(at, "a convolution with a bias");
        };
        let [first, second] = if number == 0 { [0, 1] } else { [1, 2] };
        mapped.push(format!("ecd{number}.0.{first}.weight"), weight);
        mapped.push(format!("ecd{number}.0.{second}.bias"), bias);
        at = x;
        if number > 0 {
            let (filter, below) = graph.filtered(x)?;
            mapped.push(format!("ecd{number}.0.0.kernel"), filter);
            at = below;
        }
    }
    graph.input(at)
}

impl Mapped {
    /// An equalised linear layer without its factors.
    fn equal(&mut self, graph: &Graph, at: Id, name: &str, layer: Layer, rate: f32) -> Found<()> {
        let width = layer.weight.dims().last().copied().unwrap_or_default();
        let scale = (f64::from(rate) / (width as f64).sqrt()) as f32;
        let bias = layer.bias.and_then(|bias| bias.divided(rate));
        let (Some(weight), Some(bias)) = (layer.weight.divided(scale), bias) else {
            return graph.miss(at, "a linear layer with a bias");
        };
        self.push(format!("{name}.weight"), weight);
        self.push(format!("{name}.bias"), bias);
        Ok(())
    }
}

impl Graph {
    /// What `√2 · lrelu` was applied to.
    fn active(&self, at: Id) -> Found<Id> {
        self.leaky(self.scaled_by(at, std::f32::consts::SQRT_2)?, SLOPE)
    }

    /// A 4×4 filter for all channels, and what was filtered: between zeros, padding and other shapes
    /// a convolution of one channel.
    fn filtered(&self, at: Id) -> Found<(Array, Id)> {
        let mut filter = None;
        let mut x = at;
        loop {
            x = match self.step(x, "a filter")? {
                (
                    Op::Reshape(_)
                    | Op::Transpose(_)
                    | Op::Slice
                    | Op::Crop
                    | Op::Run { .. }
                    | Op::Pad(_),
                    &[x],
                ) => x,
                (Op::Conv(_), &[below, weight]) if filter.is_none() => match self.taps(weight) {
                    Some(taps) => {
                        filter = Some(taps);
                        below
                    }
                    None => break,
                },
                _ => break,
            };
        }
        match filter {
            Some(filter) => Ok((filter, x)),
            None => self.miss(at, "a filter of 4×4 pixels"),
        }
    }

    /// The values of a filter that is the same when it is turned around.
    fn taps(&self, mut at: Id) -> Option<Array> {
        while let Some(node) = self.node(at) {
            match (&node.op, node.inputs.as_slice()) {
                (Op::Constant(array), _) => {
                    let values = array.to_f32();
                    let turned = values.iter().rev();
                    let same = values.iter().zip(turned).all(|(a, b)| (a - b).abs() <= 1e-6);
                    return (array.numel() == FILTER && same).then(|| array.reshaped(&[4, 4]))?;
                }
                (
                    Op::Reshape(_) | Op::Transpose(_) | Op::Slice | Op::Crop | Op::Run { .. },
                    &[x],
                ) => at = x,
                _ => return None,
            }
        }
        None
    }
}
