// y[n, c] = epilogue(x[n, c] · rsqrt(Σ_i x[n, i]² / C + 1e-8))
//
// x, y: [N, C]. A workgroup normalises one sample.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

const WORKGROUP = ${WORKGROUP}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = workgroup_index(workgroup, workgroups);
    let first = p.x_offset + min(n, p.y_batch - 1u) * p.x_batch_stride;
    var sum = vec4<f32>();
    for (var c = lane; c < p.y_channels; c += WORKGROUP) {
        let v = f32(x[first + c]);
        sum.x += v * v;
    }
    let factor = inverseSqrt(reduce(lane, sum).x / f32(p.y_channels) + 1e-8);
    for (var c = lane; c < p.y_channels; c += WORKGROUP) {
        store_y(f32(x[first + c]) * factor, n, c, 0u, 0u);
    }
}
