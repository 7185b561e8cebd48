// sums[face, row, column] = Σ over the block of 299·R + 587·G + 114·B
//
// Pixel (x, y) belongs to the block (⌊x·blocks / size⌋, ⌊y·blocks / size⌋). a, b: [size, size]
// pixels of four bytes, red lowest; sums: [2, blocks, blocks], of a and of b. All in integers, so
// that the result is the twin's: a block may have 16,843 pixels. One block per workgroup.

struct Params {
    size: u32,
    blocks: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> a: array<u32>;
@group(0) @binding(_) var<storage, read> b: array<u32>;
@group(0) @binding(_) var<storage, read_write> sums: array<u32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

var<workgroup> partial: array<u32, WORKGROUP>;

fn luminance(word: u32) -> u32 {
    return 299u * (word & 255u) + 587u * ((word >> 8u) & 255u) + 114u * ((word >> 16u) & 255u);
}

/// The first row or column of a block.
fn start(block: u32) -> u32 {
    return (block * p.size + p.blocks - 1u) / p.blocks;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let face = index / (p.blocks * p.blocks);
    let row = index / p.blocks % p.blocks;
    let column = index % p.blocks;
    let top = start(row);
    let left = start(column);
    let width = start(column + 1u) - left;
    // Further workgroups, which the grid rounds up to, have no pixel.
    let count = select(0u, (start(row + 1u) - top) * width, face < 2u);
    var sum = 0u;
    for (var i = lane; i < count; i += WORKGROUP) {
        let at = (top + i / width) * p.size + left + i % width;
        sum += luminance(select(a[at], b[at], face == 1u));
    }
    partial[lane] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    if (lane == 0u && face < 2u) {
        sums[index] = partial[0];
    }
}
