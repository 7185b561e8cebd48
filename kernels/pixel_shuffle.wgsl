// y[n, c, h·r + i, w·r + j] = epilogue(x[n, c·r² + i·r + j, h, w])
//
// x: [N, C·r², H, W]. y: [N, C, H·r, W·r].
// r = FACTOR. One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/output.wgsl"

const FACTOR = ${FACTOR}u;
const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let y_at = output_of(workgroup_index(workgroup, workgroups) * WORKGROUP + lane);
    let n = y_at.x;
    let o = y_at.y;
    let h = y_at.z;
    let w = y_at.w;
    if (n >= p.y_batch) {
        return;
    }
    let c = (o * FACTOR + h % FACTOR) * FACTOR + w % FACTOR;
    let row = c * p.x_height + h / FACTOR;
    let v = f32(x[p.x_offset + n * p.x_batch_stride + row * p.x_width + w / FACTOR]);
    store_y(v, n, o, h, w);
}
