// A convolution of stride 1 as conv_gemm_cooperative.wgsl computes it, but with the input staged once
// for all taps: y[o, h, w] = epilogue(Σ W[o, i, u, v] · x[i, h + u·DILATION, w + v·DILATION]).
//
// x: through shared/load.wgsl, f16. weight: slabs [g][o / 64][i / SLAB][tap][o % 64][i % SLAB], f16.
// y: through shared/epilogue.wgsl. A workgroup computes ROWS outputs of TILE_ROWS × TILE_COLUMNS
// pixels, each of its PARTS a part of FRAGMENT_ROWS × FRAGMENT_COLUMNS fragments, dealt out to the
// subgroups there are as in conv_gemm_cooperative.wgsl.
//
// SLAB channels of a tile's pixels and of those around it, the patch, lie in workgroup memory, the
// channels of a pixel side by side. So a tap is nothing but another first pixel, and nine taps read
// from memory once: x's traffic is that of a 1×1 convolution and a border. The weights of the next
// tap arrive while one is multiplied, in the other half of their tile. So do the values of the next
// patch, which take the place of this one behind a barrier of its own. A row of a fragment ends with
// a gap of 16 bytes, which spreads its columns over the banks. A bilinear resize belongs to the staging,
// where each value passes once: the pixels that the patch is made of, a quarter as many, are staged
// before it.
//
// A style multiplies the weights: |weight · style| stays far from the largest f16 where
// |x · style| need not.
//
// With X_EIGHTS an invocation reads eight channels of a pixel at once, otherwise four planes.
//
// Sums leave through workgroup memory, ROUND fragments of a subgroup at a time, because their layout
// in a subgroup is the driver's. Those that are stored together lie there side by side: pixels of a
// channel, or with EIGHTS channels of a pixel.
//
// It runs without wgpu's checks, because none could fail. Reads: a pixel outside of x is replaced
// by x's first, or through a bilinear resize by the nearest, a channel past the last by the last, a
// panel that is not there by the last one, the step after the last by the last, a sample past the last
// by the last; only then do addresses arise; blocks of channels are whole ones. Writes: store_channel,
// or store_y, guards them. Tiles: a word of the patch or of the weights is written where there is one; a fragment begins where it ends inside of the
// patch, as the host makes PATCH_ROWS and PATCH_COLUMNS of the tile and the taps; of n pixels in a row,
// those that they are made of are at most n / 2 + 2, as the host makes SOURCE_ROWS and SOURCE_COLUMNS of
// the patch; a slot is below SLOTS, as is what `at` makes. Divisors: rows, columns and groups of a plan
// are at least 1, as are subgroups. Loops: each counts up by at least 1 to a number below 2³¹.
//
// The twin is that of every convolution, core/src/cpu/conv_direct.rs.
#unchecked

#enable f16
#enable subgroups
#enable wgpu_cooperative_matrix

#include "shared/product_params.wgsl"

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/load.wgsl"

@group(0) @binding(_) var<storage, read> weight: array<mat2x4<f16>>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

const ROWS = ${ROWS}u;
const TILE_ROWS = ${TILE_ROWS}u;
const TILE_COLUMNS = ${TILE_COLUMNS}u;
const TAPS = ${TAP_ROWS}u * ${TAP_COLUMNS}u;
const DILATION = ${DILATION}u;
const PATCH_ROWS = ${PATCH_ROWS}u;
const PATCH_COLUMNS = ${PATCH_COLUMNS}u;
const PATCH_PIXELS = PATCH_ROWS * PATCH_COLUMNS;
const FRAGMENT = ${FRAGMENT}u;
const FRAGMENT_CELLS = FRAGMENT * FRAGMENT;
const PART_ROWS = ${FRAGMENT_ROWS}u * FRAGMENT;
const PART_COLUMNS = ${FRAGMENT_COLUMNS}u * FRAGMENT;
const PARTS_ACROSS = TILE_ROWS * TILE_COLUMNS / PART_COLUMNS;
const PARTS = ROWS / PART_ROWS * PARTS_ACROSS;
const THREADS = ${THREADS}u;
// Subgroups at most, and fragments of each whose sums leave at a time.
const SLOTS = ${SLOTS}u;
const ROUND = ${ROUND}u;
const SLAB = ${SLAB}u;
#include "shared/word.wgsl"
const SLAB_WORDS = SLAB / WORD;
// Weights are read by sixteen bytes.
const SLAB_PAIRS = SLAB / 8u;
const PANEL_ROWS = ${PANEL_ROWS}u;
const PANEL_PAIRS = PANEL_ROWS * SLAB_PAIRS;

// So an invocation stages the same channels of all of its rows.
const_assert THREADS % SLAB_PAIRS == 0u;
// A part is whole rows of the tile, and a fragment a piece of one.
const_assert PART_COLUMNS % TILE_COLUMNS == 0u && TILE_COLUMNS % FRAGMENT == 0u;

