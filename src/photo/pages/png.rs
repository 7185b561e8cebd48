//! PNG with frames: its specification, third edition, 11.3.6.

use std::io::Write;
use std::time::Duration;

use png::{BitDepth, BlendOp, ColorType, DisposeOp, Encoder};

use super::super::{Picture, segments};

/// A file that frames are written to.
pub(super) struct Writer<W: Write> {
    writer: png::Writer<W>,
    size: [usize; 2],
}

impl<W: Write> Writer<W> {
    /// A file of `[height, width]` pixels with `count` frames that are shown `plays` times, 0: for
    /// ever. What is not pixels is that of `single`, a PNG of the first frame alone.
    pub(super) fn new(
        to: W,
        [height, width]: [usize; 2],
        [count, plays]: [u32; 2],
        single: &[u8],
    ) -> Result<Self, String> {
        let side = |side: usize| u32::try_from(side).map_err(|e| e.to_string());
        let mut encoder = Encoder::new(to, side(width)?, side(height)?);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_animated(count, plays).map_err(describe)?;
        // Each frame is whole, and takes the place of the one before.
        encoder.set_blend_op(BlendOp::Source).map_err(describe)?;
        encoder.set_dispose_op(DisposeOp::None).map_err(describe)?;
        let mut writer = encoder.write_header().map_err(describe)?;
        for chunk in segments::of_png(single) {
            if !matches!(&chunk.kind, b"IHDR" | b"IDAT" | b"IEND") {
                writer
                    .write_chunk(png::chunk::ChunkType(chunk.kind), chunk.data)
                    .map_err(describe)?;
            }
        }
        Ok(Self { writer, size: [height, width] })
    }

    /// Appends a frame.
    pub(super) fn write(
        &mut self,
        picture: &Picture,
        delay: Option<Duration>,
    ) -> Result<(), String> {
        if [picture.height, picture.width] != self.size {
            return Err("the frames of an animation have one size".to_owned());
        }
        let [above, below] = fraction(delay.unwrap_or_default());
        self.writer.set_frame_delay(above, below).map_err(describe)?;
        let pixels = picture.rgb.as_chunks::<3>().0.iter();
        let alpha = |i: usize| {
            picture.alpha.as_ref().and_then(|alpha| alpha.get(i)).copied().unwrap_or(u8::MAX)
        };
        let rgba: Vec<u8> =
            pixels.enumerate().flat_map(|(i, &[r, g, b])| [r, g, b, alpha(i)]).collect();
        self.writer.write_image_data(&rgba).map_err(describe)
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<(), String> {
        self.writer.finish().map_err(describe)
    }
}

/// Seconds as a fraction of numbers with 16 bits: the last convergent of its continued fraction that
/// fits. The delays of other formats come back exactly.
fn fraction(delay: Duration) -> [u16; 2] {
    const MOST: u128 = u16::MAX as u128;
    let (mut above, mut below) = (delay.as_nanos(), 1_000_000_000_u128);
    if above > MOST * below {
        return [u16::MAX, 1];
    }
    let (mut last, mut found) = ([0, 1], [1, 0]);
    while below > 0 {
        let whole = above / below;
        let next = [0, 1].map(|i| whole * found[i] + last[i]);
        if next.iter().any(|&part| part > MOST) {
            break;
        }
        (last, found) = (found, next);
        // What is left may only be what nanoseconds cannot tell.
        if found[0] * 1_000_000_000 / found[1].max(1) == delay.as_nanos() {
            break;
        }
        (above, below) = (below, above % below);
    }
    found.map(|part| part as u16)
}

fn describe(error: png::EncodingError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_fractions_of_small_numbers() {
        let nanoseconds = |n: u64| fraction(Duration::from_nanos(n));
        assert_eq!(nanoseconds(0), [0, 1]);
        assert_eq!(nanoseconds(120_000_000), [3, 25]);
        assert_eq!(nanoseconds(33_333_333), [1, 30]);
        assert_eq!(nanoseconds(41_708_333), [1001, 24_000]);
        assert_eq!(nanoseconds(70_500_000_000), [141, 2]);
        assert_eq!(fraction(Duration::from_secs(1 << 40)), [u16::MAX, 1]);
        for n in [1, 999, 7_654_321, 123_456_789, 65_534_999_999_999] {
            let [above, below] = nanoseconds(n);
            assert!(below > 0 && (above > 0 || n < 10_000), "{n}: {above}/{below}");
        }
    }
}
