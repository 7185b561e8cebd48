// First of the three dispatches of a Winograd convolution F(4×4, 3×3):
//
//   V[f, i, t] = (Bᵀ · d · B)[f],   d the 6×6 inputs of tile t, channel i (padded, styled, resized)
//
// x: [N, I, H, W] with any batch stride. V: 36 frequencies f = 6·row + column, p.frequency_stride
// apart; each in panels [t / BLOCK][i][t % BLOCK], which the product reads without gaps.
// Tiles count over all samples, row by row; a dispatch transforms those from p.first_tile on.
//
// Lanes are neighbouring tiles of one channel. Bilinear ×2 needs only 4×4 values of x for the
// 6×6 values of d: rows -1..5 of a resized tile lie between rows -1..3 of x (its padding is 1).
//
// The twin of all three is that of every convolution, core/src/cpu/conv_direct.rs.

const BLOCK = ${BLOCK}u;

struct Params {
#include "shared/load_params.wgsl"
    v_offset: u32,
    v_batch_stride: u32,
    frequency_stride: u32,
    tiles: u32,
    first_tile: u32,
    tile_rows: u32,
    tile_columns: u32,
    top: i32,
    left: i32,
}

@group(0) @binding(_) var<uniform> p: Params;
#include "shared/load.wgsl"
#enable f16 if V == f16
@group(0) @binding(_) var<storage, read_write> transformed: array<${V}>;

#include "shared/grid.wgsl"
#include "shared/winograd.wgsl"

#if UPSAMPLE == bilinear
#include "shared/winograd_resize.wgsl"
#endif

@compute @workgroup_size(BLOCK)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let c = index % p.x_channels;
    let block = index / p.x_channels;
    // Tiles past the last repeat it; nobody reads their products.
    let tile = min(p.first_tile + block * BLOCK + lane, p.tiles - 1u);
    let row = tile / p.tile_columns;
    let column = tile % p.tile_columns;
    let n = row / p.tile_rows;
    let tile_row = row % p.tile_rows;
    let factor = load_style(n, c);

#if UPSAMPLE == bilinear
    let rows_inside = inside(tile_row, 2u * p.x_height);
    let columns_inside = inside(column, 2u * p.x_width);
    let top = 2 * i32(tile_row) - 1;
    let left = 2 * i32(column) - 1;
    let last_row = i32(p.x_height) - 1;
    let last_column = i32(p.x_width) - 1;
#for C in 0..4
    let w${C} = clamp(left + ${C}, 0, last_column);
    let resized${C} = resize(
        array<f32, 4>(
#for R in 0..4
            read_x(n, c, clamp(top + ${R}, 0, last_row), w${C}),
#endfor
        ),
        rows_inside,
    );
#endfor
#for R in 0..6
    let row${R} = transform_input(
        resize(
            array<f32, 4>(resized0[${R}], resized1[${R}], resized2[${R}], resized3[${R}]),
            columns_inside,
        ),
    );
#endfor
#else
    let top = 4 * i32(tile_row) - p.top;
    let left = 4 * i32(column) - p.left;
#for R in 0..6
    let row${R} = transform_input(
        array<f32, 6>(
#for C in 0..6
            load_plain(n, c, top + ${R}, left + ${C}),
#endfor
        ),
    );
#endfor
#endif
    let at = p.v_offset + (block * p.x_channels + c) * BLOCK + lane;
#for C in 0..6
    let column${C} = transform_input(
        array<f32, 6>(
#for R in 0..6
            row${R}[${C}],
#endfor
        ),
    );
#for R in 0..6
    transformed[at + (${R}u * 6u + ${C}u) * p.frequency_stride] = factor * column${C}[${R}];
#endfor
#endfor
}
