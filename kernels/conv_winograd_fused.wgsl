// A 3×3 convolution of stride 1 and padding 1 by Winograd's F(4×4, 3×3) in one dispatch:
//
//   y[n, o, 4·row + r, 4·column + c] = epilogue((Aᵀ · Σ_i (U[o, i] ⊙ (Bᵀ · d[n, i] · B)) · A)[r, c])
//
// d: the 6×6 inputs of a tile (padded, styled, resized). x: [N, I, H, W] as words of neighbouring
// columns, four of x or two of which a bilinear ×2 makes four. U: the transformed weight as texels
// (Layout::WinogradTexels), four frequencies of one row and input each. y: through
// shared/epilogue_quads.wgsl.
//
// For drivers that run on the CPU. There, what is read and written costs more than what is
// computed: each access to a buffer is a loop over the lanes, a texel is read without one, and a
// shuffle by constants is one instruction. So the sums of ROWS channels stay with the lanes in all
// 36 frequencies (36 KiB at 16 lanes, in the first-level cache), and transformed values are never
// stored. Lanes are neighbouring tiles of a row; each reads its own columns and hands the outer
// ones to its neighbours.
//
// The twin is that of every convolution, src/cpu/conv_direct.rs.

const LANES = ${LANES}u;
const ROWS = 16u;

struct Params {
#include "shared/load_params.wgsl"
    tile_rows: u32,
    tile_groups: u32,
    row_blocks: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#if UPSAMPLE == bilinear
@group(0) @binding(_) var<storage, read_write> x: array<vec2<${X}>>;
#else
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
#endif
#if STYLE
@group(0) @binding(_) var<storage, read_write> style: array<f32>;
#endif
@group(0) @binding(_) var weight: texture_storage_2d_array<rgba32float, read>;

#include "shared/epilogue_quads.wgsl"
#include "shared/grid.wgsl"
alias Value = f32;
#include "shared/winograd.wgsl"

#if UPSAMPLE == bilinear
#include "shared/winograd_resize.wgsl"
#endif

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let row_block = index % p.row_blocks;
    let group = index / p.row_blocks;
    let tile_row = group / p.tile_groups;
    let n = tile_row / p.tile_rows;
    if (n >= p.y_batch) {
        return;
    }
    let row = tile_row % p.tile_rows;
    let column = group % p.tile_groups * LANES + lane;

    // The word of this lane's columns; lanes past the last repeat it and store nothing.
#if UPSAMPLE == bilinear
    let words = p.x_width / 2u;
    let word_size = 2u;
    let top = 2 * i32(row) - 1;
    let rows_inside = inside(row, 2u * p.x_height);
    let columns_inside = inside(column, 2u * p.x_width);
#else
    let words = p.x_width / 4u;
    let word_size = 4u;
    let top = 4 * i32(row) - 1;
#endif
    let last = words - 1u;
    let own = min(column, last);
    // Only the first and the last lane read what their neighbours outside of the group would hold.
    let first_lane = lane == 0u;
    let last_lane = lane == LANES - 1u;
    let outer = select(min(column + 1u, last), min(max(column, 1u) - 1u, last), first_lane);
    let height = i32(p.x_height);
#for R in 0..${READ_ROWS}
    let line${R} = u32(clamp(top + ${R}, 0, height - 1)) * words;
#if UPSAMPLE == none
    let there${R} = select(0.0, 1.0, top + ${R} >= 0 && top + ${R} < height);
#endif
#endfor

#for Q in 0..9
#for S in 0..${SHARES}
#for L in 0..${LANES}
    var m${Q}_${S}_${L} = vec4<f32>();
#endfor
#endfor
#endfor
    let first = (p.x_offset + n * p.x_batch_stride) / word_size;
    let first_texel = row_block * p.x_channels;
    for (var i = 0u; i < p.x_channels; i++) {
        let plane = first + i * p.x_height * words;
        var factor = 1.0;
#if STYLE
        var styles = 0.0;
        if (first_lane) {
            styles = style[p.style_offset + n * p.style_batch_stride + i];
        }
        factor = subgroupShuffle(styles, 0u);
#endif
#for R in 0..${READ_ROWS}
#if UPSAMPLE == bilinear
        let x${R} = vec2<f32>(x[plane + line${R} + own]);
        var outer${R} = vec2<f32>();
        if (first_lane || last_lane) {
            outer${R} = vec2<f32>(x[plane + line${R} + outer]);
        }
        var left${R} = subgroupShuffle(x${R}.y, (lane + LANES - 1u) % LANES);
        var right${R} = subgroupShuffle(x${R}.x, (lane + 1u) % LANES);
        left${R} = select(left${R}, outer${R}.y, first_lane);
        right${R} = select(right${R}, outer${R}.x, last_lane);
        left${R} = select(left${R}, x${R}.x, column == 0u);
        right${R} = select(right${R}, x${R}.y, column >= last);
#else
        let x${R} = vec4<f32>(x[plane + line${R} + own]) * (factor * there${R});
        var outer${R} = vec4<f32>();
        if (first_lane || last_lane) {
            outer${R} = vec4<f32>(x[plane + line${R} + outer]) * (factor * there${R});
        }
        var left${R} = subgroupShuffle(x${R}.w, (lane + LANES - 1u) % LANES);
        var right${R} = subgroupShuffle(x${R}.x, (lane + 1u) % LANES);
        left${R} = select(left${R}, outer${R}.w, first_lane);
        right${R} = select(right${R}, outer${R}.x, last_lane);
        left${R} = select(left${R}, 0.0, column == 0u);
        right${R} = select(right${R}, 0.0, column >= last);
        let row${R} = transform_input(
            array<Value, 6>(left${R}, x${R}.x, x${R}.y, x${R}.z, x${R}.w, right${R}),
        );
#endif
#endfor
#if UPSAMPLE == bilinear
        let resized0 = resize(array<Value, 4>(left0, left1, left2, left3), rows_inside);
        let resized1 = resize(array<Value, 4>(x0.x, x1.x, x2.x, x3.x), rows_inside);
        let resized2 = resize(array<Value, 4>(x0.y, x1.y, x2.y, x3.y), rows_inside);
        let resized3 = resize(array<Value, 4>(right0, right1, right2, right3), rows_inside);
#for R in 0..6
        let row${R} = transform_input(
            resize(
                array<Value, 4>(
                    factor * resized0[${R}],
                    factor * resized1[${R}],
                    factor * resized2[${R}],
                    factor * resized3[${R}],
                ),
                columns_inside,
            ),
        );
#endfor
#endif
#for C in 0..6
        let column${C} = transform_input(
            array<Value, 6>(row0[${C}], row1[${C}], row2[${C}], row3[${C}], row4[${C}], row5[${C}]),
        );
#endfor
        let v0 = vec4(column0[0], column1[0], column2[0], column3[0]);
        let v1 = vec4(column4[0], column5[0], column0[1], column1[1]);
        let v2 = vec4(column2[1], column3[1], column4[1], column5[1]);
        let v3 = vec4(column0[2], column1[2], column2[2], column3[2]);
        let v4 = vec4(column4[2], column5[2], column0[3], column1[3]);
        let v5 = vec4(column2[3], column3[3], column4[3], column5[3]);
        let v6 = vec4(column0[4], column1[4], column2[4], column3[4]);
        let v7 = vec4(column4[4], column5[4], column0[5], column1[5]);
        let v8 = vec4(column2[5], column3[5], column4[5], column5[5]);
        // Lane l holds the weights of rows S·LANES + l and hands them around.
#for Q in 0..9
#for S in 0..${SHARES}
        let u${Q}_${S} = textureLoad(
            weight,
            vec2(${Q}u * ROWS + ${S}u * LANES + lane, first_texel + i),
            0u,
        );
#for L in 0..${LANES}
        m${Q}_${S}_${L} += subgroupShuffle(u${Q}_${S}, ${L}u) * v${Q};
#endfor
#endfor
#endfor
    }

