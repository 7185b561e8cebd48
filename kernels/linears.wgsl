// Linear layers p of the same vectors, side by side:
//
//   y[n, F_p + o] = epilogue(Σ_i W_p[o, i] · x[n, G_p + i] + b_p[o])
//   y[n, F_p + o] = epilogue(rsqrt(Σ_i S_p[o, i] · x[n, G_p + i]² + 1e-8))     to demodulate
//
// x: [N, I], a sample flattened in the order C, H, W. weights: all W_p [O_p, I_p] one after the other, or
// all S_p, the sums of the squares of each filter's taps, in f32. biases: all b_p. y: [N, O].
// A workgroup computes one output of four samples, or of the only one, as in linear.wgsl: one launch
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
#enable f16 if X == f16
#enable f16 if W == f16
#if ALONE
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
@group(0) @binding(_) var<storage, read> weights: array<vec4<${W}>>;
#else
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read> weights: array<${W}>;
#endif
#if BIASES
@group(0) @binding(_) var<storage, read> biases: array<f32>;
#endif

const WORKGROUP = ${WORKGROUP}u;
const SAMPLES = ${SAMPLES}u;
// As many as a vector has components.
const_assert SAMPLES == 4u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

#if DEMODULATE
fn factor(x: vec4<f32>) -> vec4<f32> {
    return x * x;
}

fn result(sum: f32, o: u32) -> f32 {
    return inverseSqrt(sum + 1e-8);
}
#else
fn factor(x: vec4<f32>) -> vec4<f32> {
    return x;
}

fn result(sum: f32, o: u32) -> f32 {
#if BIASES
    return sum + biases[o];
#else
    return sum;
#endif
}
#endif

#if !ALONE
// The last sample again for those that are not there: store_y drops them.
fn load(n: u32, i: u32) -> f32 {
    return f32(x[p.x_offset + min(n, p.y_batch - 1u) * p.x_batch_stride + i]);
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
    var sum = vec4<f32>();
#if ALONE
    // Each lane's sums, then the sample's, in the place of the first of four samples.
    for (var i = lane; i < inputs / 4u; i += WORKGROUP) {
        sum += vec4<f32>(weights[row / 4u + i])
            * factor(vec4<f32>(x[(p.x_offset + start) / 4u + i]));
    }
    sum = vec4(sum.x + sum.y + sum.z + sum.w, 0.0, 0.0, 0.0);
#else
    for (var i = lane; i < inputs; i += WORKGROUP) {
        sum += f32(weights[row + i]) * factor(vec4(
            load(first, start + i),
            load(first + 1u, start + i),
            load(first + 2u, start + i),
            load(first + 3u, start + i),
        ));
    }
#endif
    let total = reduce(lane, sum);
    if (lane < SAMPLES) {
        store_y(result(total[lane], o), first + lane, o, 0u, 0u);
    }
}
