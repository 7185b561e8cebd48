// y[n, c, h, w] = epilogue(x[n, c, mirror(h - top, H), mirror(w - left, W)])
//
// mirror(i, n) = |i| before the end, 2·(n - 1) - i behind it: the edge itself is not repeated.
// x: [N, C, H, W]. y: [N, C, top + H + bottom, left + W + right], all less than H or W.
// One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
    top: i32,
    left: i32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

fn mirror(i: i32, n: u32) -> u32 {
    let last = i32(n) - 1;
    return u32(last - abs(last - abs(i)));
}

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let row = o * p.x_height + mirror(i32(h) - p.top, p.x_height);
    let column = mirror(i32(w) - p.left, p.x_width);
    return f32(x[p.x_offset + n * p.x_batch_stride + row * p.x_width + column]);
}
