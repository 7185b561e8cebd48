//! Host side of `kernels/paste.wgsl`: a face goes into a photo.

use crate::gpu::builder::Call;

/// The area of `height × width` pixels from `first` on, of rows of `photo_width`, takes
/// `amounts[0]` of the face, with `amounts[1]` levels of grain.
pub fn record(
    [height, width]: [usize; 2],
    [photo_width, first]: [usize; 2],
    side: usize,
    amounts: [f32; 2],
) -> Call {
    let words = [height, width, photo_width, first, side].map(|v| v as u32);
    let params = words.into_iter().chain(amounts.map(f32::to_bits)).collect();
    Call::new("paste", &[], params, height * width)
}
