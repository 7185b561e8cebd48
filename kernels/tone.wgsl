// y[i] = tones[l], l = (R + 2·G + B + 2) / 4 of face[i]
//
// The tone of a print for a restored face: every luminance has one colour. face, y: `pixels` pixels of
// four bytes, red lowest; tones: 256 such pixels. In integers, so that the result is the twin's. One
// pixel per invocation.

struct Params {
    pixels: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> tones: array<u32>;
@group(0) @binding(_) var<storage, read> face: array<u32>;
@group(0) @binding(_) var<storage, read_write> y: array<u32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    if (index >= p.pixels) {
        return;
    }
    let word = face[index];
    let sum = (word & 255u) + 2u * ((word >> 8u) & 255u) + ((word >> 16u) & 255u);
    y[index] = tones[(sum + 2u) / 4u];
}
