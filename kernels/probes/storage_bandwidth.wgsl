// y[i] = x[i] + 1
//
// x, y: the same number of four-vectors, a multiple of what a workgroup copies. Measures the bandwidth
// of memory: each invocation copies ${STEPS} vectors that lie a workgroup apart, all loads first.

struct Params {
    vectors: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(_) var<storage, read_write> y: array<vec4<f32>>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = workgroup_index(workgroup, workgroups) * (WORKGROUP * ${STEPS}u) + lane;
    if (first >= p.vectors) {
        return;
    }
#for I in 0..${STEPS}
    let v${I} = x[first + ${I}u * WORKGROUP];
#endfor
#for I in 0..${STEPS}
    y[first + ${I}u * WORKGROUP] = v${I} + 1.0;
#endfor
}
