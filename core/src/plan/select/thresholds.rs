//! Every number on which the choice of a kernel turns, and on what it was measured.

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: usize,
    /// The bounded quantity.
    pub what: &'static str,
    /// On what it was measured; `None` where it was not.
    pub measured: Option<&'static str>,
}

macro_rules! thresholds {
    ($($name:ident = $value:literal, $what:literal, $measured:expr;)*) => {
        $(#[doc = $what] pub(super) const $name: usize = $value;)*

        /// All of them.
        pub const THRESHOLDS: &[Threshold] = &[$(Threshold {
            name: stringify!($name),
            value: $name,
            what: $what,
            measured: $measured,
        },)*];
    };
}

const AVX512: Option<&str> = Some("two AVX-512 cores");

thresholds! {
    DEEP = 256, "Channels from which on a quarter of the products outweighs what a transform costs at 16×16.", AVX512;
    CPU_WINOGRAD_CHANNELS = 8, "Fewest channels, in and out, that the CPU transforms.", AVX512;
    CPU_WINOGRAD_SIZE = 17, "Fewest rows and columns that the CPU transforms: a product takes half as long for 8×8 and 16×16 pixels of up to 96 channels.", AVX512;
    CPU_DEEP_WINOGRAD_SIZE = 16, "The same from DEEP channels on.", AVX512;
    CPU_PATH_CHANNELS = 16, "Fewest channels, in and out, of a path that the CPU transforms: they share what a transform costs.", AVX512;
    CPU_PATH_SIZE = 32, "Fewest rows and columns of its output.", AVX512;
    CPU_SMALL_WIDTH = 64, "Most columns of an output that vectors of channels compute.", AVX512;
    CPU_SMALL_STRIDED = 4096, "Most pixels of one that is computed so with a stride: its whole input is copied.", AVX512;
    GPU_WINOGRAD_CHANNELS = 32, "Fewest channels, in and out, that a GPU transforms.", None;
    GPU_WINOGRAD_SIZE = 256, "Fewest rows and columns that a GPU transforms. Transformed weights take four times their memory; what they save grows with the pixels that share them. Below this size GFPGAN would need 1.2 GB instead of 0.4.", None;
    GPU_GEMM_ROWS = 16, "Fewest output channels of a group for a product on a GPU: a 64-row tile that is less than a quarter full loses to the direct kernel.", None;
    GPU_GEMM_DEPTH = 16, "Fewest products per output for it.", None;
    GPU_GEMM_INPUTS = 8, "Fewest input channels of a group for it: 16 channels at a time that are less than half there lose to the direct kernel.", None;
    GPU_GEMM_PRODUCTS = 60000, "Most products per output for it: the kernel takes an iteration for each, and Mesa's llvmpipe ends all loops of an invocation after 65,535, silently. No known network has half as many.", Some("llvmpipe 22.3");
    SHARED_INPUTS = 33, "Input channels from which on the depth of a product is shared: with fewer, most parts would have nothing to sum.", None;
    GEMM_FEW_TILES = 512, "Tiles of 64 × 64 of a picture below which parts of a workgroup share the depth of a product.", Some("H200: 512 channels at 32² took 765 µs without, 287 with");
    COOPERATIVE_FEW_TILES = 256, "Tiles of 64 × 64 of a picture below which subgroups share the depth of a product.", Some("H200: no gain (159 µs without, 166 with)");
    COOPERATIVE_FEWER_TILES = 64, "Tiles of 32 × 32 of a picture below which they are of 16 × 16: four times as many workgroups, each of which stages half as much.", None;
    COOPERATIVE_BUSY = 128, "Tiles that should be under way for a device to be busy. Large ones read less per product, so the largest is taken of which there are as many.", None;
    COOPERATIVE_WIDE_LANES = 32, "Lanes of the subgroups that hold large parts; others hold 16 × 16. llvmpipe, with 8 or 16 lanes, writes out the products of every pair of matrices and compiles for minutes where there are many.", Some("llvmpipe 22.3");
    PATCH_FEW_TILES = 64, "Tiles of a picture, of the smallest size, from which on a convolution stages its input once for all taps; below, subgroups share the depth.", None;
    PATCH_INPUTS = 8, "Fewest input channels of a group for it: slabs of 16 that are less than half there lose to the direct kernel.", None;
    PATCH_OVERHEAD = 64, "Cycles of a step of it that are neither products nor reads of workgroup memory: a barrier, and addresses.", None;
    PATCH_QUADS = 16, "Words of a patch that an invocation may hold in registers until they are staged.", None;
    DIRECT_FEW_TILES = 8192, "Tiles of 64 × 64 of a picture below which invocations share the channels of a direct convolution: at 512² an H200 would have all of its invocations under way at once, each waiting for 64 loads in turn.", None;
    DIRECT_INPUTS = 16, "Fewest channels for that.", None;
    DIRECT_FEWER_TILES = 512, "Such tiles below which 64 share them instead of 16: each then reads four pixels of a row, an eighth of a line of a cache.", None;
    DIRECT_DEEP = 128, "Fewest channels for those.", None;
    PATH_BLOCK = 4, "Output channels of a group up to which an invocation of multi_path_conv computes as many, and above which twice as many.", None;
    WINDOW_WORDS = 256, "Words of four values that staged keys, and values, of a window take at most: 4 KiB each.", None;
    WINDOW_KEYS = 16, "Most keys of a window that are staged at a time.", None;
    DIRECT_UNROLLED = 64, "Unrolled multiplications of four rows per invocation and kernel column at most; bounds the length of the shader for large kernels.", None;
}

#[cfg(test)]
mod tests {
    use super::THRESHOLDS;

    #[test]
    fn every_threshold_says_what_it_bounds() {
        for row in THRESHOLDS {
            assert!(row.value > 0 && row.what.ends_with('.'), "{}", row.name);
            assert!(row.measured.is_none_or(|machine| !machine.is_empty()), "{}", row.name);
        }
    }
}
