// y[n,o,h,w] = epilogue(Σ_{i,u,v} W[o,i,u,v] · x[n, g(o)·I + i, S·h + D·u - top, S·w + D·v - left])
// with stride S, dilation D, groups g and I input channels per group.
//
// x: through shared/load.wgsl. weight: [O, I, KH, KW]. y: through shared/epilogue.wgsl.
// OUT output channels and ROWS output rows per invocation; neighbours compute neighbouring columns.
//
// The trick: the SPAN input pixels of one column serve all taps of ROWS output rows, and each is
// loaded once for OUT output channels, so that layers with few channels are bound by memory. Where there
// are few pixels and many channels, as where a generator's features become RGB, PARTS invocations sum
// every PARTS-th channel of the same pixels each, for one alone would wait for every load in turn. With
// X_EIGHTS a load reads eight channels of a pixel, with EIGHTS a store writes them.

struct Params {
#include "shared/load_params.wgsl"
    groups: u32,
    group_inputs: u32,
    group_outputs: u32,
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

const WORKGROUP = ${WORKGROUP}u;
// Channels that are read together.
const CHANNELS = ${CHANNELS}u;
const ROWS = ${ROWS}u;
// As many as a vector has components.
const_assert ROWS == 4u;
#if PARTS
const PARTS = ${PARTS}u;
var<workgroup> sums: array<vec4<f32>, ${OUT}u * WORKGROUP>;
#else
const PARTS = 1u;
#endif
// Places of a workgroup: four rows of a column each.
const PLACES = WORKGROUP / PARTS;

#if !EIGHTS
fn store_rows(v: vec4<f32>, n: u32, o: u32, h: u32, w: u32) {
#for R in 0..4
    store_y(v[${R}], n, o, h + ${R}u, w);
#endfor
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let strips = (p.y_height + ROWS - 1u) / ROWS;
    let tiles = (strips * p.y_width + PLACES - 1u) / PLACES;
    let blocks = (p.group_outputs + ${OUT}u - 1u) / ${OUT}u;
    let index = workgroup_index(workgroup, workgroups);
    let n = index / (tiles * blocks * p.groups);
    let part = lane / PLACES;
    let pixel = index % tiles * PLACES + lane % PLACES;
    let h = pixel / p.y_width * ROWS;
    let w = pixel % p.y_width;
    if (n >= p.y_batch) {
        return;
    }
#if PARTS
    // Whatever is summed for rows below y's is stored nowhere.
#else
    if (h >= p.y_height) {
        return;
    }
#endif
    let block = index / tiles % (blocks * p.groups);
    let group = block / blocks;
    let first = block % blocks * ${OUT}u;
    let row = i32(h) * ${STRIDE} - p.top;
    let column = i32(w) * ${STRIDE} - p.left;

    let taps = p.group_inputs * ${KH}u * ${KW}u;
#for O in 0..${OUT}
    // The last block reads the last channel again; store_group drops what is not there.
    let w${O} = (group * p.group_outputs + min(first + ${O}u, p.group_outputs - 1u)) * taps;
    var y${O} = vec4<f32>();
#endfor
    for (var i = part * CHANNELS; i < p.group_inputs; i += PARTS * CHANNELS) {
        let c = group * p.group_inputs + i;
#for E in 0..${CHANNELS}
        let factor${E} = load_style(n, c + ${E}u);
#endfor
        for (var v = 0u; v < ${KW}u; v++) {
            let at = column + i32(v) * ${DILATION};
#for J in 0..${SPAN}
            let x${J} = load_plain(n, c, row + ${J}, at);
#endfor
#for E in 0..${CHANNELS}
            {
                let tap = ((i + ${E}u) * ${KH}u) * ${KW}u + v;
                // Tap u of output row r reads x[r·S + u·D].
                let span = array<f32, ${SPAN}>(
#for J in 0..${SPAN}
#if X_EIGHTS
                    x${J}[${E} / 4][${E} % 4] * factor${E},
#else
                    x${J} * factor${E},
#endif
#endfor
                );
#for U in 0..${KH}
                {
                    let column_x = vec4<f32>(
                        span[${U} * ${DILATION}],
                        span[${STRIDE} + ${U} * ${DILATION}],
                        span[2 * ${STRIDE} + ${U} * ${DILATION}],
                        span[3 * ${STRIDE} + ${U} * ${DILATION}],
                    );
#for O in 0..${OUT}
                    y${O} += f32(weight[w${O} + tap + ${U}u * ${KW}u]) * column_x;
#endfor
                }
#endfor
            }
#endfor
        }
    }
#if PARTS
#for O in 0..${OUT}
    sums[${O}u * WORKGROUP + lane] = y${O};
#endfor
    workgroupBarrier();
    // As many invocations as places for each output channel add its parts; each stays at its place.
    let own = lane / PLACES;
    if (own >= ${OUT}u || first + own >= p.group_outputs) {
        return;
    }
    var sum = vec4<f32>();
    for (var k = 0u; k < PARTS; k++) {
        sum += sums[own * WORKGROUP + k * PLACES + lane % PLACES];
    }
    store_rows(sum, n, group * p.group_outputs + first + own, h, w);
#else
#if EIGHTS
#for R in 0..4
    {
        let v = Values(
#for O in 0..8
            y${O}[${R}],
#endfor
        );
        store_y(v, n, group * p.group_outputs + first, h + ${R}u, w);
    }
#endfor
#else
#for O in 0..${OUT}
    if (first + ${O}u < p.group_outputs) {
        store_rows(y${O}, n, group * p.group_outputs + first + ${O}u, h, w);
    }
#endfor
#endif
#endif
}