#if UPSAMPLE == none
const ENLARGED = 1u;
#else
const ENLARGED = 2u;
#endif
#if UPSAMPLE == bilinear
// What the patch is made of. Doubled pixels a to a + n - 1 are made of pixels ⌊(a - 1) / 2⌋ to
// ⌊(a + n) / 2⌋: the product has more than one tap, so a barrier parts the writes from the reads.
const SOURCE_COLUMNS = ${SOURCE_COLUMNS}u;
const SOURCE_PIXELS = ${SOURCE_ROWS}u * SOURCE_COLUMNS;
const_assert TAPS > 1u;
#endif

#if STYLE
// The styles of channels c to c + 3 of a group; past the last the last, whose weights are zero.
fn styles(n: u32, first_input: u32, c: u32) -> vec4<f32> {
    let at = first_input
        + min(vec4<u32>(c) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(p.group_inputs - 1u));
    return vec4<f32>(
        load_style(n, at.x), load_style(n, at.y), load_style(n, at.z), load_style(n, at.w),
    );
}
#endif

// From an output or a pixel to the next, in halves, with the gap. Matrices are loaded by pointers to
// halves: Metal takes no others.
const STRIDE = SLAB + 8u;

var<workgroup> u_tile: array<f16, 2u * ROWS * STRIDE>;
var<workgroup> patch_tile: array<f16, PATCH_PIXELS * STRIDE>;
#if UPSAMPLE == bilinear
var<workgroup> source_tile: array<f16, SOURCE_PIXELS * STRIDE>;

