// The sum of `v` over the WORKGROUP invocations (a power of two), seen by all of them.
// A tree in workgroup memory: subgroup operations are not everywhere.

var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

fn reduce(lane: u32, v: vec4<f32>) -> vec4<f32> {
    // Nobody reads the sum before this one any more.
    workgroupBarrier();
    partial[lane] = v;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    workgroupBarrier();
    return partial[0];
}