    let h = 4u * row;
#for R in 0..4
    let noise${R} = noise_of((h + ${R}u) * (p.y_width / 4u) + column);
#endfor
#for S in 0..${SHARES}
#for L in 0..${LANES}
    {
        let row0 = transform_output(
            array<Value, 6>(
                m0_${S}_${L}.x,
                m0_${S}_${L}.y,
                m0_${S}_${L}.z,
                m0_${S}_${L}.w,
                m1_${S}_${L}.x,
                m1_${S}_${L}.y,
            ),
        );
        let row1 = transform_output(
            array<Value, 6>(
                m1_${S}_${L}.z,
                m1_${S}_${L}.w,
                m2_${S}_${L}.x,
                m2_${S}_${L}.y,
                m2_${S}_${L}.z,
                m2_${S}_${L}.w,
            ),
        );
        let row2 = transform_output(
            array<Value, 6>(
                m3_${S}_${L}.x,
                m3_${S}_${L}.y,
                m3_${S}_${L}.z,
                m3_${S}_${L}.w,
                m4_${S}_${L}.x,
                m4_${S}_${L}.y,
            ),
        );
        let row3 = transform_output(
            array<Value, 6>(
                m4_${S}_${L}.z,
                m4_${S}_${L}.w,
                m5_${S}_${L}.x,
                m5_${S}_${L}.y,
                m5_${S}_${L}.z,
                m5_${S}_${L}.w,
            ),
        );
        let row4 = transform_output(
            array<Value, 6>(
                m6_${S}_${L}.x,
                m6_${S}_${L}.y,
                m6_${S}_${L}.z,
                m6_${S}_${L}.w,
                m7_${S}_${L}.x,
                m7_${S}_${L}.y,
            ),
        );
        let row5 = transform_output(
            array<Value, 6>(
                m7_${S}_${L}.z,
                m7_${S}_${L}.w,
                m8_${S}_${L}.x,
                m8_${S}_${L}.y,
                m8_${S}_${L}.z,
                m8_${S}_${L}.w,
            ),
        );
#for C in 0..4
        let column${C} = transform_output(
            array<Value, 6>(row0[${C}], row1[${C}], row2[${C}], row3[${C}], row4[${C}], row5[${C}]),
        );
#endfor
        // Not by a loop over an array: a driver takes three times as long to compile that.
        let o = row_block * ROWS + ${S}u * LANES + ${L}u;
        if (o < p.y_channels) {
            let channel = channel_of(n, o);
#for R in 0..4
            store_quad(
                vec4(column0[${R}], column1[${R}], column2[${R}], column3[${R}]),
                channel,
                n,
                o,
                h + ${R}u,
                column,
                noise${R},
            );
#endfor
        }
    }
#endfor
#endfor
}
