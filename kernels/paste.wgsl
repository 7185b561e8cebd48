// photo[row, column] = m·(warped + k·fine + (1 - k)·grain·noise) + (1 - m)·photo, all at [row, column]
// fine = original - crop; k = max(0, 1 - 3·damage / mean of luminance(fine)² over 5×5 pixels), or 1
// where damage is 0
//
// m = strength · mask, sampled as shared/soft_mask.wgsl says. warped, crop, original: [HEIGHT, WIDTH],
// where the face goes: the restored face, the crop that it was restored from, and the photo itself;
// photo: the area of as many pixels from `first` on, of rows of photo_width. All of four bytes per
// pixel, red lowest. So what the network's pixels cannot hold is kept where it stands out of the
// damage, whose variance is `damage`. noise: of standard deviation 1, the sum of four uniform numbers
// from a hash of the place in the photo (pcg2d of Jarzynski and Olano, 2020). One pixel per
// invocation.

struct Params {
    height: u32,
    width: u32,
    photo_width: u32,
    first: u32,
    mask_side: u32,
    strength: f32,
    grain: f32,
    damage: f32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> warped: array<u32>;
@group(0) @binding(_) var<storage, read> crop: array<u32>;
@group(0) @binding(_) var<storage, read> original: array<u32>;
@group(0) @binding(_) var<storage, read> mask: array<f32>;
@group(0) @binding(_) var<storage, read> positions: array<vec2<i32>>;
@group(0) @binding(_) var<storage, read_write> photo: array<u32>;

#include "shared/grid.wgsl"
#include "shared/soft_mask.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn noise(place: vec2<u32>) -> f32 {
    var v = place * 1664525u + 1013904223u;
    v.x += v.y * 1664525u;
    v.y += v.x * 1664525u;
    v ^= v >> vec2(16u);
    v.x += v.y * 1664525u;
    v.y += v.x * 1664525u;
    v ^= v >> vec2(16u);
    let halves = vec4(v.x & 0xffffu, v.x >> 16u, v.y & 0xffffu, v.y >> 16u);
    let uniform_numbers = (vec4<f32>(halves) + 0.5) / 65536.0 - 0.5;
    return dot(uniform_numbers, vec4(1.0)) * sqrt(3.0);
}

fn bytes(word: u32) -> vec3<f32> {
    return vec3<f32>((vec3(word) >> vec3(0u, 8u, 16u)) & vec3(255u));
}

fn fine(at: u32) -> vec3<f32> {
    return bytes(original[at]) - bytes(crop[at]);
}

/// How much of the fine detail is kept; beyond the area it goes on as at its edge.
fn kept(row: i32, column: i32) -> f32 {
    if (p.damage == 0.0) {
        return 1.0;
    }
    var energy = 0.0;
    for (var dy = -2; dy <= 2; dy++) {
        for (var dx = -2; dx <= 2; dx++) {
            let y = u32(clamp(row + dy, 0, i32(p.height) - 1));
            let x = u32(clamp(column + dx, 0, i32(p.width) - 1));
            let luminance = dot(fine(y * p.width + x), vec3(0.25, 0.5, 0.25));
            energy += luminance * luminance;
        }
    }
    return clamp(1.0 - 75.0 * p.damage / max(energy, 0.01), 0.0, 1.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    if (index >= p.height * p.width) {
        return;
    }
    let row = index / p.width;
    let column = index % p.width;
    let at = p.first + row * p.photo_width + column;
    let m = p.strength * soft(column, row);
    let k = kept(i32(row), i32(column));
    let grain = (1.0 - k) * p.grain * noise(vec2(at % p.photo_width, at / p.photo_width));
    let face = bytes(warped[index]) + k * fine(index) + grain;
    let v = m * face + (1.0 - m) * bytes(photo[at]);
    let rounded = vec3<u32>(clamp(floor(v + 0.5), vec3(0.0), vec3(255.0)));
    photo[at] = rounded.r | (rounded.g << 8u) | (rounded.b << 16u);
}
