// What happens to a value before it is stored (Epilogue of core/src/plan/step.rs), in this order:
// demodulation, gain, noise, bias, activation, activation gain, SFT, residual, output gain.
//
// `values` holds bias [O], PReLU slopes [O] and noise [H·W], those that there are, in this order.
//
// y, and what is added to it, lie in one of two ways (View of core/src/plan/step.rs). Either they are
// planes of pixels. With IN_QUADS their rows are then whole words of four values: values are stored
// four at a time, and addresses cost a quarter. Or, with Y_BLOCKS, eight channels of a pixel lie side by
// side. With EIGHTS a kernel stores them so, by shared/epilogue_eights.wgsl.

#enable f16 if Y == f16
#if EIGHTS
#include "shared/epilogue_eights.wgsl"
#else
#if IN_QUADS
const LANES = 4u;
alias Values = vec4<f32>;
alias Stored = vec4<${Y}>;
#else
const LANES = 1u;
alias Values = f32;
alias Stored = ${Y};
#endif
@group(0) @binding(_) var<storage, read_write> y: array<Stored>;
#if DEMODULATION
@group(0) @binding(_) var<storage, read_write> demodulation: array<f32>;
#endif
#if VALUES
@group(0) @binding(_) var<storage, read> values: array<f32>;
#endif
#if SFT
#enable f16 if SCALE == f16
#enable f16 if SHIFT == f16
#if IN_QUADS
@group(0) @binding(_) var<storage, read_write> scale: array<vec4<${SCALE}>>;
@group(0) @binding(_) var<storage, read_write> shift: array<vec4<${SHIFT}>>;
#else
@group(0) @binding(_) var<storage, read_write> scale: array<${SCALE}>;
@group(0) @binding(_) var<storage, read_write> shift: array<${SHIFT}>;
#endif
#endif
#if RESIDUAL
#enable f16 if RESIDUAL == f16
#if IN_QUADS
@group(0) @binding(_) var<storage, read_write> residual: array<vec4<${RESIDUAL}>>;
#else
@group(0) @binding(_) var<storage, read_write> residual: array<${RESIDUAL}>;
#endif
#endif

#include "shared/activation.wgsl"
#if VALUES
fn value_at(at: u32) -> f32 {
    return values[at];
}
#endif

#include "shared/channel.wgsl"

#if IN_QUADS
fn activate_each(v: Values, slope: f32) -> Values {
    return Values(
        activate(v.x, slope), activate(v.y, slope), activate(v.z, slope), activate(v.w, slope),
    );
}
#else
fn activate_each(v: Values, slope: f32) -> Values {
    return activate(v, slope);
}
#endif

// The place of a pixel of channel o within a sample.
fn place(o: u32, pixel: u32) -> u32 {
    let plane = p.y_height * p.y_width;
#if Y_BLOCKS
    return (o / 8u * plane + pixel) * 8u + o % 8u;
#else
    return o * plane + pixel;
#endif
}

// Of a pixel, or of the first of four.
fn epilogue(value: Values, channel: Channel, n: u32, o: u32, pixel: u32) -> Values {
    var v = value * channel.factor;
#if NOISE
    let noise = p.noise_start + pixel;
#if IN_QUADS
    v += p.noise_strength
        * Values(values[noise], values[noise + 1u], values[noise + 2u], values[noise + 3u]);
#else
    v += p.noise_strength * values[noise];
#endif
#endif
    v = activate_each(v + channel.bias, channel.slope) * p.activation_gain;
#if SFT
    if (o >= p.first_channel) {
        let at = place(o - p.first_channel, pixel);
        v = v * Values(scale[(p.scale_offset + n * p.scale_batch_stride + at) / LANES])
            + Values(shift[(p.shift_offset + n * p.shift_batch_stride + at) / LANES]);
    }
#endif
#if RESIDUAL
    let beside = p.residual_offset + n * p.residual_batch_stride + place(o, pixel);
    v += Values(residual[beside / LANES]);
#endif
    return v * p.output_gain;
}

// y[n, o, pixel] = epilogue(v) for an n, an o and a pixel of y.
fn store_at(v: Values, channel: Channel, n: u32, o: u32, pixel: u32) {
    let at = p.y_offset + n * p.y_batch_stride + place(o, pixel);
    y[at / LANES] = Stored(epilogue(v, channel, n, o, pixel));
}

// y[n, o, h, w] = epilogue(v) for an o of y; nothing outside its samples and pixels.
fn store_channel(v: Values, channel: Channel, n: u32, o: u32, h: u32, w: u32) {
    if (n < p.y_batch && h < p.y_height && w < p.y_width) {
        store_at(v, channel, n, o, h * p.y_width + w);
    }
}

// y[n, o, h, w] = epilogue(v); nothing outside y.
fn store_y(v: Values, n: u32, o: u32, h: u32, w: u32) {
    if (o < p.y_channels) {
        store_channel(v, channel_of(n, o), n, o, h, w);
    }
}
#endif
