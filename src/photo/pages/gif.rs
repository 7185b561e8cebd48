//! GIF89a: pictures of 256 colours each.

use std::collections::HashSet;
use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, DisposalMethod};
use gif::{Encoder, EncodingError, Frame, Repeat};
use image::ImageError;

use super::super::Picture;
use super::super::allocate::filled;
use super::super::channels::without_colour;
use super::super::containers;
use super::super::decode::MAX_PIXELS;
use super::super::formats;
use super::super::kept::Kept;
use super::animation;
use super::canvas::{Canvas, Disposal, Part};
use super::frames::Shown;

/// A palette is learned from about so many pixels, but from a tenth of them at least
/// (`color_quant`).
const LEARNED: usize = 1 << 16;
/// Colours of a picture, one of which may stand for transparent pixels.
const COLOURS: usize = 256;

/// A file that frames are read from.
pub(super) struct Reader {
    decoder: Decoder<Cursor<Arc<[u8]>>>,
    canvas: Canvas,
}

impl Reader {
    /// A file of `[columns, rows]`.
    pub(super) fn open(bytes: Arc<[u8]>, size: [usize; 2]) -> Result<Self, String> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let decoder = options.read_info(Cursor::new(bytes)).map_err(unread)?;
        Ok(Self { decoder, canvas: Canvas::new(size)? })
    }

    /// The next frame; `None` behind the last.
    pub(super) fn read(&mut self) -> Result<Option<Shown>, String> {
        let Some(frame) = self.decoder.next_frame_info().map_err(unread)? else { return Ok(None) };
        let size = [frame.width, frame.height].map(usize::from);
        let at = [frame.left, frame.top].map(usize::from);
        let disposal = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
            DisposalMethod::Background => Disposal::Clear,
            DisposalMethod::Previous => Disposal::Restore,
        };
        let delay = Duration::from_millis(10 * u64::from(frame.delay));
        // A frame may be larger than the picture.
        let count = size[0] * size[1];
        if count > MAX_PIXELS {
            return Err(unread(DecodingError::MemoryLimit));
        }
        let mut pixels = filled(count, [0; 4])?;
        self.decoder.read_into_buffer(pixels.as_flattened_mut()).map_err(unread)?;
        let part = Part { at, size, rgba: &pixels, over: true, disposal };
        Ok(Some(Shown { image: self.canvas.show(&part)?, delay }))
    }
}

/// What is to be said about a file without its end. A single picture is whole without it, but it may
/// be the first of an animation.
pub(in super::super) fn cut(bytes: &[u8]) -> Option<String> {
    let is_cut = !animation::gif(bytes).is_whole;
    is_cut.then(|| "the end of the file is missing: it may have had more frames".to_owned())
}

fn unread(error: DecodingError) -> String {
    match error {
        DecodingError::UnexpectedEof => {
            formats::describe(&ImageError::IoError(std::io::ErrorKind::UnexpectedEof.into()))
        }
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => {
            "the picture needs too much memory to be decoded".to_owned()
        }
        other => {
            let text = other.to_string().replace(char::is_control, " ");
            format!("the picture is damaged: {text}")
        }
    }
}

/// A file that frames are written to.
pub(super) struct Writer<W: Write> {
    encoder: Encoder<W>,
    /// What earlier frames were shown too short, or too long, in nanoseconds.
    owed: i128,
    sides: [u16; 2],
}

