// y[i] = Σ over all lanes of all chains of x, after p.rounds times ${UNROLL} of x = a·x + b
//
// y: one value per invocation. Measures the arithmetic peak in ${T}: ${CHAINS} independent chains of
// four-vectors keep the units busy, nothing is read. The factors come from the uniform block, so
// that the compiler cannot compute the result. Chain k begins at (i mod 8 + k)/16; a = 3/4, b = 1/8:
// the chains converge to 1/2, without denormal numbers.

struct Params {
    rounds: u32,
    a: f32,
    b: f32,
}

#enable f16 if T == f16
@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> y: array<f32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    let a = vec4<${T}>(${T}(p.a));
    let b = vec4<${T}>(${T}(p.b));
#for K in 0..${CHAINS}
    var x${K} = vec4<${T}>(${T}(i % 8u + ${K}u) / 16);
#endfor
    for (var round = 0u; round < p.rounds; round++) {
#for U in 0..${UNROLL}
#for K in 0..${CHAINS}
        x${K} = fma(x${K}, a, b);
#endfor
#endfor
    }
    var sum = 0.0;
#for K in 0..${CHAINS}
    sum += dot(vec4<f32>(x${K}), vec4<f32>(1.0));
#endfor
    y[i] = sum;
}
