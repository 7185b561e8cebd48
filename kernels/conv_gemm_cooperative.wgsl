// The sums of conv_gemm.wgsl by cooperative matrices: products of FRAGMENT × FRAGMENT matrices that
// a whole subgroup holds, f16 factors and f32 sums, which units of their own compute in many GPUs.
//
// x: through shared/load.wgsl, f16. weight: slabs [g][o / 64][i / SLAB][tap][o % 64][i % SLAB], f16.
// y: through shared/epilogue.wgsl. A workgroup computes ROWS × COLUMNS, each of its PARTS a part of
// FRAGMENT_ROWS × FRAGMENT_COLUMNS fragments. Parts are dealt out to the subgroups there are: one
// each where their size is the expected one, in rounds where there are fewer; a subgroup too many
// repeats the last part. With SPLITS a team of as many subgroups has a part: each multiplies its
// share of the channels that are staged, and what they sum is added as it leaves. Where there are too
// few subgroups for that, each is a team by itself.
//
// DEPTH channels of both factors are staged in workgroup memory, twice: while one half is
// multiplied, the other is filled, so that a step costs one barrier and its reads of x and weight
// have the products' time to arrive. Invocations side by side read pixels side by side, four channels
// of one pixel each, or with X_EIGHTS eight, and the tiles hold the channels of a pixel, and of an
// output, side by side: so do matrix units want both factors. Where a pixel's tap lies in x is found once per tap. Rows of
// the tiles end with a gap of 16 bytes, which spreads a fragment's columns over the banks. Sums
// leave through workgroup memory, fragment by fragment, because their layout in a subgroup is the
// driver's.
//
// With PATHS it computes all paths of an MMRB stage, one after the other in the grid. They have sizes
// and parameters in common but for what stands in lists here, and their weights follow each other.
//
// A style multiplies the weights: |weight · style| stays far from the largest f16 where
// |x · style| need not.
//
// It runs without wgpu's checks, because none could fail. Reads: a pixel outside of x is replaced
// by x's first, a channel past the last by the last, a slab or a panel that is not there by the last
// one, a sample past the last by the last; only then do addresses arise; blocks of channels are whole
// ones. Writes: store_channel, or store_y, guards them. Tiles: depth of a pass is below DEPTH, which is
// looked at where there may be more invocations than words, and a value below the stride; a fragment
// begins where it ends inside of its half, as a share is below 2 · SPLITS; a slot is below SLOTS, as is
// what `at` and a member of the team make, and a team has at most SPLITS. Divisors: rows, columns, phases and
// groups of a plan are at least 1, as are subgroups. Loops: each counts up by at least 1 to a number
// below 2³¹.
//
// The twin is that of every convolution, core/src/cpu/conv_direct.rs.
#unchecked

#enable f16
#enable subgroups
#enable wgpu_cooperative_matrix

#include "shared/product_params.wgsl"

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/load.wgsl"

@group(0) @binding(_) var<storage, read> weight: array<vec4<f16>>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/product_pixels.wgsl"

const ROWS = ${ROWS}u;
const COLUMNS = ${COLUMNS}u;
const DEPTH = ${DEPTH}u;
const FRAGMENT = ${FRAGMENT}u;
const PART_ROWS = ${FRAGMENT_ROWS}u * FRAGMENT;
const PART_COLUMNS = ${FRAGMENT_COLUMNS}u * FRAGMENT;
const PARTS_ACROSS = COLUMNS / PART_COLUMNS;
const PARTS = ROWS / PART_ROWS * PARTS_ACROSS;
const THREADS = ${THREADS}u;
#if SPLITS
const SPLITS = ${SPLITS}u;
#else
const SPLITS = 1u;
#endif
const PANEL_ROWS = ${PANEL_ROWS}u;
// Of a row, and of a panel's rows, for one slab and tap.
const SLAB_QUADS = ${SLAB}u / 4u;
const PANEL_QUADS = PANEL_ROWS * SLAB_QUADS;
// Subgroups at most.
const SLOTS = ${SLOTS}u;

