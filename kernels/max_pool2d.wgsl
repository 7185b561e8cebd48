// y[n, c, h, w] = epilogue(max_{u,v} x[n, c, h·S - P + u, w·S - P + v]) for u, v in 0..K
//
// x: [N, C, H, W]. y: [N, C, (H + 2P - K)/S + 1, (W + 2P - K)/S + 1].
// K = KERNEL, S = p.stride, P = p.padding; places outside of x do not count, NaN wins.
// One output value per invocation.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
    stride: u32,
    padding: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

const KERNEL = ${KERNEL}u;

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    let channel = p.x_offset + n * p.x_batch_stride + o * p.x_height * p.x_width;
    var largest = -3.4028234e38;
    for (var u = 0u; u < KERNEL; u++) {
        // Places before the first row or column wrap around to large numbers.
        let row = h * p.stride + u - p.padding;
        if (row >= p.x_height) {
            continue;
        }
        for (var v = 0u; v < KERNEL; v++) {
            let column = w * p.stride + v - p.padding;
            if (column < p.x_width) {
                let value = f32(x[channel + row * p.x_width + column]);
                largest = select(largest, value, value > largest || is_nan(value));
            }
        }
    }
    return largest;
}
