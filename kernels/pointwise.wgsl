// y[n, c, h, w] = epilogue(x[n, c, h, w])
//
// x, y: [N, C, H, W] with any batch stride.
// Each invocation computes ${STEPS} values, or with IN_QUADS words of four, or with EIGHTS of eight, that
// lie a workgroup apart, so that neighbours read neighbours.

struct Params {
    x_offset: u32,
    x_batch_stride: u32,
#include "shared/epilogue_params.wgsl"
}

@group(0) @binding(_) var<uniform> p: Params;
#enable f16 if X == f16
#if EIGHTS
@group(0) @binding(_) var<storage, read_write> x: array<mat2x4<${X}>>;
#else
#if IN_QUADS
@group(0) @binding(_) var<storage, read_write> x: array<vec4<${X}>>;
#else
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#endif
#endif

#include "shared/epilogue.wgsl"
#include "shared/grid.wgsl"

const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = p.y_height * p.y_width;
    let sample = p.y_channels * plane;
    let first = workgroup_index(workgroup, workgroups) * (WORKGROUP * ${STEPS}u) + lane;
#for I in 0..${STEPS}
    {
        let index = (first + ${I}u * WORKGROUP) * LANES;
        let n = index / sample;
        let at = index % sample;
        if (n < p.y_batch) {
            let word = x[(p.x_offset + n * p.x_batch_stride + at) / LANES];
#if EIGHTS
            let v = Values(vec4<f32>(word[0]), vec4<f32>(word[1]));
            let block = at / LANES / plane;
            store_at(v, n, block * LANES, at / LANES % plane);
#else
            let o = at / plane;
            store_at(Values(word), channel_of(n, o), n, o, at % plane);
#endif
        }
    }
#endfor
}
