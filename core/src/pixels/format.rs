//! 8-bit pictures at the border of a network.

/// How interleaved bytes become a `[1, 3, H, W]` tensor and back:
/// `tensor[c] = byte · scale[c] + offset[c]`; backwards, halves round to even and results clamp to 0..=255.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PixelFormat {
    /// Bytes per pixel, 3 or 4; the fourth is skipped when read and 255 when written.
    pub channels: usize,
    /// Whether channel 0 of the tensor is blue; bytes are always red first.
    pub bgr: bool,
    /// Factor per tensor channel.
    pub scale: [f32; 3],
    /// Summand per tensor channel.
    pub offset: [f32; 3],
}

impl PixelFormat {
    /// RGB bytes ↔ values in [-1, 1].
    pub const SIGNED: Self =
        Self { channels: 3, bgr: false, scale: [2.0 / 255.0; 3], offset: [-1.0; 3] };
    /// RGB bytes ↔ values in [0, 1].
    pub const UNIT: Self =
        Self { channels: 3, bgr: false, scale: [1.0 / 255.0; 3], offset: [0.0; 3] };
}
