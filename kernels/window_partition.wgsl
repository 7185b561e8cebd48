// y[(n·R + r)·S + s, c, i, j] = epilogue(x[n, c, r·h + i, s·w + j])
// DILATED: y[(n·R + r)·S + s, c, i, j] = epilogue(x[n, c, i·R + r, j·S + s])
// REVERSE: x and y in each other's place
//
// The picture: [N, C, R·h, S·w]. Its windows: [N·R·S, C, h, w].
// R = rows, S = columns. One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
    rows: u32,
    columns: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
#if REVERSE
#if DILATED
    let window = vec2(h % p.rows, w % p.columns);
    let pixel = vec2(h / p.rows, w / p.columns);
#else
    let window = vec2(h / p.x_height, w / p.x_width);
    let pixel = vec2(h % p.x_height, w % p.x_width);
#endif
    let sample = (n * p.rows + window.x) * p.columns + window.y;
#else
    let window = vec2(n / p.columns % p.rows, n % p.columns);
#if DILATED
    let pixel = vec2(h * p.rows + window.x, w * p.columns + window.y);
#else
    let pixel = vec2(window.x * p.y_height + h, window.y * p.y_width + w);
#endif
    let sample = n / (p.rows * p.columns);
#endif
    let row = o * p.x_height + pixel.x;
    return f32(x[p.x_offset + sample * p.x_batch_stride + row * p.x_width + pixel.y]);
}