#if PATHS
const PATHS = ${PATHS}u;
const FIRST_INPUT = array<u32, PATHS>(${FIRST_INPUT});
const FIRST_OUTPUT = array<u32, PATHS>(${FIRST_OUTPUT});
// From a tap to the next, and to the first one.
const STEP = array<i32, PATHS>(${STEP});
const CORNER = array<i32, PATHS>(${CORNER});
#else
const PATHS = 1u;
#endif

// From an output or a pixel to the next, in halves, with the gap. Matrices are loaded by pointers to
// halves: Metal takes no others.
const STRIDE = DEPTH + 8u;

#include "shared/word.wgsl"

// Channels that the workgroup stages at a time.
const V_STEP = THREADS / COLUMNS * WORD;

var<workgroup> u_tile: array<f16, 2u * ROWS * STRIDE>;
var<workgroup> v_tile: array<f16, 2u * COLUMNS * STRIDE>;
var<workgroup> sums: array<f32, SLOTS * FRAGMENT * FRAGMENT>;

#include "shared/sums.wgsl"

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let row_blocks = (p.group_outputs + ROWS - 1u) / ROWS;
    let column_blocks = (p.rows * p.columns + COLUMNS - 1u) / COLUMNS;
    let index = workgroup_index(workgroup, workgroups);
    let row_block = index % row_blocks;
    // Of all paths.
    let path_group = index / row_blocks % (p.groups * PATHS);
    let group = path_group % p.groups;
    let column_block = index / (row_blocks * p.groups * PATHS) % column_blocks;
    // A workgroup past the end repeats the last sample and stores nothing: operations of whole
    // subgroups may not follow a return.
    let sample = index / (row_blocks * p.groups * PATHS * column_blocks);
    let n = min(sample, p.batch - 1u);
    let first_row = row_block * ROWS;
    let first_pixel = column_block * COLUMNS;
#if PATHS
    let path = path_group / p.groups;
    let first_input = FIRST_INPUT[path] + group * p.group_inputs;
    let first_output = FIRST_OUTPUT[path] + group * p.group_outputs;
    let tap_step = STEP[path];
    let from_first = vec2<i32>(CORNER[path] - p.top, CORNER[path] - p.left);
#else
    let first_input = p.first_input + group * p.group_inputs;
    let first_output = p.first_output + group * p.group_outputs;
    let tap_step = p.step;
    let from_first = vec2<i32>();
#endif

    // This invocation stages four channels of some outputs, and of one pixel at every V_STEP-th.
    let slabs = (p.group_inputs + 4u * SLAB_QUADS - 1u) / (4u * SLAB_QUADS);
    let panels = (p.group_outputs + PANEL_ROWS - 1u) / PANEL_ROWS;
#for K in 0..${U_QUADS}
    let u_row${K} = (lane + ${K}u * THREADS) / SLAB_QUADS % ROWS;
    let u_slab${K} = (lane + ${K}u * THREADS) / (ROWS * SLAB_QUADS);
    let u_depth${K} = u_slab${K} * 4u * SLAB_QUADS + lane % SLAB_QUADS * 4u;
    let panel${K} = path_group * panels + min((first_row + u_row${K}) / PANEL_ROWS, panels - 1u);
    let u_base${K} = panel${K} * slabs * p.taps * PANEL_QUADS
        + (first_row + u_row${K}) % PANEL_ROWS * SLAB_QUADS + lane % SLAB_QUADS;
#endfor
    let v_pixel = lane % COLUMNS;
    let v_depth = lane / COLUMNS * WORD;
    let plane = p.x_height * p.x_width;
#if X_EIGHTS
    let x_base = (p.x_offset + n * p.x_batch_stride) / 8u + first_input / 8u * plane;
#else
    let x_base = p.x_offset + n * p.x_batch_stride + first_input * plane;
