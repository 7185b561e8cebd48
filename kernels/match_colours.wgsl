// y[row, column] = round(restored + Σ_k weights[k] · rows[m(row + k - radius), column])
// rows[row, column] = Σ_k weights[k] · (original - restored)[row, m(column + k - radius)]
//
// The colours and the light of one face for another: their difference, blurred along rows (ROWS is
// defined), then along columns. m mirrors at the outermost pixel. original, restored, y:
// [size, size] pixels of four bytes, red lowest; rows: [size, size] of red, green, blue and nothing;
// weights: [2·radius + 1]. One pixel per invocation.

struct Params {
    size: u32,
    radius: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> weights: array<f32>;
@group(0) @binding(_) var<storage, read> restored: array<u32>;
#if ROWS
@group(0) @binding(_) var<storage, read> original: array<u32>;
@group(0) @binding(_) var<storage, read_write> rows: array<vec4<f32>>;
#else
@group(0) @binding(_) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(_) var<storage, read_write> y: array<u32>;
#endif

#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn bytes(word: u32) -> vec3<f32> {
    return vec3<f32>((vec3(word) >> vec3(0u, 8u, 16u)) & vec3(255u));
}

fn mirrored(at: i32) -> u32 {
    let period = 2 * (i32(p.size) - 1);
    if (period == 0) {
        return 0u;
    }
    let place = (at % period + period) % period;
    return u32(min(place, period - place));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    if (index >= p.size * p.size) {
        return;
    }
    let row = index / p.size;
    let column = index % p.size;
    var sum = vec3(0.0);
    for (var k = 0u; k <= 2u * p.radius; k++) {
        let offset = i32(k) - i32(p.radius);
#if ROWS
        let at = row * p.size + mirrored(i32(column) + offset);
        sum += weights[k] * (bytes(original[at]) - bytes(restored[at]));
#else
        sum += weights[k] * rows[mirrored(i32(row) + offset) * p.size + column].rgb;
#endif
    }
#if ROWS
    rows[index] = vec4(sum, 0.0);
#else
    let v = bytes(restored[index]) + sum;
    let rounded = vec3<u32>(clamp(floor(v + 0.5), vec3(0.0), vec3(255.0)));
    y[index] = rounded.r | (rounded.g << 8u) | (rounded.b << 16u);
#endif
}
