// y[n, c, h, w] = epilogue(weight[c] · (x[n, c, h, w] - mean[g]) · rsqrt(variance[g] + epsilon))
//
// x, y: [N, C, H, W]. moments: of each group's chunks, see group_norm_moments.wgsl. weight: [C].
// A workgroup computes STEPS · WORKGROUP values of one group.
//
// The trick: every invocation reads the moments of one chunk of the group; with the distances
// d = mean of the chunk - mean of the first chunk, one reduction merges them (Chan, Golub and
// LeVeque 1979): Σ (v - mean)² = Σ squares + Σ len · d² - (Σ len · d)² / Σ len.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    moments_offset: u32,
    moments_batch_stride: u32,
    groups: u32,
    // Values of a group, values of a chunk, chunks of a group.
    group: u32,
    chunk: u32,
    chunks: u32,
    epsilon: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read_write> moments: array<f32>;
@group(0) @binding(_) var<storage, read> weight: array<f32>;

const WORKGROUP = ${WORKGROUP}u;
const STEPS = ${STEPS}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (p.group + STEPS * WORKGROUP - 1u) / (STEPS * WORKGROUP);
    let index = workgroup_index(workgroup, workgroups);
    let group = index / blocks;
    let n = group / p.groups;
    if (n >= p.y_batch) {
        return;
    }
    let at = p.moments_offset + 2u * group * p.chunks;
    let first_mean = moments[at];
    var sums = vec4<f32>();
    if (lane < p.chunks) {
        let len = f32(min(p.chunk, p.group - lane * p.chunk));
        let distance = moments[at + 2u * lane] - first_mean;
        let squares = moments[at + 2u * lane + 1u];
        sums = vec4(len * distance, squares + len * distance * distance, 0.0, 0.0);
    }
    sums = reduce(lane, sums) / f32(p.group);
    let mean = first_mean + sums.x;
    let variance = max(sums.y - sums.x * sums.x, 0.0);
    let factor = inverseSqrt(variance + p.epsilon);
    let plane = p.y_height * p.y_width;
    let first_channel = group % p.groups * (p.group / plane);
    let start = p.x_offset + n * p.x_batch_stride + first_channel * plane;
    for (var step = 0u; step < STEPS; step++) {
        let i = (index % blocks * STEPS + step) * WORKGROUP + lane;
        if (i < p.group) {
            let c = first_channel + i / plane;
            let v = (f32(x[start + i]) - mean) * factor * weight[c];
            store_channel(v, channel_of(n, c), n, c, i % plane / p.y_width, i % p.y_width);
        }
    }
}
