// y[n, 0, h, w] = epilogue(the first c with the largest x[n, c, h, w]); NaN where one of them is
//
// x: [N, C, H, W]. y: [N, 1, H, W]. A workgroup compares the channels of 16 pixels.
//
// Equal values are settled by the lower channel, within an invocation's share and between shares,
// so that the order of comparison does not matter.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_channels: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/pixel_columns.wgsl"

var<workgroup> largest: array<f32, WORKGROUP>;
var<workgroup> channels: array<u32, WORKGROUP>;

// Whether v at channel c beats the best so far.
fn is_better(v: f32, c: u32, best: f32, best_c: u32) -> bool {
    if (is_nan(v) || is_nan(best)) {
        return !is_nan(best);
    }
    return v > best || (v == best && c < best_c);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = column_of(workgroup_index(workgroup, workgroups), lane);
    let plane = p.y_height * p.y_width;
    let start = p.x_offset + column.n * p.x_batch_stride + column.pixel;
    // Shares that have no channel start with the last.
    var best_c = min(lane / PIXELS, p.x_channels - 1u);
    var best = f32(x[start + best_c * plane]);
    for (var c = best_c + SHARES; c < p.x_channels; c += SHARES) {
        let v = f32(x[start + c * plane]);
        if (is_better(v, c, best, best_c)) {
            best = v;
            best_c = c;
        }
    }
    largest[lane] = best;
    channels[lane] = best_c;
    for (var half = WORKGROUP / 2u; half >= PIXELS; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            let other = lane + half;
            if (is_better(largest[other], channels[other], largest[lane], channels[lane])) {
                largest[lane] = largest[other];
                channels[lane] = channels[other];
            }
        }
    }
    if (lane < PIXELS && column.inside) {
        let index = select(f32(channels[lane]), largest[lane], is_nan(largest[lane]));
        store_y(index, column.n, 0u, column.pixel / p.y_width, column.pixel % p.y_width);
    }
}
