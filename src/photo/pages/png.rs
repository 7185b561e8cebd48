//! PNG with frames: its specification, third edition, 11.3.6.

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use image::ImageError;
use png::{BitDepth, BlendOp, ColorType, DisposeOp, Encoder};
use png::{Decoder, DecodingError, Limits, Transformations};

use super::super::allocate::filled;
use super::super::decode::MAX_PIXELS;
use super::super::metadata::narrow;
use super::super::{Picture, formats, segments};
use super::canvas::{Canvas, Disposal, Part};
use super::frames::Shown;

/// A file that frames are read from.
pub(super) struct Reader {
    reader: png::Reader<Cursor<Arc<[u8]>>>,
    canvas: Canvas,
    /// Frames that were not read yet.
    left: u32,
}

impl Reader {
    /// A file of `[columns, rows]`.
    pub(super) fn open(bytes: Arc<[u8]>, size: [usize; 2]) -> Result<Self, String> {
        // A pixel of 4 channels at 16 bits takes 8 bytes, beside what is compressed.
        let limits = Limits { bytes: MAX_PIXELS.saturating_mul(16) };
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_ignore_text_chunk(true);
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder.read_info().map_err(unread)?;
        let left = reader.info().animation_control().map_or(0, |control| control.num_frames);
        if left > 0 && reader.info().frame_control().is_none() {
            // A still picture stands before the frames.
            reader.next_frame_info().map_err(unread)?;
        }
        Ok(Self { reader, canvas: Canvas::new(size)?, left })
    }

    /// Whether it has 16 bits.
    pub(super) fn is_deep(&self) -> bool {
        self.reader.output_color_type().1 == BitDepth::Sixteen
    }

    /// The next frame; `None` behind the last.
    pub(super) fn read(&mut self) -> Result<Option<Shown>, String> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let whole = self.reader.output_buffer_size().ok_or_else(too_large)?;
        let mut buffer = filled(whole, 0)?;
        let told = self.reader.next_frame(&mut buffer).map_err(unread)?;
        let info = self.reader.info();
        let Some(&control) = info.frame_control() else { return Ok(None) };
        let (channels, wide) = (told.color_type.samples(), told.bit_depth == BitDepth::Sixteen);
        // Rows of an interlaced part lie as far apart as those of the picture.
        let stride = if info.interlaced {
            self.reader.output_line_size(info.width).ok_or_else(too_large)?
        } else {
            told.line_size
        };
        let size = [control.width, control.height].map(|side| side as usize);
        let mut pixels = filled(size[0].saturating_mul(size[1]), [0; 4])?;
        let rows = buffer.chunks(stride.max(1)).zip(pixels.chunks_mut(size[0].max(1)));
        for (from, to) in rows {
            if wide {
                let samples =
                    from.as_chunks::<2>().0.iter().map(|&v| narrow(u16::from_be_bytes(v)));
                fill(to, samples, channels);
            } else {
                fill(to, from.iter().copied(), channels);
            }
        }
        let disposal = match control.dispose_op {
            DisposeOp::None => Disposal::Keep,
            DisposeOp::Background => Disposal::Clear,
            DisposeOp::Previous => Disposal::Restore,
        };
        let part = Part {
            at: [control.x_offset, control.y_offset].map(|place| place as usize),
            size,
            rgba: &pixels,
            over: control.blend_op == BlendOp::Over,
            disposal,
        };
        // A denominator of 0 stands for 100 (11.3.6.2).
        let below = if control.delay_den == 0 { 100 } else { u64::from(control.delay_den) };
        let delay = Duration::from_nanos(u64::from(control.delay_num) * 1_000_000_000 / below);
        Ok(Some(Shown { image: self.canvas.show(&part)?, delay }))
    }
}

/// Pixels of samples that stand one after the other: gray or RGB, with alpha or without.
fn fill(to: &mut [[u8; 4]], mut samples: impl Iterator<Item = u8>, channels: usize) {
    let mut next = || samples.next().unwrap_or_default();
    for pixel in to {
        let first = next();
        let [green, blue] = if channels > 2 { [next(), next()] } else { [first; 2] };
        let alpha = if channels.is_multiple_of(2) { next() } else { u8::MAX };
        *pixel = [first, green, blue, alpha];
    }
}

fn too_large() -> String {
    unread(DecodingError::LimitsExceeded)
}

fn unread(error: DecodingError) -> String {
    match error {
        DecodingError::IoError(error) => formats::describe(&ImageError::IoError(error)),
        DecodingError::LimitsExceeded => {
            "the picture needs too much memory to be decoded".to_owned()
        }
        // Asked for more than there are.
        DecodingError::Parameter(_) => "the animation has fewer frames than it says".to_owned(),
        DecodingError::Format(error) => {
            let text = error.to_string().replace(char::is_control, " ");
            format!("the picture is damaged: {text}")
        }
    }
}

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
