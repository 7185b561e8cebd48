// y[n, o] = epilogue(Σ_i W[o, i] · x[n, i])
//
// x: [N, I], a sample flattened in the order C, H, W. weight: [O, I]. y: [N, O].
// A workgroup computes one output of one sample, or of four.
//
// The trick: it is bound by the weight, so neighbours read neighbouring weights, four at a time, or each
// once for four samples where words are not whole.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    inputs: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/linear.wgsl"

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let o = index % p.y_channels;
    let first = index / p.y_channels * SAMPLES;
    let total = reduce(lane, products(lane, first, o * p.inputs, 0u, p.inputs));
    if (lane < SAMPLES) {
        store_y(total[lane], first + lane, o, 0u, 0u);
    }
}
