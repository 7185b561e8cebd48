// x[n, c, h, w] = byte[n, h, w, k(c)] · scale[c] + offset[c], k(c) = c, or 2 - c for BGR tensors
//
// picture: bytes, CHANNELS (3 or 4) per pixel, packed into words, first byte lowest.
// x: [N, 3, H, W]. One pixel per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    batch: u32,
    plane: u32,
    channels: u32,
    bgr: u32,
    scale_0: f32,
    scale_1: f32,
    scale_2: f32,
    offset_0: f32,
    offset_1: f32,
    offset_2: f32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> picture: array<u32>;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn byte(at: u32) -> f32 {
    return f32((picture[at / 4u] >> (at % 4u * 8u)) & 255u);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    let n = index / p.plane;
    if (n >= p.batch) {
        return;
    }
    let first = index * p.channels;
    let rgb = vec3<f32>(byte(first), byte(first + 1u), byte(first + 2u));
    let bytes = select(rgb, rgb.bgr, p.bgr != 0u);
    let v = bytes * vec3(p.scale_0, p.scale_1, p.scale_2) + vec3(p.offset_0, p.offset_1, p.offset_2);
    let at = p.x_offset + n * p.x_batch_stride + index % p.plane;
    x[at] = ${X}(v.r);
    x[at + p.plane] = ${X}(v.g);
    x[at + 2u * p.plane] = ${X}(v.b);
}
