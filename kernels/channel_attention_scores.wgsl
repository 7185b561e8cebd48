// scores[n, c, d] = τ[a] · Σ_s q[n, c, s] · k[n, a·D + d, s] / (‖q[n, c]‖ · ‖k[n, a·D + d]‖)
// for channel c of head a, whose D channels begin at a·D, over all pixels s
//
// q, k: [N, C, H, W]. temperature τ: [heads]. scores: [N, C, D]. A workgroup computes eight scores
// of one channel c.
//
// The trick: norms are summed beside the products, so that everything is read once.
//
// The twin of this and of channel_attention is core/src/cpu/channel_attention.rs.

struct Params {
    query_offset: u32,
    query_batch_stride: u32,
    key_offset: u32,
    key_batch_stride: u32,
    scores_offset: u32,
    scores_batch_stride: u32,
    batch: u32,
    channels: u32,
    // D
    width: u32,
    pixels: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if QUERY == f16
@group(0) @binding(_) var<storage, read_write> q: array<${QUERY}>;
#enable f16 if KEY == f16
@group(0) @binding(_) var<storage, read_write> k: array<${KEY}>;
@group(0) @binding(_) var<storage, read_write> scores: array<f32>;
@group(0) @binding(_) var<storage, read> temperature: array<f32>;

const WORKGROUP = ${WORKGROUP}u;
// Scores of a workgroup.
const SCORES = 8u;
// Of PyTorch's normalize.
const SMALLEST = 1e-12;

#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (p.width + SCORES - 1u) / SCORES;
    let index = workgroup_index(workgroup, workgroups);
    let first = index % blocks * SCORES;
    let c = index / blocks % p.channels;
    let n = index / blocks / p.channels;
    if (n >= p.batch) {
        return;
    }
    let head = c / p.width;
    let q_start = p.query_offset + n * p.query_batch_stride + c * p.pixels;
    let k_start = p.key_offset + n * p.key_batch_stride + head * p.width * p.pixels;
    var query = vec4<f32>();
#for H in 0..2
    var products${H} = vec4<f32>();
    var squares${H} = vec4<f32>();
#endfor
    for (var s = lane; s < p.pixels; s += WORKGROUP) {
        let value = f32(q[q_start + s]);
        query.x += value * value;
#for H in 0..2
#for J in 0..4
        {
            // The last channel again for those that are not there: nothing is stored of them.
            let d = min(first + ${H}u * 4u + ${J}u, p.width - 1u);
            let other = f32(k[k_start + d * p.pixels + s]);
            products${H}[${J}] += value * other;
            squares${H}[${J}] += other * other;
        }
#endfor
#endfor
    }
    let norm = max(sqrt(reduce(lane, query).x), SMALLEST);
    workgroupBarrier();
#for H in 0..2
    let sums${H} = reduce(lane, products${H});
    workgroupBarrier();
    let norms${H} = max(sqrt(reduce(lane, squares${H})), vec4(SMALLEST));
    workgroupBarrier();
    if (lane < 4u && first + ${H}u * 4u + lane < p.width) {
        let at = p.scores_offset + (n * p.channels + c) * p.width + first + ${H}u * 4u + lane;
        scores[at] = temperature[head] * sums${H}[lane] / (norm * norms${H}[lane]);
    }
#endfor
}
