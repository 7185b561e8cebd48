// y[n, c·r² + i·r + j, h, w] = epilogue(x[n, c, h·r + i, w·r + j])
//
// x: [N, C, H·r, W·r]. y: [N, C·r², H, W].
// r = FACTOR. One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

const FACTOR = ${FACTOR}u;

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let c = o / (FACTOR * FACTOR);
    let row = c * p.x_height + h * FACTOR + o / FACTOR % FACTOR;
    let column = w * FACTOR + o % FACTOR;
    return f32(x[p.x_offset + n * p.x_batch_stride + row * p.x_width + column]);
}
