// The grid of a dispatch is folded to at most 65,535 workgroups per dimension (src/gpu/builder.rs).
fn workgroup_index(id: vec3<u32>, count: vec3<u32>) -> u32 {
    return id.x + id.y * count.x;
}
