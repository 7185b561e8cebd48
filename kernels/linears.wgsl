// Linear layers p of the same vectors, side by side:
//
//   y[n, F_p + o] = epilogue(Σ_i W_p[o, i] · x[n, G_p + i] + b_p[o])
//   y[n, F_p + o] = epilogue(rsqrt(Σ_i S_p[o, i] · x[n, G_p + i]² + 1e-8))     to demodulate
//
// x: [N, I], a sample flattened in the order C, H, W. weight: all W_p [O_p, I_p] one after the other, or
// all S_p, the sums of the squares of each filter's taps, in f32. biases: all b_p. y: [N, O].
// A workgroup computes one output of one sample, or of four, as in linear.wgsl: one launch
// takes the place of as many as there are layers, each of which has too few outputs to fill a device.

const LAYERS = ${LAYERS}u;
const FIRST_INPUT = array<u32, LAYERS>(${FIRST_INPUT});
const INPUTS = array<u32, LAYERS>(${INPUTS});
const FIRST_OUTPUT = array<u32, LAYERS>(${FIRST_OUTPUT});
const FIRST_WEIGHT = array<u32, LAYERS>(${FIRST_WEIGHT});

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/linear.wgsl"
#if BIASES
@group(0) @binding(_) var<storage, read> biases: array<f32>;
#endif

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

#if DEMODULATE
fn result(sum: f32, o: u32) -> f32 {
    return inverseSqrt(sum + 1e-8);
}
#else
fn result(sum: f32, o: u32) -> f32 {
#if BIASES
    return sum + biases[o];
#else
    return sum;
#endif
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let o = index % p.y_channels;
    let first = index / p.y_channels * SAMPLES;
    var layer = 0u;
    while (layer + 1u < LAYERS && o >= FIRST_OUTPUT[min(layer + 1u, LAYERS - 1u)]) {
        layer++;
    }
    let inputs = INPUTS[layer];
    let row = FIRST_WEIGHT[layer] + (o - FIRST_OUTPUT[layer]) * inputs;
    let start = FIRST_INPUT[layer];
    let total = reduce(lane, products(lane, first, row, start, inputs));
    if (lane < SAMPLES) {
        store_y(result(total[lane], o), first + lane, o, 0u, 0u);
    }
}
