// All paths of an MMRB stage in one dispatch:
//
//   y[n, first_output(q) + o, h, w] = epilogue(Σ_{i,u,v} W_q[o, i, u, v] · x[n, c_q(o, i), h + D_q·(u - k_q/2), w + D_q·(v - k_q/2)])
//
// x: through shared/load.wgsl. weights: all W_q [O_q, I_q, k_q, k_q], one after the other, f32.
// y: through shared/epilogue.wgsl. A workgroup computes 16×16 pixels of OUT channels of one group
// of one path; the workgroups of one tile follow each other, so that all paths read x from cache.
//
// The trick: a few channels of the tile with the path's halo, and their weights, are staged in
// workgroup memory (16 KiB, WebGPU's default); one column of four pixels then serves OUT channels.
// A path whose halo or kernel does not fit reads x directly.

const PATHS = ${PATHS}u;
const KERNEL = array<u32, PATHS>(${KERNEL});
const DILATION = array<u32, PATHS>(${DILATION});
const FIRST_INPUT = array<u32, PATHS>(${FIRST_INPUT});
// Per group.
const INPUTS = array<u32, PATHS>(${INPUTS});
const OUTPUTS = array<u32, PATHS>(${OUTPUTS});
const FIRST_OUTPUT = array<u32, PATHS>(${FIRST_OUTPUT});
const FIRST_WEIGHT = array<u32, PATHS>(${FIRST_WEIGHT});
// Blocks of OUT channels before the path.
const FIRST_BLOCK = array<u32, PATHS>(${FIRST_BLOCK});
const BLOCKS = ${BLOCKS}u;

const TILE = ${TILE}u;
// Output rows of an invocation.
const ROWS = 4u;
const WORKGROUP = TILE * TILE / ROWS;
const QUADS = ${QUADS}u;
const OUT = 4u * QUADS;
// Staged values (12 KiB) and weights (4 KiB).
const VALUES = 3072u;
const WEIGHT_QUADS = 256u;

struct Params {
#include "shared/load_params.wgsl"
    batch: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/load.wgsl"

@group(0) @binding(_) var<storage, read> weights: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

var<workgroup> staged: array<f32, VALUES>;
var<workgroup> staged_weights: array<vec4<f32>, WEIGHT_QUADS>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let block = index % BLOCKS;
    let tile_columns = (p.y_width + TILE - 1u) / TILE;
    let tile_rows = (p.y_height + TILE - 1u) / TILE;
    let tile = index / BLOCKS;
    let n = tile / (tile_columns * tile_rows);
    if (n >= p.batch) {
        return;
    }
    var path = 0u;
    while (path + 1u < PATHS && block >= FIRST_BLOCK[min(path + 1u, PATHS - 1u)]) {
        path++;
    }
    let k = KERNEL[path];
    let d = DILATION[path];
    let inputs = INPUTS[path];
    let outputs = OUTPUTS[path];
    let blocks = (outputs + OUT - 1u) / OUT;
    let group = (block - FIRST_BLOCK[path]) / blocks;
    let first = (block - FIRST_BLOCK[path]) % blocks * OUT;
    let first_input = FIRST_INPUT[path] + group * inputs;
    let first_output = group * outputs + first;
    let count = min(OUT, outputs - first);
    let taps = k * k;
    let halo = k / 2u * d;
    let size = TILE + 2u * halo;
    let top = tile / tile_columns % tile_rows * TILE;
    let left = tile % tile_columns * TILE;
    let row = lane / TILE * ROWS;
    let column = lane % TILE;

#for Q in 0..${QUADS}
#for C in 0..4
    var y${Q}_${C} = vec4<f32>();
#endfor
#endfor
    let chunk = min(VALUES / (size * size), WEIGHT_QUADS / QUADS / taps);
    if (chunk > 0u) {
        for (var start = 0u; start < inputs; start += chunk) {
            let channels = min(chunk, inputs - start);
            for (var at = lane; at < channels * size * size; at += WORKGROUP) {
                let c = first_input + start + at / (size * size);
                let h = i32(top + at / size % size) - i32(halo);
                staged[at] = load_plain(n, c, h, i32(left + at % size) - i32(halo));
            }
            for (var at = lane; at < channels * taps * QUADS; at += WORKGROUP) {
                let o = at % QUADS * 4u;
                let weight = FIRST_WEIGHT[path] + start * taps + at / QUADS;
                var quad = vec4<f32>();
#for C in 0..4
                if (o + ${C}u < count) {
                    quad[${C}] = weights[weight + (first_output + o + ${C}u) * inputs * taps];
                }
#endfor
                staged_weights[at] = quad;
            }
            workgroupBarrier();
            for (var i = 0u; i < channels; i++) {
                for (var tap = 0u; tap < taps; tap++) {
                    let at = (i * size + row + tap / k * d) * size + column + tap % k * d;
                    let value = vec4<f32>(
                        staged[at],
                        staged[at + size],
                        staged[at + 2u * size],
                        staged[at + 3u * size],
                    );
#for Q in 0..${QUADS}
                    let weight${Q} = staged_weights[(i * taps + tap) * QUADS + ${Q}u];
#for C in 0..4
                    y${Q}_${C} += weight${Q}[${C}] * value;
#endfor
#endfor
                }
            }
            workgroupBarrier();
        }
    } else {
        for (var i = 0u; i < inputs; i++) {
            for (var tap = 0u; tap < taps; tap++) {
                let h = i32(top + row + tap / k * d) - i32(halo);
                let w = i32(left + column + tap % k * d) - i32(halo);
                let c = first_input + i;
                let value = vec4<f32>(
#for J in 0..4
                    load_plain(n, c, h + ${J}, w),
#endfor
                );
                let weight = FIRST_WEIGHT[path] + (first_output * inputs + i) * taps + tap;
#for Q in 0..${QUADS}
#for C in 0..4
                y${Q}_${C} += weights[weight + min(${Q}u * 4u + ${C}u, count - 1u) * inputs * taps]
                    * value;
#endfor
#endfor
            }
        }
    }
#for Q in 0..${QUADS}
#for C in 0..4
    if (${Q}u * 4u + ${C}u < count) {
        let o = FIRST_OUTPUT[path] + first_output + ${Q}u * 4u + ${C}u;
        let channel = channel_of(n, o);
#for J in 0..4
        store_channel(y${Q}_${C}[${J}], channel, n, o, top + row + ${J}u, left + column);
#endfor
    }
#endfor
#endfor
}
