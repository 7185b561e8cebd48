// conv_winograd_input.wgsl for drivers that run on the CPU: four neighbouring tiles of a row per
// invocation, their values side by side in vectors.
//
//   V[f, i, t] = (Bᵀ · d · B)[f],   d the 6×6 inputs of tile t, channel i (padded, styled, resized)
//
// x: [N, I, H, W] as words of four columns, with one pixel of padding; rows of tiles come in fours.
// Such a driver loops over the lanes once for each access to a buffer, whether it is of one value or
// of four: the 144 inputs of four tiles are 36 accesses instead, and the outputs 36 instead of 144.
//
// The twin of all is that of every convolution, src/cpu/conv_direct.rs.

// Words of the 64 tiles of a block.
const BLOCK = 16u;

struct Params {
#include "shared/load_params.wgsl"
    transformed_offset: u32,
    transformed_batch_stride: u32,
    frequency_stride: u32,
    tiles: u32,
    first_tile: u32,
    tile_rows: u32,
    tile_columns: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
#if STYLE
@group(0) @binding(_) var<storage, read_write> style: array<f32>;
#endif
@group(0) @binding(_) var<storage, read_write> transformed: array<vec4<${V}>>;

#include "shared/grid.wgsl"

alias Value = vec4<f32>;
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
    let quad = min(p.first_tile / 4u + block * BLOCK + lane, p.tiles / 4u - 1u);
    let quads = p.tile_columns / 4u;
    let row = quad / quads;
    let column = quad % quads;
    let n = row / p.tile_rows;
    let tile_row = row % p.tile_rows;
    var factor = 1.0;
#if STYLE
    factor = style[p.style_offset + n * p.style_batch_stride + c];
#endif
    let words = p.x_width / 4u;
    let height = i32(p.x_height);
    let plane = (p.x_offset + n * p.x_batch_stride) / 4u + c * p.x_height * words;

#if UPSAMPLE == bilinear
    let top = 2 * i32(tile_row) - 1;
    let rows_inside = inside(tile_row, 2u * p.x_height);
#for T in 0..4
    let inside${T} = inside(4u * column + ${T}u, 2u * p.x_width);
#endfor
    let columns_inside = array<Value, 6>(
#for C in 0..6
        Value(inside0[${C}].x, inside1[${C}].x, inside2[${C}].x, inside3[${C}].x),
#endfor
    );
    let first = 2u * column;
#for R in 0..4
    let line${R} = plane + u32(clamp(top + ${R}, 0, height - 1)) * words;
    let a${R} = Value(x[line${R} + first]);
    let b${R} = Value(x[line${R} + first + 1u]);
    let left${R} = select(f32(x[line${R} + max(first, 1u) - 1u].w), a${R}.x, first == 0u);
    let right${R} = select(
        f32(x[line${R} + min(first + 2u, words - 1u)].x),
        b${R}.w,
        first + 2u >= words,
    );
#endfor
    let resized0 = resize(
        array<Value, 4>(
#for R in 0..4
            Value(left${R}, a${R}.y, a${R}.w, b${R}.y),
#endfor
        ),
        rows_inside,
    );
    let resized1 = resize(
        array<Value, 4>(
#for R in 0..4
            Value(a${R}.x, a${R}.z, b${R}.x, b${R}.z),
#endfor
        ),
        rows_inside,
    );
    let resized2 = resize(
        array<Value, 4>(
#for R in 0..4
            Value(a${R}.y, a${R}.w, b${R}.y, b${R}.w),
#endfor
        ),
        rows_inside,
    );
    let resized3 = resize(
        array<Value, 4>(
#for R in 0..4
            Value(a${R}.z, b${R}.x, b${R}.z, right${R}),
#endfor
        ),
        rows_inside,
    );
#for R in 0..6
    let row${R} = transform_input(
        resize(
            array<Value, 4>(resized0[${R}], resized1[${R}], resized2[${R}], resized3[${R}]),
            columns_inside,
        ),
    );
#endfor
#else
    let top = 4 * i32(tile_row) - 1;
    let first = 4u * column;
#for R in 0..6
    let line${R} = plane + u32(clamp(top + ${R}, 0, height - 1)) * words;
    let there${R} = select(0.0, 1.0, top + ${R} >= 0 && top + ${R} < height);
#for W in 0..4
    let x${R}_${W} = Value(x[line${R} + first + ${W}u]) * there${R};
#endfor
    let left${R} =
        select(f32(x[line${R} + max(first, 1u) - 1u].w) * there${R}, 0.0, first == 0u);
    let right${R} = select(
        f32(x[line${R} + min(first + 4u, words - 1u)].x) * there${R},
        0.0,
        first + 4u >= words,
    );
    let row${R} = transform_input(
        array<Value, 6>(
            Value(left${R}, x${R}_0.w, x${R}_1.w, x${R}_2.w),
            Value(x${R}_0.x, x${R}_1.x, x${R}_2.x, x${R}_3.x),
            Value(x${R}_0.y, x${R}_1.y, x${R}_2.y, x${R}_3.y),
            Value(x${R}_0.z, x${R}_1.z, x${R}_2.z, x${R}_3.z),
            Value(x${R}_0.w, x${R}_1.w, x${R}_2.w, x${R}_3.w),
            Value(x${R}_1.x, x${R}_2.x, x${R}_3.x, right${R}),
        ),
    );
#endfor
#endif
    let at = p.transformed_offset / 4u + (block * p.x_channels + c) * BLOCK + lane;
#for C in 0..6
    let column${C} = transform_input(
        array<Value, 6>(row0[${C}], row1[${C}], row2[${C}], row3[${C}], row4[${C}], row5[${C}]),
    );
#for R in 0..6
    transformed[at + (${R}u * 6u + ${C}u) * (p.frequency_stride / 4u)] =
        factor * column${C}[${R}];
#endfor
#endfor
}
