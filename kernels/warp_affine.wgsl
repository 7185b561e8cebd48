// y[row, column] = mean over factor² samples of bilinear(source, position)
//
// source: [H, W] pixels of four bytes, red lowest; border around them.
// positions: x and y in units of 1/1024 pixel, first of every column of samples, then of every row;
// their sum is rounded to 1/32 pixel, as OpenCV 4 does. y: [height, width] pixels of four bytes.
// All in integers, so that the result is the twin's, bit for bit. One pixel per invocation.

struct Params {
    source_height: u32,
    source_width: u32,
    height: u32,
    width: u32,
    factor: u32,
    border: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> source: array<u32>;
@group(0) @binding(_) var<storage, read> positions: array<vec2<i32>>;
@group(0) @binding(_) var<storage, read_write> y: array<u32>;

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn pixel(x: i32, y: i32) -> vec3<u32> {
    var word = p.border;
    if (x >= 0 && y >= 0 && x < i32(p.source_width) && y < i32(p.source_height)) {
        word = source[u32(y) * p.source_width + u32(x)];
    }
    return (vec3(word) >> vec3(0u, 8u, 16u)) & vec3(255u);
}

fn sample(column: u32, row: u32) -> vec3<u32> {
    let q = (positions[column] + positions[p.width * p.factor + row]) >> vec2(5u);
    let f = vec2<u32>(q & vec2(31));
    let g = 32u - f;
    let at = q >> vec2(5u);
    let above = pixel(at.x, at.y) * g.x + pixel(at.x + 1, at.y) * f.x;
    let below = pixel(at.x, at.y + 1) * g.x + pixel(at.x + 1, at.y + 1) * f.x;
    return (above * g.y + below * f.y + 512u) / 1024u;
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
    let top = index / p.width * p.factor;
    let left = index % p.width * p.factor;
    let area = p.factor * p.factor;
    var sum = vec3(area / 2u);
    for (var i = 0u; i < area; i++) {
        sum += sample(left + i % p.factor, top + i / p.factor);
    }
    let mean = sum / area;
    y[index] = mean.r | (mean.g << 8u) | (mean.b << 16u);
}