impl<W: Write> Writer<W> {
    /// A file of `[height, width]` pixels whose frames are shown `plays` times, 0: for ever.
    pub(super) fn new(
        to: W,
        [height, width]: [usize; 2],
        plays: u32,
        kept: &Kept,
    ) -> Result<Self, String> {
        let side = |side: usize| u16::try_from(side).map_err(|_| "GIF holds 65535 pixels a side");
        let sides = [side(height)?, side(width)?];
        let mut encoder = Encoder::new(to, sides[1], sides[0], &[]).map_err(describe)?;
        match plays {
            0 => encoder.set_repeat(Repeat::Infinite),
            // It counts how often the frames are repeated after the first time.
            _ => encoder.set_repeat(Repeat::Finite((plays - 1).min(u16::MAX.into()) as u16)),
        }
        .map_err(describe)?;
        if let Some(comment) = containers::comment(kept) {
            let comment: &[&[u8]] = &[&comment];
            encoder
                .write_raw_extension(gif::Extension::Comment.into(), comment)
                .map_err(describe)?;
        }
        if let Some(xmp) = &kept.xmp {
            // The packet is not in blocks: what follows it leads readers of blocks to the end (XMP
            // specification, part 3, 1.1.2).
            let descending: Vec<u8> = (0..=u8::MAX).rev().collect();
            let parts = [b"\x21\xFF\x0BXMP DataXMP", &xmp[..], &[1], &descending, &[0]];
            encoder.get_mut().write_all(&parts.concat()).map_err(|e| e.to_string())?;
        }
        Ok(Self { encoder, owed: 0, sides })
    }

    /// Appends a frame.
    pub(super) fn write(
        &mut self,
        picture: &Picture,
        delay: Option<Duration>,
    ) -> Result<(), String> {
        let [height, width] = self.sides;
        if [picture.height, picture.width] != [height, width].map(usize::from) {
            return Err("the frames of an animation have one size".to_owned());
        }
        let mut rgba = rgba(picture);
        let one_of = (picture.height * picture.width / LEARNED).clamp(1, 10);
        let mut frame = Frame::from_rgba_speed(width, height, &mut rgba, one_of as i32);
        // What is transparent must not show the frame before.
        frame.dispose = DisposalMethod::Background;
        const HUNDREDTH: i128 = 10_000_000;
        let wanted = self.owed + delay.unwrap_or_default().as_nanos() as i128;
        let shown = (wanted + HUNDREDTH / 2) / HUNDREDTH;
        frame.delay = shown.clamp(0, u16::MAX.into()) as u16;
        self.owed = wanted - i128::from(frame.delay) * HUNDREDTH;
        self.encoder.write_frame(&frame).map_err(describe)
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<W, String> {
        self.encoder.into_inner().map_err(describe)
    }
}

/// A file with one picture, without colours where it is to be `gray`.
pub(in super::super) fn of_one(
    picture: &Picture,
    gray: bool,
    kept: &Kept,
) -> Result<Vec<u8>, String> {
    let size = [picture.height, picture.width];
    let mut writer = Writer::new(Vec::new(), size, 1, kept)?;
    if gray {
        let rgb = without_colour(&picture.rgb);
        writer.write(&Picture { rgb, ..picture.clone() }, None)?;
    } else {
        writer.write(picture, None)?;
    }
    writer.finish()
}

/// A pixel is transparent or it is not.
fn rgba(picture: &Picture) -> Vec<u8> {
    let pixels = picture.rgb.as_chunks::<3>().0.iter();
    let alpha = |i: usize| picture.alpha.as_ref().and_then(|alpha| alpha.get(i)).copied();
    let whole = |i: usize| if alpha(i).is_some_and(|alpha| alpha < 128) { 0 } else { u8::MAX };
    pixels.enumerate().flat_map(|(i, &[r, g, b])| [r, g, b, whole(i)]).collect()
}

/// What a GIF does not hold of a picture, a sentence each.
pub(in super::super) fn losses(picture: &Picture) -> Vec<String> {
    let mut notes = Vec::new();
    let mut colours = HashSet::new();
    let is_clear = |i: usize| picture.alpha.as_ref().is_some_and(|alpha| alpha[i] < 128);
    let mut room = COLOURS;
    for (i, pixel) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
        if is_clear(i) {
            room = COLOURS - 1;
        } else {
            colours.insert(pixel);
        }
        if colours.len() > room {
            notes
                .push("GIF holds 256 colours a picture: the others became similar ones".to_owned());
            break;
        }
    }
    if picture.alpha.iter().flatten().any(|alpha| !matches!(*alpha, 0 | u8::MAX)) {
        notes.push("GIF holds no half transparency: pixels became opaque or clear".to_owned());
    }
    notes
}

fn describe(error: EncodingError) -> String {
    error.to_string()
}
