// What happens to a value before it is stored (Epilogue of src/plan/step.rs), in this order:
// demodulation, gain, noise, bias, activation, activation gain, SFT, residual, output gain.
//
// `values` holds bias [O], PReLU slopes [O] and noise [H·W], those that there are, in this order.

#enable f16 if Y == f16
@group(0) @binding(_) var<storage, read_write> y: array<${Y}>;
#if DEMODULATION
@group(0) @binding(_) var<storage, read_write> demodulation: array<f32>;
#endif
#if VALUES
@group(0) @binding(_) var<storage, read> values: array<f32>;
#endif
#if SFT
#enable f16 if SCALE == f16
@group(0) @binding(_) var<storage, read_write> scale: array<${SCALE}>;
#enable f16 if SHIFT == f16
@group(0) @binding(_) var<storage, read_write> shift: array<${SHIFT}>;
#endif
#if RESIDUAL
#enable f16 if RESIDUAL == f16
@group(0) @binding(_) var<storage, read_write> residual: array<${RESIDUAL}>;
#endif

#include "shared/activation.wgsl"
#if VALUES
fn value_at(at: u32) -> f32 {
    return values[at];
}
#endif

#include "shared/channel.wgsl"

fn epilogue(value: f32, channel: Channel, n: u32, o: u32, pixel: u32) -> f32 {
    var v = value * channel.factor;
#if NOISE
    v += p.noise_strength * values[p.noise_start + pixel];
#endif
    v = activate(v + channel.bias, channel.slope) * p.activation_gain;
    let plane = p.y_height * p.y_width;
#if SFT
    if (o >= p.first_channel) {
        let at = (o - p.first_channel) * plane + pixel;
        v = v * f32(scale[p.scale_offset + n * p.scale_batch_stride + at])
            + f32(shift[p.shift_offset + n * p.shift_batch_stride + at]);
    }
#endif
#if RESIDUAL
    v += f32(residual[p.residual_offset + n * p.residual_batch_stride + o * plane + pixel]);
#endif
    return v * p.output_gain;
}

// y[n, o, h, w] = epilogue(v) for an o of y; nothing outside its samples and pixels.
fn store_channel(v: f32, channel: Channel, n: u32, o: u32, h: u32, w: u32) {
    if (n >= p.y_batch || h >= p.y_height || w >= p.y_width) {
        return;
    }
    let pixel = h * p.y_width + w;
    let at = p.y_offset + n * p.y_batch_stride + o * p.y_height * p.y_width + pixel;
    y[at] = ${Y}(epilogue(v, channel, n, o, pixel));
}

// y[n, o, h, w] = epilogue(v); nothing outside y.
fn store_y(v: f32, n: u32, o: u32, h: u32, w: u32) {
    if (o < p.y_channels) {
        store_channel(v, channel_of(n, o), n, o, h, w);
    }
}
