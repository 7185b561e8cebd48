// One output element per invocation: y[n, o, h, w] = epilogue(output(n, o, h, w)), where `output` is
// the kernel's; with EIGHTS it yields eight channels from o on.
#include "shared/grid.wgsl"
#include "shared/output.wgsl"

const WORKGROUP = ${WORKGROUP}u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
#if EIGHTS
    let y_at = block_of(workgroup_index(workgroup, workgroups) * WORKGROUP + lane);
#else
    let y_at = output_of(workgroup_index(workgroup, workgroups) * WORKGROUP + lane);
#endif
    if (y_at.x < p.y_batch) {
        store_y(output(y_at.x, y_at.y, y_at.z, y_at.w), y_at.x, y_at.y, y_at.z, y_at.w);
    }
}
