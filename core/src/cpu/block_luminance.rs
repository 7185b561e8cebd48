//! Twin of `kernels/block_luminance.wgsl`.

/// The sums of `299·R + 587·G + 114·B` over each of `blocks²` blocks of a face of `size × size`
/// pixels. A block may have 16,843 pixels.
pub fn run(face: &[[u8; 3]], size: usize, blocks: usize) -> Vec<u32> {
    let mut sums = vec![0; blocks * blocks];
    for (i, &pixel) in face.iter().enumerate() {
        let [red, green, blue] = pixel.map(u32::from);
        let block = |v: usize| v * blocks / size;
        sums[block(i / size) * blocks + block(i % size)] += 299 * red + 587 * green + 114 * blue;
    }
    sums
}
