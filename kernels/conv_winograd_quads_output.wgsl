// conv_winograd_output.wgsl for drivers that run on the CPU: four neighbouring tiles of a row per
// invocation, their values side by side in vectors (conv_winograd_quads_input.wgsl).
//
//   y[n, o, 4·row + r, 4·column + c] = epilogue((Aᵀ · M[·, o, t] · A)[r, c])
//
// y: through shared/epilogue_quads.wgsl.
//
// The twin of all is that of every convolution, src/cpu/conv_direct.rs.

// Words of the 64 tiles of a block.
const BLOCK = 16u;

struct Params {
    products_offset: u32,
    products_batch_stride: u32,
    frequency_stride: u32,
    tiles: u32,
    first_tile: u32,
    tile_rows: u32,
    tile_columns: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> products: array<vec4<${M}>>;

#include "shared/epilogue_quads.wgsl"
#include "shared/grid.wgsl"

alias Value = vec4<f32>;
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
    let quad = p.first_tile / 4u + block * BLOCK + lane;
    if (4u * quad >= p.tiles) {
        return;
    }
    let quads = p.tile_columns / 4u;
    let tile_row = quad / quads;
    let n = tile_row / p.tile_rows;
    let h = 4u * (tile_row % p.tile_rows);
    let column = 4u * (quad % quads);
    let at = p.products_offset / 4u + (block * p.y_channels + o) * BLOCK + lane;
#for R in 0..6
    let row${R} = transform_output(
        array<Value, 6>(
#for C in 0..6
            products[at + (${R}u * 6u + ${C}u) * (p.frequency_stride / 4u)],
#endfor
        ),
    );
#endfor
    let channel = channel_of(n, o);
#for C in 0..4
    let column${C} = transform_output(
        array<Value, 6>(row0[${C}], row1[${C}], row2[${C}], row3[${C}], row4[${C}], row5[${C}]),
    );
#endfor
#for R in 0..4
    {
        let word = (h + ${R}u) * (p.y_width / 4u) + column;
#for T in 0..4
        store_quad(
            Value(column0[${R}][${T}], column1[${R}][${T}], column2[${R}][${T}], column3[${R}][${T}]),
            channel,
            n,
            o,
            h + ${R}u,
            column + ${T}u,
            noise_of(word + ${T}u),
        );
#endfor
    }
#endfor
}
