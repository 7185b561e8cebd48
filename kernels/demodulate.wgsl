// y[n, o] = epilogue(rsqrt(Σ_i S[o, i] · style[n, i]² + 1e-8)), S[o, i] = Σ_{u,v} W[o, i, u, v]²
//
// x: the style [N, I]. weight: S as [O, I], in f32. y: [N, O].
// A workgroup computes one output of four samples, as in linear.wgsl.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    inputs: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<${W}>;

const WORKGROUP = ${WORKGROUP}u;
const SAMPLES = ${SAMPLES}u;
// As many as a vector has components.
const_assert SAMPLES == 4u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

// The last sample again for those that are not there: store_y drops them.
fn load(n: u32, i: u32) -> f32 {
    let style = f32(x[p.x_offset + min(n, p.y_batch - 1u) * p.x_batch_stride + i]);
    return style * style;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let o = index % p.y_channels;
    let first = index / p.y_channels * SAMPLES;
    var sum = vec4<f32>();
    for (var i = lane; i < p.inputs; i += WORKGROUP) {
        let factor = f32(weight[o * p.inputs + i]);
        sum += factor * vec4(
            load(first, i),
            load(first + 1u, i),
            load(first + 2u, i),
            load(first + 3u, i),
        );
    }
    let total = reduce(lane, sum);
    if (lane < SAMPLES) {
        store_y(inverseSqrt(total[lane] + 1e-8), first + lane, o, 0u, 0u);
    }
}
