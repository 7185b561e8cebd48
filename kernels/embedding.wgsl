// y[n, c, h, w] = epilogue(table[x[n, 0, h, w], c]); NaN for NaN
//
// x: row numbers [N, 1, H, W] in f32. table: [K, C]. y: [N, C, H, W]. One value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    rows: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> table: array<${W}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let index = f32(x[p.x_offset + n * p.x_batch_stride + h * p.y_width + w]);
    let row = u32(clamp(index, 0.0, f32(p.rows - 1u)));
    let v = f32(table[min(row, p.rows - 1u) * p.y_channels + o]);
    return select(v, index, is_nan(index));
}