// Four channels of a pixel of it.
fn source(row: i32, column: i32, channel: u32) -> vec4<f32> {
    let at = (u32(row) * SOURCE_COLUMNS + u32(column)) * STRIDE + channel;
    return vec4<f32>(vec4<f16>(
        source_tile[at], source_tile[at + 1u], source_tile[at + 2u], source_tile[at + 3u],
    ));
}
#endif
var<workgroup> sums: array<f32, SLOTS * ROUND * FRAGMENT_CELLS>;

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
    let tiles_across = (p.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let tiles = tiles_across * ((p.rows + TILE_ROWS - 1u) / TILE_ROWS);
    let index = workgroup_index(workgroup, workgroups);
    let first_row = index % row_blocks * ROWS;
    let group = index / row_blocks % p.groups;
    let tile = index / (row_blocks * p.groups) % tiles;
    // A workgroup past the end repeats the last sample and stores nothing: operations of whole
    // subgroups may not follow a return.
    let sample = index / (row_blocks * p.groups * tiles);
    let n = min(sample, p.batch - 1u);
    let tile_row = tile / tiles_across * TILE_ROWS;
    let tile_column = tile % tiles_across * TILE_COLUMNS;
    let first_input = p.first_input + group * p.group_inputs;
    let first_output = p.first_output + group * p.group_outputs;

    // This invocation stages eight channels of these outputs.
    let slabs = (p.group_inputs + SLAB - 1u) / SLAB;
    let steps = slabs * TAPS;
    let panels = (p.group_outputs + PANEL_ROWS - 1u) / PANEL_ROWS;
    let u_channel = lane % SLAB_PAIRS * 8u;
#for K in 0..${U_PAIRS}
    let u_row${K} = (lane + ${K}u * THREADS) / SLAB_PAIRS;
    let u_panel${K} = group * panels + min((first_row + u_row${K}) / PANEL_ROWS, panels - 1u);
    let u_base${K} = u_panel${K} * steps * PANEL_PAIRS
        + (first_row + u_row${K}) % PANEL_ROWS * SLAB_PAIRS + lane % SLAB_PAIRS;
    let u_to${K} = u_row${K} * STRIDE + u_channel;
    var u${K} = mat2x4<f16>();
#endfor
    let plane = p.x_height * p.x_width;
#if X_EIGHTS
    let x_base = (p.x_offset + n * p.x_batch_stride) / 8u + first_input / 8u * plane;
#else
    let x_base = p.x_offset + n * p.x_batch_stride + first_input * plane;
#endif
    let corner = vec2<i32>(i32(tile_row) + p.top, i32(tile_column) + p.left);
#if UPSAMPLE == bilinear
    let source_corner = (corner - 1) >> vec2<u32>(1u);
#endif
#for K in 0..${HELD_WORDS}
    var v${K} = Word();
#endfor

    for (var round = 0u; round * subgroups < PARTS; round++) {
        let part = min(round * subgroups + subgroup, PARTS - 1u);
        let u_first = part / PARTS_ACROSS * PART_ROWS * STRIDE;
        let v_first = part % PARTS_ACROSS * (PART_COLUMNS / TILE_COLUMNS) * PATCH_COLUMNS * STRIDE;
#for R in 0..${FRAGMENT_ROWS}
#for S in 0..${FRAGMENT_COLUMNS}
        var m${R}_${S} = coop_mat${FRAGMENT}x${FRAGMENT}<f32, C>();
#endfor
#endfor
        var half = 0u;
        var step = 0u;
        var following = 0u;
        workgroupBarrier();
#include "shared/patch_read.wgsl"
#if UPSAMPLE == bilinear
#include "shared/patch_source.wgsl"
        workgroupBarrier();
#endif
#include "shared/patch_stage.wgsl"
#for K in 0..${U_PAIRS}
        u${K} = weight[u_base${K}];
#endfor
#if STYLE
        var style_low = styles(n, first_input, u_channel);
        var style_high = styles(n, first_input, u_channel + 4u);
#endif
#include "shared/patch_weights.wgsl"
        for (var first = 0u; first < p.group_inputs; first += SLAB) {
            following = first + SLAB;
            for (var tap = 0u; tap < TAPS; tap++) {
                workgroupBarrier();
                step = min(step + 1u, steps - 1u);
#for K in 0..${U_PAIRS}
                u${K} = weight[u_base${K} + step * PANEL_PAIRS];
#endfor
                if (tap == TAPS - min(TAPS, 3u)) {
                    // After the last slab this reads the last channel again; nobody multiplies it.
#include "shared/patch_read.wgsl"
                }
                {
                    let row = tap / ${TAP_COLUMNS}u;
                    let column = tap % ${TAP_COLUMNS}u;
                    let shift = v_first + (row * PATCH_COLUMNS + column) * (DILATION * STRIDE);
#for K in 0..${SLAB_FRAGMENTS}
                    {
#for R in 0..${FRAGMENT_ROWS}
                        let a${R} = coopLoadT<coop_mat${FRAGMENT}x${FRAGMENT}<f16, A>>(
                            &u_tile[half * (ROWS * STRIDE) + u_first
                                + ${R}u * FRAGMENT * STRIDE + ${K}u * FRAGMENT],
                            STRIDE,
                        );
#endfor
#for S in 0..${FRAGMENT_COLUMNS}
                        let b${S} = coopLoad<coop_mat${FRAGMENT}x${FRAGMENT}<f16, B>>(
                            &patch_tile[shift + (${S}u * FRAGMENT / TILE_COLUMNS * PATCH_COLUMNS
                                + ${S}u * FRAGMENT % TILE_COLUMNS) * STRIDE + ${K}u * FRAGMENT],
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
#if STYLE
                if (tap == TAPS - 1u) {
                    style_low = styles(n, first_input, following + u_channel);
                    style_high = styles(n, first_input, following + u_channel + 4u);
                }
#endif
#include "shared/patch_weights.wgsl"
#if UPSAMPLE == bilinear
                if (tap == TAPS - min(TAPS, 3u)) {
#include "shared/patch_source.wgsl"
                }
#endif
                if (tap == TAPS - 1u) {
                    workgroupBarrier();
#include "shared/patch_stage.wgsl"
                }
            }
        }
        // A subgroup too many has a slot that nobody reads.
        let slot = min(subgroup, SLOTS - 1u) * (ROUND * FRAGMENT_CELLS);
#for S in 0..${FRAGMENT_COLUMNS}
#for R in 0..${FRAGMENT_ROWS}
#if EIGHTS
        coopStore(m${R}_${S}, &sums[slot + ${R}u % ROUND * FRAGMENT_CELLS], FRAGMENT);
#else
        coopStoreT(m${R}_${S}, &sums[slot + ${R}u % ROUND * FRAGMENT_CELLS], FRAGMENT);
#endif
        if (${R}u % ROUND == ROUND - 1u) {
            workgroupBarrier();
            for (var word = lane; word < PARTS * ROUND * FRAGMENT_CELLS / LANES; word += THREADS) {
                let at = word * LANES;
                let holder = at / (ROUND * FRAGMENT_CELLS);
                let owner = round * subgroups + holder;
                let fragment = at / FRAGMENT_CELLS % ROUND;
#if EIGHTS
                let in_fragment = vec2<u32>(at % FRAGMENT, at / FRAGMENT % FRAGMENT);
#else
                let in_fragment = vec2<u32>(at / FRAGMENT % FRAGMENT, at % FRAGMENT);
#endif
                let row = first_row + owner / PARTS_ACROSS * PART_ROWS
                    + (${R}u - ${R}u % ROUND + fragment) * FRAGMENT + in_fragment.x;
                let there = holder < min(subgroups, SLOTS) && owner < PARTS;
                if (there && sample < p.batch && row < p.group_outputs) {
                    let pixel =
                        owner % PARTS_ACROSS * PART_COLUMNS + ${S}u * FRAGMENT + in_fragment.y;
                    let h = tile_row + pixel / TILE_COLUMNS;
                    let w = tile_column + pixel % TILE_COLUMNS;
                    let o = first_output + row;
#if EIGHTS
                    store_y(sums_at(at), n, o, h, w);
#else
                    store_channel(sums_at(at), channel_of(n, o), n, o, h, w);
#endif
                }
            }
            workgroupBarrier();
        }
#endfor
#endfor
    }
}
