// y[n, c, t] = epilogue(Σ_s softmax_s(scale · Σ_j q[n, a·D + j, t] · k[n, a·D + j, s]
//     + B[a, t - s + window + margin - 1]) · v[n, c, s])
// for channel c of head a, whose D channels begin at a·D, over the pixels s of t's window and of
// the margin around it; keys and values outside of the picture are zeros
//
// q, k, v, y: [N, C, H, W]. bias B: [heads, 2·(rows + margin) - 1, 2·(columns + margin) - 1]. A
// workgroup computes 64 queries of a window, one an invocation, all D channels of a head.
//
// The trick: windows are found by arithmetic, so nothing is cut, rolled or masked. Keys and values
// of a window come KEYS at a time into workgroup memory, where all queries read them; what was
// summed so far is scaled down whenever a higher score turns up, as in attention.wgsl.

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
    window_rows: u32,
    window_columns: u32,
    // Of the first windows, what lies outside.
    offset_rows: u32,
    offset_columns: u32,
    margin: u32,
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
@group(0) @binding(_) var<storage, read> bias: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

// Invocations, and queries, of a workgroup.
const QUERIES = 64u;
const KEYS = ${KEYS}u;
// D in words of four.
const WORDS = ${WORDS}u;
// Lower than any score; finite, so that differences are.
const LOWEST = -3e38;

var<workgroup> keys: array<vec4<f32>, KEYS * WORDS>;
var<workgroup> values_of: array<vec4<f32>, KEYS * WORDS>;

fn load_q(n: u32, c: u32, pixel: u32) -> f32 {
    return f32(q[p.query_offset + n * p.query_batch_stride + c * p.y_height * p.y_width + pixel]);
}

fn load_k(n: u32, c: u32, pixel: u32) -> f32 {
    return f32(k[p.key_offset + n * p.key_batch_stride + c * p.y_height * p.y_width + pixel]);
}

fn load_v(n: u32, c: u32, pixel: u32) -> f32 {
    return f32(v[p.value_offset + n * p.value_batch_stride + c * p.y_height * p.y_width + pixel]);
}

// The first of window `index`, and how many of it lie inside of `size`.
fn part_of(index: u32, window: u32, offset: u32, size: u32) -> vec2<u32> {
    let begin = max(index * window, offset) - offset;
    let end = min((index + 1u) * window - offset, size);
    return vec2(begin, end - begin);
}

@compute @workgroup_size(QUERIES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let down = (p.y_height + p.offset_rows + p.window_rows - 1u) / p.window_rows;
    let across = (p.y_width + p.offset_columns + p.window_columns - 1u) / p.window_columns;
    let blocks = (p.window_rows * p.window_columns + QUERIES - 1u) / QUERIES;
    let index = workgroup_index(workgroup, workgroups);
    let block = index % blocks;
    let column_of_windows = index / blocks % across;
    let row_of_windows = index / (blocks * across) % down;
    let head = index / (blocks * across * down);
    let n = head / p.heads;
    if (n >= p.y_batch) {
        return;
    }
    let first_channel = head % p.heads * p.width;
    let rows = part_of(row_of_windows, p.window_rows, p.offset_rows, p.y_height);
    let columns = part_of(column_of_windows, p.window_columns, p.offset_columns, p.y_width);
    let t = block * QUERIES + lane;
    let there = t < rows.y * columns.y;
    // Keys, counted from the margin's first row and column.
    let key_columns = columns.y + 2u * p.margin;
    let count = (rows.y + 2u * p.margin) * key_columns;
    // Those that are not there compute the window's first query, and store nothing.
    let at = select(0u, t, there);
    let t_row = at / columns.y;
    let t_column = at % columns.y;
    let t_pixel = (rows.x + t_row) * p.y_width + columns.x + t_column;
    var query: array<vec4<f32>, WORDS>;
    var sum: array<vec4<f32>, WORDS>;
    for (var word = 0u; word < WORDS; word++) {
        var part = vec4<f32>();
#for J in 0..4
        if (word * 4u + ${J}u < p.width) {
            part[${J}] = p.scale * load_q(n, first_channel + word * 4u + ${J}u, t_pixel);
        }
#endfor
        query[word] = part;
        sum[word] = vec4<f32>();
    }
    // Of a key in the margin's first row and column.
    let far_row = t_row + p.window_rows + 2u * p.margin - 1u;
    let far_column = t_column + p.window_columns + 2u * p.margin - 1u;
    let bias_columns = 2u * (p.window_columns + p.margin) - 1u;
    let bias_start = head % p.heads * (2u * (p.window_rows + p.margin) - 1u) * bias_columns;
    var highest = LOWEST;
    var total = 0.0;
    var scores: array<f32, KEYS>;
    for (var first_key = 0u; first_key < count; first_key += KEYS) {
        for (var i = lane; i < KEYS * WORDS; i += QUERIES) {
            // Neighbours read neighbouring keys.
            let s = first_key + i % KEYS;
            let word = i / KEYS;
            var key = vec4<f32>();
            var value = vec4<f32>();
            // Wraps above and before the picture, to far beyond it.
            let row = rows.x + s / key_columns - p.margin;
            let column = columns.x + s % key_columns - p.margin;
            if (s < count && row < p.y_height && column < p.y_width) {
                let pixel = row * p.y_width + column;
#for J in 0..4
                if (word * 4u + ${J}u < p.width) {
                    key[${J}] = load_k(n, first_channel + word * 4u + ${J}u, pixel);
                    value[${J}] = load_v(n, first_channel + word * 4u + ${J}u, pixel);
                }
#endfor
            }
            keys[i % KEYS * WORDS + word] = key;
            values_of[i % KEYS * WORDS + word] = value;
        }
        workgroupBarrier();
        let here = min(KEYS, count - first_key);
        var peak = highest;
        for (var i = 0u; i < here; i++) {
            let s = first_key + i;
            let row = far_row - s / key_columns;
            let column = far_column - s % key_columns;
            var score = bias[bias_start + row * bias_columns + column];
            for (var word = 0u; word < WORDS; word++) {
                score += dot(query[word], keys[i * WORDS + word]);
            }
            scores[i] = score;
            peak = max(peak, score);
        }
        let factor = exp(highest - peak);
        highest = peak;
        total *= factor;
        for (var word = 0u; word < WORDS; word++) {
            sum[word] *= factor;
        }
        for (var i = 0u; i < here; i++) {
            let weight = exp(scores[i] - peak);
            total += weight;
            for (var word = 0u; word < WORDS; word++) {
                sum[word] += weight * values_of[i * WORDS + word];
            }
        }
        workgroupBarrier();
    }
    if (!there) {
        return;
    }
    for (var word = 0u; word < WORDS; word++) {
        let result = sum[word] / total;
#for J in 0..4
        if (word * 4u + ${J}u < p.width) {
            let o = first_channel + word * 4u + ${J}u;
            let channel = channel_of(n, o);
            store_channel(result[${J}], channel, n, o, rows.x + t_row, columns.x + t_column);
        }
#endfor
    }
}
