// y[n, o, S'·r + a, S'·c + b] = epilogue(Σ_{i,u,v} W[o, i, tap(u, v)] · x[n, i, S·r + D·u + top, S·c + D·v + left])
//
// as a matrix product of weights and gathered inputs that are never stored: rows are output
// channels of one group, columns the pixels (r, c) of one sample, and the depth runs over taps,
// then input channels. A convolution has S' = 1; one phase (a, b) of a transposed convolution has
// S = 1 and D = -1 and sees every S'-th tap; a path of an MMRB writes a part of y's channels.
//
// x: through shared/load.wgsl. weight: panels [g][o / 64][tap · I + i][o % 64] (Layout::Panels).
// y: through shared/epilogue.wgsl. A workgroup computes ROWS × COLUMNS.
//
// The workgroup stages 16 channels of both factors (shared/tile.wgsl); where it has parts, each
// stages 16 of its own, and their sums are added at the end.
//
// It runs without wgpu's checks, because none could fail. Reads: load_plain and the guard by
// group_inputs keep to x, style and the panels, whose lengths the plan derives from the same
// shapes; panel is below groups · panels, because workgroups past the end return and a second panel
// that is not there is replaced by the last. Writes: store_channel guards them, and what the
// epilogue reads has y's shape. Tiles: lane is below THREADS, a pass adds THREADS, and PASSES of
// them are a tile; part is below SPLITS, d below SPLITS · DEPTH; the 16 sums of an invocation fit the
// tiles of the weights (conv_gemm.rs). Divisors: rows, columns, phases and groups of a plan are at
// least 1. Loops: each counts up by a constant to a number below 2³¹.
#unchecked

#include "shared/product_params.wgsl"

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/load.wgsl"

#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<vec4<${W}>>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

// In words of four values.
const PANEL_WIDTH = ${PANEL_ROWS}u / 4u;

#include "shared/tile.wgsl"
const ROWS = TILE_ROWS;
const COLUMNS = TILE_COLUMNS;
const WORKGROUP = SPLITS * THREADS;
// Rows of the tiles that the workgroup stages at a time.
const U_STEP = THREADS / U_WIDTH;
const V_STEP = THREADS / V_WIDTH;

#include "shared/product_pixels.wgsl"

