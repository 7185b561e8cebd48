//! Host side of `kernels/grain_histogram.wgsl`: the grain of a photo and of the face that goes there.

use crate::gpu::builder::Call;
use crate::pixels::BINS;

/// The area of `height × width` pixels from `first` on, of rows of `photo_width`.
pub fn record([height, width]: [usize; 2], [photo_width, first]: [usize; 2], side: usize) -> Call {
    let params = [height, width, photo_width, first, side].map(|v| v as u32).to_vec();
    Call::new("grain_histogram", &[("BINS", BINS)], params, height * width)
}
