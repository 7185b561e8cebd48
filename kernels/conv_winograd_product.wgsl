// Second of the three dispatches of a Winograd convolution: 36 matrix products,
//
//   M[f, o, t] = Σ_i U[f, o, i] · V[f, i, t]
//
// U: the transformed weight in panels [f][o / ROWS][i][o % ROWS] (Layout::Winograd, padded with
// zero rows). V, M: p.inputs_stride and p.products_stride between frequencies; each in panels
// [t / COLUMNS][channel][t % COLUMNS]. A workgroup computes one ROWS × COLUMNS tile.
//
// The workgroup stages DEPTH rows of both panels, which lie in memory without gaps, and each
// invocation keeps 8×8 sums: four 128-bit reads of workgroup memory for 64 products.
//
// It runs without wgpu's checks, because none could fail: f, row_block and column_block are below
// 36 and the numbers of blocks, i below p.inputs wherever it makes an address, rows of M below
// p.outputs, and core/src/plan/layout.rs and scratch.rs make U, V and M as long as these strides say.
// In the tiles, lane is below THREADS and PASSES of THREADS fill one. Divisors are numbers of
// blocks, at least 1; loops count up by a constant to p.inputs.
//
// The twin of all three is that of every convolution, core/src/cpu/conv_direct.rs.
#unchecked

struct Params {
    v_offset: u32,
    v_batch_stride: u32,
    m_offset: u32,
    m_batch_stride: u32,
    inputs: u32,
    outputs: u32,
    row_blocks: u32,
    column_blocks: u32,
    inputs_stride: u32,
    products_stride: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<vec4<${W}>>;
#enable f16 if V == f16
@group(0) @binding(_) var<storage, read_write> inputs: array<vec4<${V}>>;
#enable f16 if M == f16
@group(0) @binding(_) var<storage, read_write> products: array<vec4<${M}>>;

#include "shared/grid.wgsl"

#include "shared/tile.wgsl"

const ROWS = TILE_ROWS;
const COLUMNS = TILE_COLUMNS;
// The invocations stage both panels in the same passes.
const_assert ROWS == COLUMNS;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let row_block = index % p.row_blocks;
    let column_block = index / p.row_blocks % p.column_blocks;
    let f = index / (p.row_blocks * p.column_blocks);
    if (f >= 36u) {
        return;
    }
    let first_row = row_block * ROWS;
    var v = (p.v_offset + f * p.inputs_stride + column_block * p.inputs * COLUMNS) / 4u;
    let m = (p.m_offset + f * p.products_stride + column_block * p.outputs * COLUMNS) / 4u;
    var u = (f * p.row_blocks + row_block) * p.inputs * (ROWS / 4u);
#include "shared/tile_declare.wgsl"
    for (var i = 0u; i < p.inputs; i += DEPTH) {
#for J in 0..${PASSES}
        {
            let at = lane + ${J}u * THREADS;
            let there = i + at / U_WIDTH < p.inputs;
            var weights = vec4<f32>();
            var values = vec4<f32>();
            if (there) {
                weights = vec4<f32>(weight[u + at]);
                values = vec4<f32>(inputs[v + at]);
            }
            u_tile[at] = weights;
            v_tile[at] = values;
        }
#endfor
        workgroupBarrier();
#include "shared/tile_accumulate.wgsl"
        workgroupBarrier();
        u += DEPTH * ROWS / 4u;
        v += DEPTH * COLUMNS / 4u;
    }
#for H in 0..2
#for C in 0..4
    {
        let row = first_row + ${H}u * (ROWS / 2u) + tile_row * 4u + ${C}u;
        if (row < p.outputs) {
            let at = m + row * (COLUMNS / 4u) + tile_column;
            products[at] = vec4<${M}>(m${H}_${C}_0);
            products[at + COLUMNS / 8u] = vec4<${M}>(m${H}_${C}_1);
        }
    }
#endfor
#endfor
}
