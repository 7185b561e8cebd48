// y[n, c, h, w] = epilogue(x[n, c] read at (src(h), src(w)))
//
// nearest: src(d) = ⌊d · step⌋
// bilinear: src(d) = max(0, (d + ½) · step - ½), between two neighbours, edges clamp
// align_corners: src(d) = d · step, the same between neighbours
//
// x: [N, C, H, W]. y: [N, C, H', W']. One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
    step_h: f32,
    step_w: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

fn pixel(n: u32, c: u32, h: u32, w: u32) -> f32 {
    let row = c * p.x_height + h;
    return f32(x[p.x_offset + n * p.x_batch_stride + row * p.x_width + w]);
}

fn source(at: u32, step: f32) -> f32 {
#if INTERPOLATION == bilinear
    return max((f32(at) + 0.5) * step - 0.5, 0.0);
#else
    return f32(at) * step;
#endif
}

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let from_h = source(h, p.step_h);
    let from_w = source(w, p.step_w);
    let h0 = min(u32(from_h), p.x_height - 1u);
    let w0 = min(u32(from_w), p.x_width - 1u);
#if INTERPOLATION == nearest
    return pixel(n, o, h0, w0);
#else
    let h1 = min(h0 + 1u, p.x_height - 1u);
    let w1 = min(w0 + 1u, p.x_width - 1u);
    let tw = from_w - f32(w0);
    let top = mix(pixel(n, o, h0, w0), pixel(n, o, h0, w1), tw);
    let bottom = mix(pixel(n, o, h1, w0), pixel(n, o, h1, w1), tw);
    return mix(top, bottom, from_h - f32(h0));
#endif
}
