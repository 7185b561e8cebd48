//! GFPGANv1Clean: a U-Net whose features modulate a StyleGAN2 decoder, in the release's configuration
//! (a latent vector for each layer, conditions on the second half of the channels).

use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Resize};
use super::modulated::Modulated;
use super::{Array, Mapped};

/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut decoder = Decoder { graph, mapped: &mut mapped, latents: None };
    let (constant, conditions) = decoder.build()?;
    let Some(latents) = decoder.latents else {
        return graph.miss(0, "latent vectors");
    };
    mapped.push("stylegan_decoder.constant_input.weight", constant);
    encoder(graph, latents, &conditions, &mut mapped)?;
    Ok(mapped)
}

/// Scale and shift of a level.
type Condition = [Id; 2];

struct Decoder<'g, 'm> {
    graph: &'g Graph,
    mapped: &'m mut Mapped,
    /// All latent vectors.
    latents: Option<Id>,
}

/// A convolution with noise, bias and activation.
struct Styled {
    conv: Modulated,
    noise: Array,
    bias: Array,
}

impl Decoder<'_, '_> {
    /// The constant that it begins with, and the conditions from the coarsest level on.
    fn build(&mut self) -> Found<(Array, Vec<Condition>)> {
        let graph = self.graph;
        // From the last level to the first.
        let mut levels = Vec::new();
        let mut rgb = graph.output()?;
        let skipped =
            |at| graph.either(graph.sum(at)?, |id| graph.resized(id, Resize::Bilinear, 2.0));
        while let Ok((skip, own)) = skipped(rgb) {
            levels.push(own);
            rgb = skip;
        }
        let count = levels.len();
        let (conv, bias) = graph.biased(rgb, 1)?;
        let first = conv.x;
        self.rgb("to_rgb1", rgb, &conv, bias, 1)?;
        let mut conditions = Vec::new();
        let mut below = None;
        for (place, own) in levels.into_iter().enumerate() {
            let level = count - 1 - place;
            let (conv, bias) = graph.biased(own, 1)?;
            if below.is_some_and(|below| below != conv.x) {
                return graph.miss(conv.x, "the features of the level");
            }
            let x = conv.x;
            self.rgb(&format!("to_rgbs.{level}"), own, &conv, bias, 3 + 2 * level)?;
            let plain = self.styled(x)?;
            let all = plain.conv.x;
            self.write(x, &format!("style_convs.{}", 2 * level + 1), plain, 2 + 2 * level)?;
            let (condition, y) = condition(graph, all)?;
            conditions.push(condition);
            let up = self.styled(y)?;
            below = Some(graph.resized(up.conv.x, Resize::Bilinear, 2.0)?);
            self.write(y, &format!("style_convs.{}", 2 * level), up, 1 + 2 * level)?;
        }
        if below != Some(first) {
            return graph.miss(first, "the features of the first level");
        }
        let styled = self.styled(first)?;
        let Some(constant) = graph.array(styled.conv.x).cloned() else {
            return graph.miss(styled.conv.x, "a constant of 4×4 pixels");
        };
        self.write(first, "style_conv1", styled, 0)?;
        conditions.reverse();
        Ok((constant, conditions))
    }

    fn rgb(
        &mut self,
        name: &str,
        at: Id,
        conv: &Modulated,
        bias: Array,
        latent: usize,
    ) -> Found<()> {
        let name = format!("stylegan_decoder.{name}");
        self.latent(conv, latent)?;
        match bias.reshaped(&[1, 3, 1, 1]) {
            Some(bias) => self.mapped.push(format!("{name}.bias"), bias),
            None => return self.graph.miss(at, "a bias of three channels"),
        }
        self.mapped.modulated(self.graph, at, &format!("{name}.modulated_conv"), conv, [1.0; 2])
    }

    /// `lrelu(√2 · modconv(x) + noise + bias)`
    fn styled(&self, at: Id) -> Found<Styled> {
        let graph = self.graph;
        let (bias, y) = graph.plus_constant(graph.leaky(at, SLOPE)?)?;
        let (noise, y) = graph.plus_constant(y)?;
        let y = graph.scaled_by(y, std::f32::consts::SQRT_2)?;
        let conv = graph.modulated(y, 3, true)?;
        Ok(Styled { conv, noise, bias })
    }

    fn write(&mut self, at: Id, name: &str, styled: Styled, latent: usize) -> Found<()> {
        let Styled { conv, noise, bias } = styled;
        let number = match name.split_once('.') {
            Some((_, place)) => place.parse::<usize>().map_or(0, |place| place + 1),
            None => 0,
        };
        self.latent(&conv, latent)?;
        let name = format!("stylegan_decoder.{name}");
        let bias = bias.reshaped(&[1, conv.channels(), 1, 1]);
        let one = Array::filled(1, 1.0);
        let (Some(bias), Some(one), &[1, 1, _, _]) = (bias, one, noise.dims()) else {
            return self.graph.miss(at, "a noise and a bias");
        };
        // The exporter multiplied the noise with its strength.
        self.mapped.push(format!("stylegan_decoder.noises.noise{number}"), noise);
        self.mapped.push(format!("{name}.weight"), one);
        self.mapped.push(format!("{name}.bias"), bias);
        self.mapped.modulated(self.graph, at, &format!("{name}.modulated_conv"), &conv, [1.0; 2])
    }