#endif
    let first_corner = corner(first_pixel + v_pixel) + from_first;
    var at = vec2<i32>();
    var there = false;

    let steps = p.tap_rows * p.tap_columns * ((p.group_inputs + DEPTH - 1u) / DEPTH);
    let team = select(1u, SPLITS, subgroups >= PARTS * SPLITS);
    for (var round = 0u; round * subgroups < PARTS * team; round++) {
        let part = min((round * subgroups + subgroup) / team, PARTS - 1u);
        let part_row = part / PARTS_ACROSS * PART_ROWS;
        let part_column = part % PARTS_ACROSS * PART_COLUMNS;
#for R in 0..${FRAGMENT_ROWS}
#for S in 0..${FRAGMENT_COLUMNS}
        var m${R}_${S} = coop_mat${FRAGMENT}x${FRAGMENT}<f32, C>();
#endfor
#endfor
#for K in 0..${U_QUADS}
        var u${K} = vec4<f16>();
#endfor
#for K in 0..${V_WORDS}
        var v${K} = Word();
#endfor
        var tap_row = 0u;
        var tap_column = 0u;
        var i = 0u;
        var half = 0u;
        workgroupBarrier();
#include "shared/cooperative_read.wgsl"
#include "shared/cooperative_stage.wgsl"
        for (var step = 0u; step < steps; step++) {
            workgroupBarrier();
            // After the last step this reads the first tiles again; nobody multiplies them.
#include "shared/cooperative_read.wgsl"
            for (var turn = 0u; turn * team < SPLITS; turn++) {
                let share = (turn * team + subgroup % team) * (DEPTH / SPLITS);
                let u_share = (half * ROWS + part_row) * STRIDE + share;
                let v_share = (half * COLUMNS + part_column) * STRIDE + share;
#for K in 0..${DEPTH_FRAGMENTS}
                {
#for R in 0..${FRAGMENT_ROWS}
                    let a${R} = coopLoadT<coop_mat${FRAGMENT}x${FRAGMENT}<f16, A>>(
                        &u_tile[u_share + ${R}u * FRAGMENT * STRIDE + ${K}u * FRAGMENT],
                        STRIDE,
                    );
#endfor
#for S in 0..${FRAGMENT_COLUMNS}
                    let b${S} = coopLoad<coop_mat${FRAGMENT}x${FRAGMENT}<f16, B>>(
                        &v_tile[v_share + ${S}u * FRAGMENT * STRIDE + ${K}u * FRAGMENT],
                        STRIDE,
                    );
#for R in 0..${FRAGMENT_ROWS}
                    m${R}_${S} = coopMultiplyAdd(a${R}, b${S}, m${R}_${S});
#endfor
#endfor
                }
#endfor
            }
            half = 1u - half;
#include "shared/cooperative_stage.wgsl"
        }
        // A subgroup too many has a slot that nobody reads.
        let slot = min(subgroup, SLOTS - 1u);
#for R in 0..${FRAGMENT_ROWS}
#for S in 0..${FRAGMENT_COLUMNS}
#if EIGHTS
        coopStore(m${R}_${S}, &sums[slot * FRAGMENT * FRAGMENT], FRAGMENT);
#else
        coopStoreT(m${R}_${S}, &sums[slot * FRAGMENT * FRAGMENT], FRAGMENT);
#endif
        workgroupBarrier();
        for (var word = lane; word < PARTS * FRAGMENT * FRAGMENT / LANES; word += THREADS) {
            let at = word * LANES;
            let owner = round * subgroups + at / (FRAGMENT * FRAGMENT);
#if EIGHTS
            let in_fragment = vec2<u32>(at % FRAGMENT, at / FRAGMENT % FRAGMENT);
#else
            let in_fragment = vec2<u32>(at / FRAGMENT % FRAGMENT, at % FRAGMENT);
#endif
            let row = first_row + owner / PARTS_ACROSS * PART_ROWS
                + ${R}u * FRAGMENT + in_fragment.x;
            let there = at / (FRAGMENT * FRAGMENT) < subgroups && owner < PARTS;
            if (there && sample < p.batch && row < p.group_outputs) {
                let pixel = first_pixel + owner % PARTS_ACROSS * PART_COLUMNS
                    + ${S}u * FRAGMENT + in_fragment.y;
                let o = first_output + row;
                let first = at / (FRAGMENT * FRAGMENT) * (team - 1u) * FRAGMENT * FRAGMENT + at;
                var sum = sums_at(first);
                for (var member = 1u; member < team; member++) {
                    sum += sums_at(first + member * FRAGMENT * FRAGMENT);
                }
#if EIGHTS
                store_pixel(sum, n, o, pixel);
#else
                store_pixel(sum, channel_of(n, o), n, o, pixel);
#endif
            }
        }
        workgroupBarrier();
#endfor
#endfor
    }
}
