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
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read> table: array<${W}>;

const WORKGROUP = ${WORKGROUP}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/output.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let y_at = output_of(workgroup_index(workgroup, workgroups) * WORKGROUP + lane);
    let n = y_at.x;
    if (n >= p.y_batch) {
        return;
    }
    let index = f32(x[p.x_offset + n * p.x_batch_stride + y_at.z * p.y_width + y_at.w]);
    let row = u32(clamp(index, 0.0, f32(p.rows - 1u)));
    let v = f32(table[min(row, p.rows - 1u) * p.y_channels + y_at.y]);
    store_y(select(v, index, is_nan(index)), n, y_at.y, y_at.z, y_at.w);
}
