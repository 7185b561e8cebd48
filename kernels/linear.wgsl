// y[n, o] = epilogue(Σ_i W[o, i] · x[n, i])
//
// x: [N, I], a sample flattened in the order C, H, W. weight: [O, I]. y: [N, O].
// A workgroup computes one output of four samples, or of the only one.
//
// The trick: it is bound by the weight, so neighbours read neighbouring weights, each once for
// four samples, or four at a time for the only one.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    inputs: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#if ALONE
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<vec4<${W}>>;
#else
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<${W}>;
#endif

const WORKGROUP = ${WORKGROUP}u;
const SAMPLES = ${SAMPLES}u;
// As many as a vector has components.
const_assert SAMPLES == 4u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

#if !ALONE
// The last sample again for those that are not there: store_y drops them.
fn load(n: u32, i: u32) -> f32 {
    return f32(x[p.x_offset + min(n, p.y_batch - 1u) * p.x_batch_stride + i]);
}
#endif

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
#if ALONE
    // Each lane's sums, then the sample's, in the place of the first of four samples.
    let words = p.inputs / 4u;
    for (var i = lane; i < words; i += WORKGROUP) {
        sum += vec4<f32>(weight[o * words + i]) * vec4<f32>(x[p.x_offset / 4u + i]);
    }
    sum = vec4(sum.x + sum.y + sum.z + sum.w, 0.0, 0.0, 0.0);
#else
    for (var i = lane; i < p.inputs; i += WORKGROUP) {
        let factor = f32(weight[o * p.inputs + i]);
        sum += factor * vec4(
            load(first, i),
            load(first + 1u, i),
            load(first + 2u, i),
            load(first + 3u, i),
        );
    }
#endif
    let total = reduce(lane, sum);
    if (lane < SAMPLES) {
        store_y(total[lane], first + lane, o, 0u, 0u);
    }
}