fn store_pixels(v: vec4<f32>, channel: Channel, n: u32, o: u32, pixel: u32) {
#if IN_QUADS
    store_pixel(v, channel, n, o, pixel);
#else
#for J in 0..4
    store_pixel(v[${J}], channel, n, o, pixel + ${J}u);
#endfor
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
#if SPLITS
    @builtin(local_invocation_index) invocation: u32,
) {
    let part = invocation / THREADS;
    let lane = invocation % THREADS;
#else
    @builtin(local_invocation_index) lane: u32,
) {
    const part = 0u;
#endif
    let row_blocks = (p.group_outputs + ROWS - 1u) / ROWS;
    let column_blocks = (p.rows * p.columns + COLUMNS - 1u) / COLUMNS;
    let index = workgroup_index(workgroup, workgroups);
    let row_block = index % row_blocks;
    let group = index / row_blocks % p.groups;
    let column_block = index / (row_blocks * p.groups) % column_blocks;
    let n = index / (row_blocks * p.groups * column_blocks);
    if (n >= p.batch) {
        return;
    }
    let first_row = row_block * ROWS;
    let first_input = p.first_input + group * p.group_inputs;
    let first_output = p.first_output + group * p.group_outputs;
    let panels = (p.group_outputs + 4u * PANEL_WIDTH - 1u) / (4u * PANEL_WIDTH);
    // This invocation stages four rows of weights and four pixels, at every STEP-th channel.
    let row_word = first_row / 4u + lane % U_WIDTH;
    let u_depth = part * DEPTH + lane / U_WIDTH;
    let v_depth = part * DEPTH + lane / V_WIDTH;
    let u_at = part * DEPTH * U_WIDTH + lane;
    let v_at = part * DEPTH * V_WIDTH + lane;
    let panel = group * panels + min(row_word / PANEL_WIDTH, panels - 1u);
    let first_weight = panel * p.taps * p.group_inputs * PANEL_WIDTH + row_word % PANEL_WIDTH;
    let pixel = column_block * COLUMNS + lane % V_WIDTH * 4u;
#if UPSAMPLE != nearest
#for J in 0..4
    let corner${J} = corner(pixel + ${J}u);
#endfor
#endif
#include "shared/tile_declare.wgsl"
    for (var tap_row = 0u; tap_row < p.tap_rows; tap_row++) {
        for (var tap_column = 0u; tap_column < p.tap_columns; tap_column++) {
            let tap = p.first_tap + tap_row * p.tap_row_step + tap_column * p.tap_column_step;
            let shift = vec2<i32>(i32(tap_row), i32(tap_column)) * p.step;
            var u = first_weight + tap * p.group_inputs * PANEL_WIDTH;
#for J in 0..4
#if UPSAMPLE == nearest
            // Found anew for each tap: with the resize, Apple's GPUs have too few registers.
            let at${J} = corner(pixel + ${J}u) + shift;
#else
            let at${J} = corner${J} + shift;
#endif
#endfor
            for (var i = 0u; i < p.group_inputs; i += SPLITS * DEPTH) {
#for K in 0..${U_PASSES}
                {
                    let depth = u_depth + ${K}u * U_STEP;
                    var weights = vec4<f32>();
                    if (i + depth < p.group_inputs) {
                        weights = vec4<f32>(weight[u + depth * PANEL_WIDTH]);
                    }
                    u_tile[u_at + ${K}u * THREADS] = weights;
                }
#endfor
#for K in 0..${V_PASSES}
                {
                    let depth = i + v_depth + ${K}u * V_STEP;
                    var values = vec4<f32>();
                    if (depth < p.group_inputs) {
                        let c = first_input + depth;
                        values = load_style(n, c) * vec4<f32>(
#for J in 0..4
                            load_plain(n, c, at${J}.x, at${J}.y),
#endfor
                        );
                    }
                    v_tile[v_at + ${K}u * THREADS] = values;
                }
#endfor
                workgroupBarrier();
#include "shared/tile_accumulate.wgsl"
                workgroupBarrier();
                u += SPLITS * DEPTH * PANEL_WIDTH;
            }
        }
    }
#if SPLITS
    // The first part adds the others' sums to its own; the loops have ended with a barrier.
#for S in 1..${SPLITS}
    if (part == ${S}u) {
#for H in 0..2
#for C in 0..4
#for Q in 0..2
        u_tile[(${H}u * 8u + ${C}u * 2u + ${Q}u) * THREADS + lane] = m${H}_${C}_${Q};
#endfor
#endfor
#endfor
    }
    workgroupBarrier();
    if (part == 0u) {
#for H in 0..2
#for C in 0..4
#for Q in 0..2
        m${H}_${C}_${Q} += u_tile[(${H}u * 8u + ${C}u * 2u + ${Q}u) * THREADS + lane];
#endfor
#endfor
#endfor
    }
    workgroupBarrier();
#endfor
    if (part > 0u) {
        return;
    }
#endif
    let first_pixel = column_block * COLUMNS + tile_column * 4u;
#for H in 0..2
#for C in 0..4
    {
        let row = first_row + ${H}u * (ROWS / 2u) + tile_row * 4u + ${C}u;
        if (row < p.group_outputs) {
            let o = first_output + row;
            let channel = channel_of(n, o);
            store_pixels(m${H}_${C}_0, channel, n, o, first_pixel);
            store_pixels(m${H}_${C}_1, channel, n, o, first_pixel + COLUMNS / 2u);
        }
    }
#endfor
#endfor
}
