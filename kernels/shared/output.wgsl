#if EIGHTS
// Eight channels from o on of an output pixel [n, o, h, w] per invocation; neighbours lie side by side
// in memory.
fn block_of(invocation: u32) -> vec4<u32> {
    let row = invocation / p.y_width;
    let plane = row / p.y_height;
    let blocks = p.y_channels / 8u;
    return vec4(plane / blocks, plane % blocks * 8u, row % p.y_height, invocation % p.y_width);
}
#else
// One output element [n, o, h, w] per invocation; neighbours lie side by side in memory.
fn output_of(invocation: u32) -> vec4<u32> {
    let row = invocation / p.y_width;
    let plane = row / p.y_height;
    return vec4(plane / p.y_channels, plane % p.y_channels, row % p.y_height, invocation % p.y_width);
}
#endif
