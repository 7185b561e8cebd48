// y[n, c, h, w] = epilogue(value[c, h, w])
//
// value: a [1, C, H, W] parameter in f32, repeated over the batch. y: [N, C, H, W].
// One value per invocation.

struct Params {
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> constant: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/output.wgsl"

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
    store_y(constant[(o * p.y_height + h) * p.y_width + w], n, o, h, w);
}
