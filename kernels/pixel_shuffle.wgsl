// y[n, c, h·r + i, w·r + j] = epilogue(x[n, c·r² + i·r + j, h, w])
//
// x: [N, C·r², H, W]. y: [N, C, H·r, W·r].
// r = FACTOR. One output value per invocation, or with EIGHTS eight channels of a pixel. With X_BLOCKS
// eight channels of a pixel of x lie side by side.

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

fn value(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let c = (o * FACTOR + h % FACTOR) * FACTOR + w % FACTOR;
    let pixel = h / FACTOR * p.x_width + w / FACTOR;
    let plane = p.x_height * p.x_width;
#if X_BLOCKS
    let at = (c / 8u * plane + pixel) * 8u + c % 8u;
#else
    let at = c * plane + pixel;
#endif
    return f32(x[p.x_offset + n * p.x_batch_stride + at]);
}

fn output(n: u32, o: u32, h: u32, w: u32) -> Values {
#if EIGHTS
    return Values(
#for C in 0..8
        value(n, o + ${C}u, h, w),
#endfor
    );
#else
    return value(n, o, h, w);
#endif
}
