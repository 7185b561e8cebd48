// Of linear.wgsl and linears.wgsl: x [N, I], rows of weights, and the sums of their products. With ALONE
// there is one sample, and both are read by words of four values. Every sample of a batch is computed so
// by a workgroup of its own: its sums are added in the order that they have when it is alone.

#enable f16 if X == f16
#enable f16 if W == f16
#if ALONE
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
@group(0) @binding(_) var<storage, read> weight: array<vec4<${W}>>;
#else
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read> weight: array<${W}>;
#endif

const WORKGROUP = ${WORKGROUP}u;
const SAMPLES = ${SAMPLES}u;
#if ALONE
const_assert SAMPLES == 1u;
#else
// As many as a vector has components.
const_assert SAMPLES == 4u;
#endif

// What a weight is multiplied with.
fn factor(x: vec4<f32>) -> vec4<f32> {
#if DEMODULATE
    return x * x;
#else
    return x;
#endif
}

#if !ALONE
// The last sample again for those that are not there: store_y drops them.
fn load(n: u32, i: u32) -> f32 {
    return f32(x[p.x_offset + min(n, p.y_batch - 1u) * p.x_batch_stride + i]);
}
#endif

// A lane's share of the products of the weights from `row` on with as many inputs from `start` on, of
// SAMPLES samples.
fn products(lane: u32, first: u32, row: u32, start: u32, inputs: u32) -> vec4<f32> {
    var sum = vec4<f32>();
#if ALONE
    // Each lane's sums, then the sample's, in the place of the first of four samples.
    let at = (p.x_offset + first * p.x_batch_stride + start) / 4u;
    for (var i = lane; i < inputs / 4u; i += WORKGROUP) {
        sum += vec4<f32>(weight[row / 4u + i]) * factor(vec4<f32>(x[at + i]));
    }
    return vec4(sum.x + sum.y + sum.z + sum.w, 0.0, 0.0, 0.0);
#else
    for (var i = lane; i < inputs; i += WORKGROUP) {
        sum += f32(weight[row + i]) * factor(vec4(
            load(first, start + i),
            load(first + 1u, start + i),
            load(first + 2u, start + i),
            load(first + 3u, start + i),
        ));
    }
    return sum;
#endif
}
