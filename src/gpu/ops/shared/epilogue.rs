//! Host side of `kernels/shared/epilogue.wgsl`: what happens to a value before it is stored.

use crate::gpu::builder::Builder;
use crate::graph::Activation;
use crate::plan::{BLOCK, Step};

/// Says how many values a kernel stores at a time, which it yields: eight channels of a pixel where the
/// output lies by blocks, four pixels of a row with `quads`, or one.
pub fn lanes(launch: &mut Builder<'_>, step: &Step, quads: bool) -> usize {
    let blocked = step.output.blocked;
    launch.flag("EIGHTS", blocked);
    launch.flag("IN_QUADS", quads);
    match (blocked, quads) {
        (true, _) => BLOCK,
        (_, true) => 4,
        _ => 1,
    }
}

/// Binds the step's output and what its epilogue reads, and writes the fields of
/// `shared/epilogue_params.wgsl`, which therefore close the kernel's `Params`.
pub fn bind(launch: &mut Builder<'_>, step: &Step) {
    let y = step.output;
    let epilogue = &step.epilogue;
    launch.view("Y", y);
    launch.flag("Y_BLOCKS", y.blocked);
    launch.uint("y_batch", y.shape.n);
    launch.uint("y_channels", y.shape.c);
    launch.uint("y_height", y.shape.h);
    launch.uint("y_width", y.shape.w);
    launch.optional_view("DEMODULATION", epilogue.demodulation);
    launch.float("gain", epilogue.gain);

    let (name, low, high) = match epilogue.activation {
        Activation::Identity => ("identity", 0.0, 0.0),
        Activation::LeakyRelu(slope) => ("leaky_relu", slope, 0.0),
        Activation::Prelu(_) => ("leaky_relu", 0.0, 0.0),
        Activation::Silu => ("silu", 0.0, 0.0),
        Activation::Sigmoid => ("sigmoid", 0.0, 0.0),
        Activation::Tanh => ("tanh", 0.0, 0.0),
        Activation::Gelu => ("gelu", 0.0, 0.0),
        Activation::Mish => ("mish", 0.0, 0.0),
        Activation::Clamp(low, high) => ("clamp", low, high),
    };
    let slopes = match epilogue.activation {
        Activation::Prelu(slopes) => Some(slopes),
        _ => None,
    };
    let slopes_start = if epilogue.bias.is_some() { y.shape.c } else { 0 };
    let noise_start = slopes_start + if slopes.is_some() { y.shape.c } else { 0 };
    launch.flag("NOISE", epilogue.noise.is_some());
    launch.flag("BIAS", epilogue.bias.is_some());
    launch.flag("PRELU", slopes.is_some());
    launch.define("ACTIVATION", name);
    launch.uint("noise_start", noise_start);
    launch.float("noise_strength", epilogue.noise.map_or(0.0, |(_, strength)| strength));
    launch.uint("slopes_start", slopes_start);
    launch.float("activation_low", low);
    launch.float("activation_high", high);
    launch.float("activation_gain", epilogue.activation_gain);
    let values: Vec<_> = [epilogue.bias, slopes, epilogue.noise.map(|(noise, _)| noise)]
        .into_iter()
        .flatten()
        .collect();
    if !values.is_empty() {
        launch.flag("VALUES", true);
        launch.values(values);
    }

    launch.flag("SFT", epilogue.sft.is_some());
    launch.optional_view("SCALE", epilogue.sft.map(|sft| sft.scale));
    launch.optional_view("SHIFT", epilogue.sft.map(|sft| sft.shift));
    launch.uint("first_channel", epilogue.sft.map_or(0, |sft| sft.first_channel));
    launch.optional_view("RESIDUAL", epilogue.residual);
    launch.float("output_gain", epilogue.output_gain);
}
