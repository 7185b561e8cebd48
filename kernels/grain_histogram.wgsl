// histogram[picture, |L(picture)[row, column]|] += 1 where the mask is above a half
//
// L is Immerkaer's operator (the difference of two Laplacians) on the luminance (R + 2·G + B)/4.
// pasted: the area of a photo where a face goes, [HEIGHT, WIDTH] of [.., photo_width] pixels from
// `first` on; warped: the face there, [HEIGHT, WIDTH]. Both of four bytes per pixel, red lowest.
// mask, positions: see shared/soft_mask.wgsl. histogram: BINS words for the photo, BINS for the
// face, zero before. One inner pixel of the area per invocation.

struct Params {
    height: u32,
    width: u32,
    photo_width: u32,
    first: u32,
    mask_side: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> pasted: array<u32>;
@group(0) @binding(_) var<storage, read> warped: array<u32>;
@group(0) @binding(_) var<storage, read> mask: array<f32>;
@group(0) @binding(_) var<storage, read> positions: array<vec2<i32>>;
@group(0) @binding(_) var<storage, read_write> histogram: array<atomic<u32>>;

#include "shared/grid.wgsl"
#include "shared/soft_mask.wgsl"

const WORKGROUP = ${WORKGROUP}u;
const BINS = ${BINS}u;

fn luminance(word: u32) -> i32 {
    return i32(((word & 255u) + 2u * ((word >> 8u) & 255u) + ((word >> 16u) & 255u) + 2u) / 4u);
}

fn photo_row(row: u32, column: u32) -> i32 {
    let at = p.first + row * p.photo_width + column;
    return luminance(pasted[at - 1u]) - 2 * luminance(pasted[at]) + luminance(pasted[at + 1u]);
}

fn face_row(row: u32, column: u32) -> i32 {
    let at = row * p.width + column;
    return luminance(warped[at - 1u]) - 2 * luminance(warped[at]) + luminance(warped[at + 1u]);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    let row = index / p.width;
    let column = index % p.width;
    if (row == 0u || column == 0u || row + 1u >= p.height || column + 1u >= p.width) {
        return;
    }
    if (soft(column, row) <= 0.5) {
        return;
    }
    let photo = photo_row(row - 1u, column) - 2 * photo_row(row, column) + photo_row(row + 1u, column);
    let face = face_row(row - 1u, column) - 2 * face_row(row, column) + face_row(row + 1u, column);
    atomicAdd(&histogram[u32(abs(photo))], 1u);
    atomicAdd(&histogram[BINS + u32(abs(face))], 1u);
}
