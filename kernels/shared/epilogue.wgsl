// What happens to a value before it is stored (Epilogue of src/plan/step.rs), in this order:
// demodulation, gain, noise, bias, activation, activation gain, SFT, residual, output gain.
//
// `values` holds bias [O], PReLU slopes [O] and noise [H·W], those that there are, in this order.

@group(0) @binding(_) var<storage, read_write> y: array<${Y}>;
#if DEMODULATION
@group(0) @binding(_) var<storage, read_write> demodulation: array<f32>;
#endif
#if VALUES
@group(0) @binding(_) var<storage, read> values: array<f32>;
#endif
#if SFT
@group(0) @binding(_) var<storage, read_write> scale: array<${SCALE}>;
@group(0) @binding(_) var<storage, read_write> shift: array<${SHIFT}>;
#endif
#if RESIDUAL
@group(0) @binding(_) var<storage, read_write> residual: array<${RESIDUAL}>;
#endif

#include "shared/activation.wgsl"

fn epilogue(value: f32, n: u32, o: u32, h: u32, w: u32) -> f32 {
    var v = value;
    let pixel = h * p.y_width + w;
    let plane = p.y_height * p.y_width;
#if DEMODULATION
    v *= demodulation[p.demodulation_offset + n * p.demodulation_batch_stride + o];
#endif
    v *= p.gain;
#if NOISE
    v += p.noise_strength * values[p.noise_start + pixel];
#endif
#if BIAS
    v += values[o];
#endif
#if PRELU
    v = activate(v, values[p.slopes_start + o]);
#else
    v = activate(v, p.activation_low);
#endif
    v *= p.activation_gain;
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

// y[n, o, h, w] = epilogue(v); nothing outside y.
fn store_y(v: f32, n: u32, o: u32, h: u32, w: u32) {
    if (n >= p.y_batch || o >= p.y_channels || h >= p.y_height || w >= p.y_width) {
        return;
    }
    let at = (o * p.y_height + h) * p.y_width + w;
    y[p.y_offset + n * p.y_batch_stride + at] = ${Y}(epilogue(v, n, o, h, w));
}
