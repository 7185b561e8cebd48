// y[n,c,h,w] = epilogue(Σ_{u,v} K[KH-1-u, KW-1-v] · z[n, c, D·h + u - top, D·w + v - left])
// where z is x with UP - 1 zeros after every sample and zeros around, D = DOWN.
//
// x: [N, C, H, W]. filter: [KH, KW]. y: [N, C, H', W']. One output value per invocation, or with EIGHTS
// eight channels of a pixel.
//
// The trick: only every UP-th tap meets a sample, so the loops start at the first and step by UP.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: i32,
    x_width: i32,
    top: i32,
    left: i32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#include "shared/read.wgsl"

@group(0) @binding(_) var<storage, read> filter_taps: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

const UP = ${UP};
const DOWN = ${DOWN};
const KH = ${KH};
const KW = ${KW};

// The first tap that meets a sample when tap 0 stands at `at` of z.
fn first_tap(at: i32) -> i32 {
    return (UP - at % UP) % UP;
}

fn output(n: u32, o: u32, h: u32, w: u32) -> Read {
    let row = i32(h) * DOWN - p.top;
    let column = i32(w) * DOWN - p.left;
    // In words of what is read together.
    let sample = i32((p.x_offset + n * p.x_batch_stride) / READS);
    let plane = sample + i32(o / READS) * p.x_height * p.x_width;
    var sum = Read();
    for (var u = first_tap(row); u < KH; u += UP) {
        let from_h = row + u;
        if (from_h < 0 || from_h >= p.x_height * UP) {
            continue;
        }
        for (var v = first_tap(column); v < KW; v += UP) {
            let from_w = column + v;
            if (from_w >= 0 && from_w < p.x_width * UP) {
                let tap = filter_taps[(KH - 1 - u) * KW + KW - 1 - v];
                sum += tap * read_at(u32(plane + from_h / UP * p.x_width + from_w / UP));
            }
        }
    }
    return sum;
}
