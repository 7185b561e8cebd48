// y[n, c, t] = epilogue(Σ_d softmax_d(scores[n, c, d]) · v[n, a·D + d, t]) for channel c of head a,
// whose D channels begin at a·D
//
// v, y: [N, C, H, W]. scores: see channel_attention_scores.wgsl. A workgroup computes
// STEPS · WORKGROUP pixels of one channel; its invocations share the softmax.

struct Params {
    value_offset: u32,
    value_batch_stride: u32,
    scores_offset: u32,
    scores_batch_stride: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if VALUE == f16
@group(0) @binding(_) var<storage, read_write> v: array<${VALUE}>;
@group(0) @binding(_) var<storage, read_write> scores: array<f32>;

const WORKGROUP = ${WORKGROUP}u;
const STEPS = ${STEPS}u;
const WIDTH = ${WIDTH}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

var<workgroup> weights: array<f32, WIDTH>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pixels = p.y_height * p.y_width;
    let blocks = (pixels + STEPS * WORKGROUP - 1u) / (STEPS * WORKGROUP);
    let index = workgroup_index(workgroup, workgroups);
    let c = index / blocks % p.y_channels;
    let n = index / blocks / p.y_channels;
    if (n >= p.y_batch) {
        return;
    }
    let start = p.scores_offset + (n * p.y_channels + c) * WIDTH;
    var highest = scores[start];
    for (var d = 1u; d < WIDTH; d++) {
        highest = max(highest, scores[start + d]);
    }
    for (var d = lane; d < WIDTH; d += WORKGROUP) {
        weights[d] = exp(scores[start + d] - highest);
    }
    workgroupBarrier();
    var total = 0.0;
    for (var d = 0u; d < WIDTH; d++) {
        total += weights[d];
    }
    let channel = channel_of(n, c);
    let v_start = p.value_offset + n * p.value_batch_stride + c / WIDTH * WIDTH * pixels;
    for (var step = 0u; step < STEPS; step++) {
        let t = (index % blocks * STEPS + step) * WORKGROUP + lane;
        if (t < pixels) {
            var sum = 0.0;
            for (var d = 0u; d < WIDTH; d++) {
                sum += weights[d] * f32(v[v_start + d * pixels + t]);
            }
            store_channel(sum / total, channel, n, c, t / p.y_width, t % p.y_width);
        }
    }
}
