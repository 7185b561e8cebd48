// y[i] = Σ over the values of ${CHAINS} matrices M of M, after p.rounds times ${UNROLL} of M = A·B + M
//
// y: one value per invocation, the same for all of a workgroup, which is one subgroup. Measures the
// peak of cooperative matrices: ${CHAINS} independent sums of FRAGMENT × FRAGMENT in f32, factors in
// ${T} that are read once. A is filled with p.a and B with p.b, so that every value of M is
// rounds · ${UNROLL} · FRAGMENT · a · b.

#enable f16
#enable wgpu_cooperative_matrix

struct Params {
    rounds: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> y: array<f32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;
const FRAGMENT = ${FRAGMENT}u;

var<workgroup> factors: array<${T}, 2u * FRAGMENT * FRAGMENT>;
var<workgroup> sums: array<f32, FRAGMENT * FRAGMENT>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var at = lane; at < FRAGMENT * FRAGMENT; at += WORKGROUP) {
        factors[at] = ${T}(p.a);
        factors[FRAGMENT * FRAGMENT + at] = ${T}(p.b);
    }
    workgroupBarrier();
    let a = coopLoad<coop_mat${FRAGMENT}x${FRAGMENT}<${T}, A>>(&factors[0], FRAGMENT);
    let b = coopLoad<coop_mat${FRAGMENT}x${FRAGMENT}<${T}, B>>(&factors[FRAGMENT * FRAGMENT], FRAGMENT);
#for K in 0..${CHAINS}
    var m${K} = coop_mat${FRAGMENT}x${FRAGMENT}<f32, C>();
#endfor
    for (var round = 0u; round < p.rounds; round++) {
#for U in 0..${UNROLL}
#for K in 0..${CHAINS}
        m${K} = coopMultiplyAdd(a, b, m${K});
#endfor
#endfor
    }
    var sum = 0.0;
#for K in 0..${CHAINS}
    coopStore(m${K}, &sums[0], FRAGMENT);
    workgroupBarrier();
    for (var at = 0u; at < FRAGMENT * FRAGMENT; at++) {
        sum += sums[at];
    }
    workgroupBarrier();
#endfor
    y[workgroup_index(workgroup, workgroups) * WORKGROUP + lane] = sum;
}
