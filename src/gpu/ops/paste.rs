//! Host side of `kernels/paste.wgsl`: a face goes into a photo.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;

/// The area of `height × width` pixels from `first` on, of rows of `photo_width`, takes
/// `amounts[0]` of the face, with `amounts[1]` levels of grain, where the damage has a variance of
/// `amounts[2]`.
pub fn record(
    [height, width]: [usize; 2],
    [photo_width, first]: [usize; 2],
    side: usize,
    amounts: [f32; 3],
) -> Call {
    let mut params = Params::uints([
        ("height", height),
        ("width", width),
        ("photo_width", photo_width),
        ("first", first),
        ("mask_side", side),
    ]);
    params.float("strength", amounts[0]);
    params.float("grain", amounts[1]);
    params.float("damage", amounts[2]);
    Call::new("paste", &[], params, height * width)
}
