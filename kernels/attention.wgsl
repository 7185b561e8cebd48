// y[n, c, t] = epilogue(Σ_s softmax_s(scale · Σ_j q[n, a·D + j, t] · k[n, a·D + j, s]) · v[n, c, s])
// for channel c of head a, whose D channels begin at a·D; s and t count pixels
//
// q, y: [N, C, H, W]. k, v: [N, C, H', W']. A workgroup computes 64 queries t of 64 channels c.
//
// The trick (FlashAttention, Dao et al. 2022): keys come 64 at a time, and what was summed so far
// is scaled down whenever a higher score turns up, so no more than 64 × 64 scores exist at once.
// Scores are a tile of shared/tile.wgsl with keys as rows, and so are the sums with channels as
// rows: a query has the same column in both, hence the same invocations. Its scores pass from the
// one to the other through the tile's own memory, 16 keys at a time; the sums leave the same way.

struct Params {
    query_offset: u32,
    query_batch_stride: u32,
    key_offset: u32,
    key_batch_stride: u32,
    value_offset: u32,
    value_batch_stride: u32,
    heads: u32,
    // D
    width: u32,
    queries: u32,
    keys: u32,
    scale: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if QUERY == f16
@group(0) @binding(_) var<storage, read_write> q: array<${QUERY}>;
#enable f16 if KEY == f16
@group(0) @binding(_) var<storage, read_write> k: array<${KEY}>;
#enable f16 if VALUE == f16
@group(0) @binding(_) var<storage, read_write> v: array<${VALUE}>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/tile.wgsl"

const SIDE = TILE_ROWS;
// Strips and what invocations exchange are written for this tile.
const_assert TILE_ROWS == 64u && TILE_COLUMNS == 64u && DEPTH == 16u;
// Lower than any score; finite, so that differences are.
const LOWEST = -3e38;

// Two words of every invocation: what its columns exchange.
var<workgroup> exchanged: array<vec4<f32>, 128>;

fn load_q(n: u32, c: u32, t: u32) -> f32 {
    if (t >= p.queries) {
        return 0.0;
    }
    return f32(q[p.query_offset + n * p.query_batch_stride + c * p.queries + t]);
}

fn load_k(n: u32, c: u32, s: u32) -> f32 {
    if (s >= p.keys) {
        return 0.0;
    }
    return f32(k[p.key_offset + n * p.key_batch_stride + c * p.keys + s]);
}

// Channel j of the head that begins at c.
fn load_v(n: u32, c: u32, j: u32, s: u32) -> f32 {
    if (s >= p.keys || j >= p.width) {
        return 0.0;
    }
    return f32(v[p.value_offset + n * p.value_batch_stride + (c + j) * p.keys + s]);
}

// A strip is every fourth row of a tile: its row d is row 32·(d / 8) + 4·(d % 8) + c of the tile, of
// which an invocation holds [H][Q] for d = 8·H + tile_row.
fn row_of(d: u32, c: u32) -> u32 {
    return d / 8u * 32u + d % 8u * 4u + c;
}

fn store_strip(strip: array<vec4<f32>, 4>, tile_row: u32, tile_column: u32) {
#for H in 0..2
#for Q in 0..2
    v_tile[(${H}u * 8u + tile_row) * 16u + ${Q}u * 8u + tile_column] = strip[${H} * 2 + ${Q}];
#endfor
#endfor
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let query_blocks = (p.queries + SIDE - 1u) / SIDE;
    let channel_blocks = (p.width + SIDE - 1u) / SIDE;
    let index = workgroup_index(workgroup, workgroups);
    let head = index / (query_blocks * channel_blocks);
    let n = head / p.heads;
    if (n >= p.y_batch) {
        return;
    }
    let first_query = index % query_blocks * SIDE;
    let first_row = index / query_blocks % channel_blocks * SIDE;
    let head_channel = head % p.heads * p.width;

    // Sum [32·H + 4·tile_row + C][32·Q + 4·tile_column ..] of channels and queries is o{H}_{C}_{Q}.
#for H in 0..2
#for C in 0..4
#for Q in 0..2
    var o${H}_${C}_${Q} = vec4<f32>();
#endfor
#endfor
#endfor
#for Q in 0..2
    var highest${Q} = vec4<f32>(LOWEST);
    var total${Q} = vec4<f32>();
#endfor
    // What passes through the tile's memory, strip by strip.
    var strips: array<array<vec4<f32>, 4>, 4>;
    for (var first_key = 0u; first_key < p.keys; first_key += SIDE) {
#include "shared/tile_declare.wgsl"
        for (var j = 0u; j < p.width; j += DEPTH) {
            for (var at = lane; at < DEPTH * 16u; at += THREADS) {
                let c = head_channel + j + at / 16u;
                let s = first_key + at % 16u * 4u;
                let t = first_query + at % 16u * 4u;
                var keys = vec4<f32>();
                var queries = vec4<f32>();
                if (j + at / 16u < p.width) {
#for J in 0..4
                    keys[${J}] = load_k(n, c, s + ${J}u);
                    queries[${J}] = load_q(n, c, t + ${J}u);
#endfor
                }
                u_tile[at] = keys;
                v_tile[at] = queries;
            }
            workgroupBarrier();
#include "shared/tile_accumulate.wgsl"
            workgroupBarrier();
        }
        // The highest score of each query: of this invocation's keys, then of all.
#for Q in 0..2
        var peak${Q} = highest${Q};
#endfor
#for H in 0..2
#for C in 0..4
        let there${H}_${C} = first_key + ${H}u * 32u + tile_row * 4u + ${C}u < p.keys;
#for Q in 0..2
        m${H}_${C}_${Q} = select(vec4<f32>(LOWEST), p.scale * m${H}_${C}_${Q}, there${H}_${C});
        peak${Q} = max(peak${Q}, m${H}_${C}_${Q});
#endfor
#endfor
#endfor
        exchanged[lane * 2u] = peak0;
        exchanged[lane * 2u + 1u] = peak1;
        workgroupBarrier();
        for (var row = 0u; row < 8u; row++) {
            let other = (row * 8u + tile_column) * 2u;
            peak0 = max(peak0, exchanged[other]);
            peak1 = max(peak1, exchanged[other + 1u]);
        }
#for Q in 0..2
        let factor${Q} = exp(highest${Q} - peak${Q});
        highest${Q} = peak${Q};
        total${Q} *= factor${Q};
#for H in 0..2
#for C in 0..4
        o${H}_${C}_${Q} *= factor${Q};
        let weight${H}_${C}_${Q} =
            select(vec4<f32>(), exp(m${H}_${C}_${Q} - peak${Q}), there${H}_${C});
        total${Q} += weight${H}_${C}_${Q};
        strips[${C}u][${H}u * 2u + ${Q}u] = weight${H}_${C}_${Q};
#endfor
#endfor
#endfor
        for (var c = 0u; c < 4u; c++) {
            store_strip(strips[c], tile_row, tile_column);
            for (var at = lane; at < DEPTH * 16u; at += THREADS) {
                // Neighbours read neighbouring keys.
                let d = at % 16u;
                let s = first_key + row_of(d, c);
                let j = first_row + at / 16u * 4u;
                u_tile[d * 16u + at / 16u] = vec4<f32>(
#for J in 0..4
                    load_v(n, head_channel, j + ${J}u, s),
#endfor
                );
            }
            workgroupBarrier();
            for (var d = 0u; d < DEPTH; d++) {
                let weights0 = v_tile[d * 16u + tile_column];
                let weights1 = v_tile[d * 16u + 8u + tile_column];
#for H in 0..2
                let values${H} = u_tile[d * 16u + ${H}u * 8u + tile_row];
#for C in 0..4
                o${H}_${C}_0 += values${H}[${C}] * weights0;
                o${H}_${C}_1 += values${H}[${C}] * weights1;
#endfor
#endfor
            }
            workgroupBarrier();
        }
    }
    exchanged[lane * 2u] = total0;
    exchanged[lane * 2u + 1u] = total1;
    workgroupBarrier();
    let tile_row = lane / 8u;
    let tile_column = lane % 8u;
    total0 = vec4<f32>();
    total1 = vec4<f32>();
    for (var row = 0u; row < 8u; row++) {
        let other = (row * 8u + tile_column) * 2u;
        total0 += exchanged[other];
        total1 += exchanged[other + 1u];
    }
#for C in 0..4
#for H in 0..2
#for Q in 0..2
    strips[${C}u][${H}u * 2u + ${Q}u] = o${H}_${C}_${Q} / total${Q};
#endfor
#endfor
#endfor
    // Neighbours store neighbouring queries.
    let t = first_query + lane;
    for (var c = 0u; c < 4u; c++) {
        store_strip(strips[c], tile_row, tile_column);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let row = first_row + row_of(d, c);
            if (row < p.width) {
                let o = head_channel + row;
                let sum = v_tile[d * 16u + lane / 4u][lane % 4u];
                store_channel(sum, channel_of(n, o), n, o, t / p.y_width, t % p.y_width);
            }
        }
        workgroupBarrier();
    }
}
