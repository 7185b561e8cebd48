//! Host side of `kernels/grain_histogram.wgsl`: the grain of a photo and of the face that goes there.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;
use crate::pixels::BINS;

/// The area of `height × width` pixels from `first` on, of rows of `photo_width`.
pub fn record([height, width]: [usize; 2], [photo_width, first]: [usize; 2], side: usize) -> Call {
    let params = Params::uints([
        ("height", height),
        ("width", width),
        ("photo_width", photo_width),
        ("first", first),
        ("mask_side", side),
    ]);
    Call::new("grain_histogram", &[("BINS", BINS)], params, height * width)
}
