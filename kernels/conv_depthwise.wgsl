// y[n,c,h,w] = epilogue(Σ_{u,v} W[c,u,v] · x[n, c, S·h + D·u - top, S·w + D·v - left])
// with stride S and dilation D.
//
// x: through shared/load.wgsl. weight: [C, 1, KH, KW]. y: through shared/epilogue.wgsl.
// ROWS output rows per invocation; neighbours compute neighbouring columns.
//
// The trick: the SPAN input pixels of one column serve all taps of ROWS output rows.

struct Params {
#include "shared/load_params.wgsl"
    top: i32,
    left: i32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;

#include "shared/load.wgsl"

#enable f16 if W == f16
@group(0) @binding(_) var<storage, read> weight: array<${W}>;

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

const ROWS = ${ROWS}u;
// As many as a vector has components.
const_assert ROWS == 4u;
const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let strips = (p.y_height + ROWS - 1u) / ROWS;
    let pixels = strips * p.y_width;
    let index = workgroup_index(workgroup, workgroups) * WORKGROUP + lane;
    let plane = index / pixels;
    let n = plane / p.y_channels;
    let c = plane % p.y_channels;
    let h = index % pixels / p.y_width * ROWS;
    let w = index % p.y_width;
    if (n >= p.y_batch) {
        return;
    }
    let row = i32(h) * ${STRIDE} - p.top;
    let column = i32(w) * ${STRIDE} - p.left;
    var sum = vec4<f32>();
    for (var v = 0u; v < ${KW}u; v++) {
        let at = column + i32(v) * ${DILATION};
        // Tap u of output row r reads x[r·S + u·D].
        let span = array<f32, ${SPAN}>(
#for J in 0..${SPAN}
            load_x(n, c, row + ${J}, at),
#endfor
        );
#for U in 0..${KH}
        sum += f32(weight[(c * ${KH}u + ${U}u) * ${KW}u + v]) * vec4<f32>(
            span[${U} * ${DILATION}],
            span[${STRIDE} + ${U} * ${DILATION}],
            span[2 * ${STRIDE} + ${U} * ${DILATION}],
            span[3 * ${STRIDE} + ${U} * ${DILATION}],
        );
#endfor
    }
    store_y(sum.x, n, c, h, w);
    store_y(sum.y, n, c, h + 1u, w);
    store_y(sum.z, n, c, h + 2u, w);
    store_y(sum.w, n, c, h + 3u, w);
}
