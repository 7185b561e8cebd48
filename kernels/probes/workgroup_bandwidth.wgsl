// y[i] = Σ_{r < p.rounds, u < ${UNROLL}} tile[(lane + 64·(${UNROLL}·r + u)) mod ${VECTORS}]
//
// tile: ${VECTORS} four-vectors of ones in workgroup memory; y: one value per invocation. Measures the
// bandwidth of workgroup memory: neighbours read neighbours, no two lanes the same bank twice.

struct Params {
    rounds: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> y: array<f32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;
const VECTORS = ${VECTORS}u;

var<workgroup> tile: array<vec4<f32>, VECTORS>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var v = lane; v < VECTORS; v += WORKGROUP) {
        // One, but not for the compiler.
        tile[v] = vec4<f32>(min(1.0, f32(p.rounds)));
    }
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    var at = lane;
    for (var round = 0u; round < p.rounds; round++) {
#for U in 0..${UNROLL}
        sum += tile[(at + 64u * ${U}u) % VECTORS];
#endfor
        at += 64u * ${UNROLL}u;
    }
    y[workgroup_index(workgroup, workgroups) * WORKGROUP + lane] = dot(sum, vec4<f32>(1.0));
}