    /// Checks which of the latent vectors a convolution takes.
    fn latent(&mut self, conv: &Modulated, expected: usize) -> Found<()> {
        let (index, all) = self.graph.latent(conv.latent)?;
        if conv.transposed || index != expected || *self.latents.get_or_insert(all) != all {
            return self.graph.miss(conv.latent, format!("latent vector {expected}"));
        }
        Ok(())
    }
}

/// The condition on the second half of the channels, and what it was put on.
fn condition(graph: &Graph, at: Id) -> Found<(Condition, Id)> {
    let &[same, changed] = graph.channels(at)?.as_slice() else {
        return graph.miss(at, "two halves of the channels");
    };
    let x = graph.part(same, 1, 0, 2)?;
    let both = graph.sum(changed)?;
    let scaled = |id| {
        let half = |id| graph.part(id, 1, 1, 2);
        let (from, scale) = graph.either(graph.product(id)?, half)?;
        if from == x { Ok(scale) } else { graph.miss(id, "the other half of the channels") }
    };
    let (scale, shift) = graph.either(both, scaled)?;
    Ok(([scale, shift], x))
}

/// The U-Net, from the conditions and the latent vectors back to the face.
fn encoder(graph: &Graph, latents: Id, conditions: &[Condition], mapped: &mut Mapped) -> Found<()> {
    let mut features = Vec::new();
    for (level, &both) in conditions.iter().enumerate() {
        let mut from = None;
        for (at, name) in both.into_iter().zip(["condition_scale", "condition_shift"]) {
            let (last, y) = graph.conv(at, Spec::same(3))?;
            let (first, x) = graph.conv(graph.leaky(y, SLOPE)?, Spec::same(3))?;
            if *from.get_or_insert(x) != x {
                return graph.miss(x, "the features of both conditions");
            }
            mapped.layer(&format!("{name}.{level}.0"), first);
            mapped.layer(&format!("{name}.{level}.2"), last);
        }
        features.extend(from);
    }
    let (linear, x) = graph.linear(latents)?;
    mapped.layer("final_linear", linear);
    let bottom = graph.unshaped(x);
    let (last, down) = graph.conv(graph.leaky(bottom, SLOPE)?, Spec::same(3))?;
    mapped.layer("final_conv", last);
    // What the first block of the way up adds to the bottom is the last of the way down.
    let mut skips = Vec::new();
    let mut below = bottom;
    for (level, &at) in features.iter().enumerate() {
        let x = res_block(graph, at, 2.0, &format!("conv_body_up.{level}"), mapped)?;
        let is = |id: Id| if id == below { Ok(()) } else { graph.miss(id, "the features before") };
        let ((), skip) = graph.either(graph.sum(x)?, is)?;
        skips.push(skip);
        below = at;
    }
    let count = skips.len();
    let mut x = down;
    for (place, skip) in skips.into_iter().enumerate() {
        if skip != x {
            return graph.miss(skip, "the features of the same size");
        }
        x = res_block(graph, x, 0.5, &format!("conv_body_down.{}", count - 1 - place), mapped)?;
    }
    let (first, x) = graph.conv(graph.leaky(x, SLOPE)?, Spec::same(1))?;
    mapped.layer("conv_body_first", first);
    graph.input(x)
}

/// Two convolutions around a resize, plus the resized 1×1 convolution; returns the input.
fn res_block(graph: &Graph, at: Id, factor: f32, name: &str, mapped: &mut Mapped) -> Found<Id> {
    let shortcut = |id| {
        let (conv, y) = graph.conv(id, Spec::same(1))?;
        let x = graph.resized(y, Resize::Bilinear, factor)?;
        match conv {
            Layer { bias: None, .. } => Ok((conv, x)),
            _ => graph.miss(id, "a convolution without bias"),
        }
    };
    let ((skip, x), y) = graph.either(graph.sum(at)?, shortcut)?;
    let (second, y) = graph.conv(graph.leaky(y, SLOPE)?, Spec::same(3))?;
    let y = graph.resized(y, Resize::Bilinear, factor)?;
    let (first, from) = graph.conv(graph.leaky(y, SLOPE)?, Spec::same(3))?;
    if from != x {
        return graph.miss(from, "the block's input");
    }
    mapped.layer(&format!("{name}.conv1"), first);
    mapped.layer(&format!("{name}.conv2"), second);
    mapped.layer(&format!("{name}.skip"), skip);
    Ok(x)
}
