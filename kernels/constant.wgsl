// y[n, c, h, w] = epilogue(value[c, h, w])
//
// value: a [1, C, H, W] parameter in f32, repeated over the batch. y: [N, C, H, W].
// One value per invocation.

struct Params {
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read> constant: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/each_output.wgsl"

fn output(n: u32, o: u32, h: u32, w: u32) -> f32 {
    return constant[(o * p.y_height + h) * p.y_width + w];
}
