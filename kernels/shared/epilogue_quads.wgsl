// shared/epilogue.wgsl for kernels that store four neighbouring pixels of a row at a time: a software
// driver loops over lanes once for each access, whether it is of one value or of four. All tensors
// have rows, offsets and strides of whole words of four values, and channels come in fours where
// there are values of them; `word` counts such words of a plane.

@group(0) @binding(_) var<storage, read_write> y: array<vec4<${Y}>>;
#if DEMODULATION
@group(0) @binding(_) var<storage, read_write> demodulation: array<f32>;
#endif
#if VALUES
@group(0) @binding(_) var<storage, read> values: array<vec4<f32>>;
#endif
#if SFT
@group(0) @binding(_) var<storage, read_write> scale: array<vec4<${SCALE}>>;
@group(0) @binding(_) var<storage, read_write> shift: array<vec4<${SHIFT}>>;
#endif
#if RESIDUAL
@group(0) @binding(_) var<storage, read_write> residual: array<vec4<${RESIDUAL}>>;
#endif

#include "shared/activation.wgsl"
#if VALUES
fn value_at(at: u32) -> f32 {
    return values[at / 4u][at % 4u];
}
#endif

#include "shared/channel.wgsl"

// What is the same for all channels.
fn noise_of(word: u32) -> vec4<f32> {
#if NOISE
    return p.noise_strength * values[p.noise_start / 4u + word];
#else
    return vec4<f32>();
#endif
}

fn epilogue(value: vec4<f32>, channel: Channel, n: u32, o: u32, word: u32, noise: vec4<f32>) -> vec4<f32> {
    var v = value * channel.factor + noise + channel.bias;
    v = p.activation_gain * vec4(
        activate(v.x, channel.slope),
        activate(v.y, channel.slope),
        activate(v.z, channel.slope),
        activate(v.w, channel.slope),
    );
    let plane = p.y_height * p.y_width / 4u;
#if SFT
    if (o >= p.first_channel) {
        let at = (o - p.first_channel) * plane + word;
        v = v * vec4<f32>(scale[(p.scale_offset + n * p.scale_batch_stride) / 4u + at])
            + vec4<f32>(shift[(p.shift_offset + n * p.shift_batch_stride) / 4u + at]);
    }
#endif
#if RESIDUAL
    v += vec4<f32>(residual[(p.residual_offset + n * p.residual_batch_stride) / 4u + o * plane + word]);
#endif
    return v * p.output_gain;
}

// y[n, o, four pixels] = epilogue(v) for an o of y; nothing outside its samples and rows.
fn store_quad(v: vec4<f32>, channel: Channel, n: u32, o: u32, h: u32, column: u32, noise: vec4<f32>) {
    if (n >= p.y_batch || h >= p.y_height || 4u * column >= p.y_width) {
        return;
    }
    let words = p.y_width / 4u;
    let word = h * words + column;
    let at = (p.y_offset + n * p.y_batch_stride) / 4u + o * p.y_height * words + word;
    y[at] = vec4<${Y}>(epilogue(v, channel, n, o, word, noise));
}
