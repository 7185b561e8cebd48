// y[n, c, h, w] = epilogue(x[n, c] read at (src(h), src(w)))
//
// nearest: src(d) = ⌊d · step⌋
// bilinear: src(d) = max(0, (d + ½) · step - ½), between two neighbours, edges clamp
// align_corners: src(d) = d · step, the same between neighbours
//
// x: [N, C, H, W]. y: [N, C, H', W']. One output value per invocation, or with IN_QUADS four of a row,
// which share its channel, its rows of x and most of their addresses, or with EIGHTS eight channels of a
// pixel.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
    x_height: u32,
    x_width: u32,
    step_h: f32,
    step_w: f32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#include "shared/read.wgsl"

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"
#include "shared/output.wgsl"

const WORKGROUP = ${WORKGROUP}u;

fn source(at: u32, step: f32) -> f32 {
#if INTERPOLATION == bilinear
    return max((f32(at) + 0.5) * step - 0.5, 0.0);
#else
    return f32(at) * step;
#endif
}

// The rows of x that one of y is made of, as places of their first pixels, and the share of the second.
struct Rows {
    first: u32,
    second: u32,
    share: f32,
}

fn rows_of(n: u32, o: u32, h: u32) -> Rows {
    let place = source(h, p.step_h);
    let row = min(u32(place), p.x_height - 1u);
    let next = min(row + 1u, p.x_height - 1u);
    let plane =
        (p.x_offset + n * p.x_batch_stride) / READS + o / READS * (p.x_height * p.x_width);
    return Rows(plane + row * p.x_width, plane + next * p.x_width, place - f32(row));
}

fn output(rows: Rows, w: u32) -> Read {
    let place = source(w, p.step_w);
    let column = min(u32(place), p.x_width - 1u);
#if INTERPOLATION == nearest
    return read_at(rows.first + column);
#else
    let next = min(column + 1u, p.x_width - 1u);
    let share = place - f32(column);
    let top = between(read_at(rows.first + column), read_at(rows.first + next), share);
    let bottom = between(read_at(rows.second + column), read_at(rows.second + next), share);
    return between(top, bottom, rows.share);
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
#if EIGHTS
    let y_at = block_of(index);
#else
    let y_at = output_of(index * LANES);
#endif
    if (y_at.x < p.y_batch) {
        let rows = rows_of(y_at.x, y_at.y, y_at.z);
#if IN_QUADS
        let v = Values(
            output(rows, y_at.w), output(rows, y_at.w + 1u),
            output(rows, y_at.w + 2u), output(rows, y_at.w + 3u),
        );
#else
        let v = output(rows, y_at.w);
#endif
        store_y(v, y_at.x, y_at.y, y_at.z, y_at.w);
    }
}
