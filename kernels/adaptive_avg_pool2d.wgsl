// y[n, c, h, w] = epilogue(mean of x[n, c, top..bottom, left..right])
//
// top = ⌊h · H/H'⌋, bottom = ⌈(h + 1) · H/H'⌉, left and right alike with W/W'.
// x: [N, C, H, W]. y: [N, C, H', W']; a single pixel is the mean of all.
// A workgroup computes one output.
//
// The trick: neighbours read neighbouring pixels of the window, a row after the other.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

const WORKGROUP = ${WORKGROUP}u;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/output.wgsl"
#include "shared/reduce.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let y_at = output_of(workgroup_index(workgroup, workgroups));
    // Workgroups past the end compute the last sample again; store_y drops it.
    let n = min(y_at.x, p.y_batch - 1u);
    let top = y_at.z * p.x_height / p.y_height;
    let bottom = ((y_at.z + 1u) * p.x_height + p.y_height - 1u) / p.y_height;
    let left = y_at.w * p.x_width / p.y_width;
    let right = ((y_at.w + 1u) * p.x_width + p.y_width - 1u) / p.y_width;
    let width = right - left;
    let pixels = (bottom - top) * width;
    let channel = p.x_offset + n * p.x_batch_stride + y_at.y * p.x_height * p.x_width;
    var sum = 0.0;
    for (var i = lane; i < pixels; i += WORKGROUP) {
        sum += f32(x[channel + (top + i / width) * p.x_width + left + i % width]);
    }
    let total = reduce(lane, vec4(sum)).x;
    if (lane == 0u) {
        store_y(total / f32(pixels), y_at.x, y_at.y, y_at.z, y_at.w);
    }
}
