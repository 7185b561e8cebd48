// y[n, c, h, w] = epilogue((x[n, c, h, w] - mean(x)) · deviation(style) / deviation(x) + mean(style))
// with the mean, and the deviation √(Σ (v - mean)² / (len - 1) + epsilon), of channel (n, c)
//
// x, y: [N, C, H, W]. style: [N, C, H', W']. A workgroup computes one channel.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    style_offset: u32,
    style_batch_stride: u32,
    style_pixels: u32,
    epsilon: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#enable f16 if STYLE == f16
@group(0) @binding(_) var<storage, read_write> style: array<${STYLE}>;

const WORKGROUP = ${WORKGROUP}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups);
    let n = index / p.y_channels;
    let c = index % p.y_channels;
    if (n >= p.y_batch) {
        return;
    }
    let x_pixels = p.y_height * p.y_width;
    let x_start = p.x_offset + n * p.x_batch_stride + c * x_pixels;
    let style_start = p.style_offset + n * p.style_batch_stride + c * p.style_pixels;
    let pixels = vec4(f32(x_pixels), f32(p.style_pixels), 1.0, 1.0);
    var sums = vec4<f32>();
    for (var i = lane; i < x_pixels; i += WORKGROUP) {
        sums.x += f32(x[x_start + i]);
    }
    for (var i = lane; i < p.style_pixels; i += WORKGROUP) {
        sums.y += f32(style[style_start + i]);
    }
    let mean = reduce(lane, sums) / pixels;
    workgroupBarrier();
    sums = vec4<f32>();
    for (var i = lane; i < x_pixels; i += WORKGROUP) {
        let distance = f32(x[x_start + i]) - mean.x;
        sums.x += distance * distance;
    }
    for (var i = lane; i < p.style_pixels; i += WORKGROUP) {
        let distance = f32(style[style_start + i]) - mean.y;
        sums.y += distance * distance;
    }
    let squares = reduce(lane, sums);
    let deviation = sqrt(squares.xy / (pixels.xy - 1.0) + p.epsilon);
    let factor = deviation.y / deviation.x;
    let channel = channel_of(n, c);
    for (var i = lane; i < x_pixels; i += WORKGROUP) {
        let v = (f32(x[x_start + i]) - mean.x) * factor + mean.y;
        store_channel(v, channel, n, c, i / p.y_width, i % p.y_width);
    }
}
