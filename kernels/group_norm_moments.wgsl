// moments[g, i] = (mean, Σ (v - mean)²) of the values v of chunk i of group g, groups counted over
// all samples
//
// x: [N, C, H, W]: a group's channels, and so its values, follow each other. moments: pairs [g][i].
// A workgroup sums one chunk.
//
// The trick: distances from the chunk's own mean, in a second pass over what the cache still
// holds; the difference of two large sums would lose digits.
//
// The twin of this and of group_norm, which joins the chunks, is core/src/cpu/group_norm.rs.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    moments_offset: u32,
    moments_batch_stride: u32,
    batch: u32,
    groups: u32,
    // Values of a group, values of a chunk, chunks of a group.
    group: u32,
    chunk: u32,
    chunks: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read_write> moments: array<f32>;

const WORKGROUP = ${WORKGROUP}u;

#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let group = index / p.chunks;
    let n = group / p.groups;
    if (n >= p.batch) {
        return;
    }
    let first = index % p.chunks * p.chunk;
    let len = min(p.chunk, p.group - first);
    let start = p.x_offset + n * p.x_batch_stride + group % p.groups * p.group + first;
    var sum = vec4<f32>();
    for (var i = lane; i < len; i += WORKGROUP) {
        sum.x += f32(x[start + i]);
    }
    let mean = reduce(lane, sum).x / f32(len);
    workgroupBarrier();
    sum = vec4<f32>();
    for (var i = lane; i < len; i += WORKGROUP) {
        let distance = f32(x[start + i]) - mean;
        sum.x += distance * distance;
    }
    let squares = reduce(lane, sum).x;
    if (lane == 0u) {
        moments[p.moments_offset + 2u * index] = mean;
        moments[p.moments_offset + 2u * index + 1u] = squares;
    }
}
