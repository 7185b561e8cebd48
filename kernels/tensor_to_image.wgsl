// byte[n, h, w, k] = round((y[n, c(k), h, w] - offset[c]) / scale[c]), halves to even, within
// 0..=255; c(k) = k, or 2 - k for BGR tensors; a fourth byte is 255.
//
// y: [N, 3, H, W]. picture: bytes, CHANNELS (3 or 4) per pixel, packed into words.
// non_finite: set when a value of y is NaN or infinite.
//
// One word per invocation: whole words need no atomic writes although pixels share them.

struct Params {
    y_offset: u32,
    y_batch_stride: u32,
    bytes: u32,
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
#enable f16 if Y == f16
@group(0) @binding(_) var<storage, read_write> y: array<${Y}>;
@group(0) @binding(_) var<storage, read_write> picture: array<u32>;
@group(0) @binding(_) var<storage, read_write> non_finite: atomic<u32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn byte(at: u32) -> u32 {
    let k = at % p.channels;
    if (at >= p.bytes || k == 3u) {
        return 255u;
    }
    let pixel = at / p.channels;
    let n = pixel / p.plane;
    let c = select(k, 2u - k, p.bgr != 0u);
    let v = f32(y[p.y_offset + n * p.y_batch_stride + c * p.plane + pixel % p.plane]);
    if ((bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u) {
        atomicStore(&non_finite, 1u);
        return 0u;
    }
    let scale = vec3(p.scale_0, p.scale_1, p.scale_2)[c];
    let offset = vec3(p.offset_0, p.offset_1, p.offset_2)[c];
    return u32(clamp(round((v - offset) / scale), 0.0, 255.0));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let word = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    let first = word * 4u;
    if (first < p.bytes) {
        picture[word] = byte(first) | (byte(first + 1u) << 8u) | (byte(first + 2u) << 16u)
            | (byte(first + 3u) << 24u);
    }
}
