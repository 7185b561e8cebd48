// y[n, c, h, w] = epilogue(weight[c] · (x[n, c, h, w] - mean) · rsqrt(variance + epsilon)) with
// mean and variance over the channels c of pixel (n, h, w)
//
// x, y: [N, C, H, W]. weight: [C]. A workgroup normalises 16 pixels, 16 invocations each pixel:
// neighbours read neighbouring pixels of a channel.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    epsilon: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
@group(0) @binding(_) var<storage, read> weight: array<f32>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/pixel_columns.wgsl"

var<workgroup> partial: array<f32, WORKGROUP>;

// The sum of `v` over the invocations of a pixel, seen by all of them.
fn reduce_column(lane: u32, v: f32) -> f32 {
    workgroupBarrier();
    partial[lane] = v;
    for (var half = WORKGROUP / 2u; half >= PIXELS; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    workgroupBarrier();
    return partial[lane % PIXELS];
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
    var sum = 0.0;
    for (var c = lane / PIXELS; c < p.y_channels; c += SHARES) {
        sum += f32(x[start + c * plane]);
    }
    let mean = reduce_column(lane, sum) / f32(p.y_channels);
    sum = 0.0;
    for (var c = lane / PIXELS; c < p.y_channels; c += SHARES) {
        let distance = f32(x[start + c * plane]) - mean;
        sum += distance * distance;
    }
    let variance = reduce_column(lane, sum) / f32(p.y_channels);
    let factor = inverseSqrt(variance + p.epsilon);
    if (!column.inside) {
        return;
    }
    for (var c = lane / PIXELS; c < p.y_channels; c += SHARES) {
        let v = (f32(x[start + c * plane]) - mean) * factor * weight[c];
        let h = column.pixel / p.y_width;
        store_channel(v, channel_of(column.n, c), column.n, c, h, column.pixel % p.y_width);
    }
}
