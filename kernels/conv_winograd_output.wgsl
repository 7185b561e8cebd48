// Last of the three dispatches of a Winograd convolution:
//
//   y[n, o, 4·row + r, 4·column + c] = epilogue((Aᵀ · M[·, o, t] · A)[r, c])
//
// M: 36 frequencies, p.frequency_stride apart, each in panels [t / BLOCK][o][t % BLOCK], as the
// product leaves them. y: [N, O, H, W] with any batch stride. Tiles count over all samples, row by
// row; a dispatch writes those from p.first_tile on. Lanes are neighbouring tiles of one channel.
//
// The twin of all three is that of every convolution, core/src/cpu/conv_direct.rs.

const BLOCK = ${BLOCK}u;

struct Params {
    m_offset: u32,
    m_batch_stride: u32,
    frequency_stride: u32,
    tiles: u32,
    first_tile: u32,
    tile_rows: u32,
    tile_columns: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if M == f16
@group(0) @binding(_) var<storage, read_write> products: array<${M}>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/winograd.wgsl"

@compute @workgroup_size(BLOCK)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let o = index % p.y_channels;
    let block = index / p.y_channels;
    let tile = p.first_tile + block * BLOCK + lane;
    if (tile >= p.tiles) {
        return;
    }
    let tile_row = tile / p.tile_columns;
    let n = tile_row / p.tile_rows;
    let h = 4u * (tile_row % p.tile_rows);
    let w = 4u * (tile % p.tile_columns);
    let at = p.m_offset + (block * p.y_channels + o) * BLOCK + lane;
#for R in 0..6
    let row${R} = transform_output(
        array<f32, 6>(
#for C in 0..6
            products[at + (${R}u * 6u + ${C}u) * p.frequency_stride],
#endfor
        ),
    );
#endfor
    let channel = channel_of(n, o);
#for C in 0..4
    let column${C} = transform_output(
        array<f32, 6>(row0[${C}], row1[${C}], row2[${C}], row3[${C}], row4[${C}], row5[${C}]),
    );
#endfor
#for R in 0..4
#if IN_QUADS
    let quad${R} = vec4<f32>(column0[${R}], column1[${R}], column2[${R}], column3[${R}]);
    store_channel(quad${R}, channel, n, o, h + ${R}u, w);
#else
#for C in 0..4
    store_channel(column${C}[${R}], channel, n, o, h + ${R}u, w + ${C}u);
#endfor
#endif
#endfor
}
