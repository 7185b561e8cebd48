// shared/epilogue.wgsl where eight channels of a pixel are computed and stored together. Their first
// is a multiple of eight, of y and of what is added to it; `first_channel` is one, too. Factors and
// noise come by whole words of four (`able` of core/src/plan/arrange.rs).

const LANES = 8u;
// Four channels and the four behind them.
alias Values = mat2x4<f32>;
@group(0) @binding(_) var<storage, read_write> y: array<mat2x4<${Y}>>;
#if DEMODULATION
@group(0) @binding(_) var<storage, read_write> demodulation: array<vec4<f32>>;
#endif
#if VALUES
@group(0) @binding(_) var<storage, read> values: array<vec4<f32>>;
#endif
#if SFT
@group(0) @binding(_) var<storage, read_write> scale: array<mat2x4<${SCALE}>>;
@group(0) @binding(_) var<storage, read_write> shift: array<mat2x4<${SHIFT}>>;
#endif
#if RESIDUAL
@group(0) @binding(_) var<storage, read_write> residual: array<mat2x4<${RESIDUAL}>>;
#endif

#include "shared/activation.wgsl"

// What is the same for all pixels of channels o to o + 3 of sample n.
struct Channels {
    factor: vec4<f32>,
    bias: vec4<f32>,
    slope: vec4<f32>,
}

fn channels_of(n: u32, o: u32) -> Channels {
    var channels = Channels(vec4<f32>(p.gain), vec4<f32>(), vec4<f32>(p.activation_low));
#if DEMODULATION
    let at = p.demodulation_offset + n * p.demodulation_batch_stride + o;
    channels.factor *= demodulation[at / 4u];
#endif
#if BIAS
    channels.bias = values[o / 4u];
#endif
#if PRELU
    channels.slope = values[(p.slopes_start + o) / 4u];
#endif
    return channels;
}

// Before what is added: channels o to o + 3 of a pixel.
fn activated(value: vec4<f32>, n: u32, o: u32, noise: f32) -> vec4<f32> {
    let channels = channels_of(n, o);
    let v = value * channels.factor + noise + channels.bias;
    return p.activation_gain * vec4<f32>(
#for C in 0..4
        activate(v[${C}], channels.slope[${C}]),
#endfor
    );
}

// y[n, o to o + 7, pixel] = epilogue(v) for an n, an o and a pixel of y.
fn store_at(value: Values, n: u32, o: u32, pixel: u32) {
#if NOISE
    let noise_at = p.noise_start + pixel;
    let noise = p.noise_strength * values[noise_at / 4u][noise_at % 4u];
#else
    let noise = 0.0;
#endif
    var low = activated(value[0], n, o, noise);
    var high = activated(value[1], n, o + 4u, noise);
    let plane = p.y_height * p.y_width;
#if SFT
    if (o >= p.first_channel) {
        let at = (o - p.first_channel) / 8u * plane + pixel;
        let factor = scale[(p.scale_offset + n * p.scale_batch_stride) / 8u + at];
        let addend = shift[(p.shift_offset + n * p.shift_batch_stride) / 8u + at];
        low = low * vec4<f32>(factor[0]) + vec4<f32>(addend[0]);
        high = high * vec4<f32>(factor[1]) + vec4<f32>(addend[1]);
    }
#endif
    let at = o / 8u * plane + pixel;
#if RESIDUAL
    let beside = residual[(p.residual_offset + n * p.residual_batch_stride) / 8u + at];
    low += vec4<f32>(beside[0]);
    high += vec4<f32>(beside[1]);
#endif
    y[(p.y_offset + n * p.y_batch_stride) / 8u + at] =
        mat2x4<${Y}>(vec4<${Y}>(low * p.output_gain), vec4<${Y}>(high * p.output_gain));
}

// y[n, o to o + 7, h, w] = epilogue(v); nothing outside y.
fn store_y(v: Values, n: u32, o: u32, h: u32, w: u32) {
    if (n < p.y_batch && o < p.y_channels && h < p.y_height && w < p.y_width) {
        store_at(v, n, o, h * p.y_width + w);
    }
}
