//! WebP with frames: RFC 9649, 2.7.1. Each frame is a picture of the whole canvas.

use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder as _, ImageError};

use super::super::{Picture, formats, segments};
use super::canvas::{Canvas, Disposal, Part};
use super::frames::Shown;

/// A file that frames are read from. Each is taken for a picture of its own: `image` draws frames
/// over each other that are to be cleared.
pub(super) struct Reader {
    bytes: Arc<[u8]>,
    canvas: Canvas,
    next: usize,
}

impl Reader {
    /// A file of `[columns, rows]`.
    pub(super) fn open(bytes: Arc<[u8]>, size: [usize; 2]) -> Result<Self, String> {
        let told = bytes.get(4..8).and_then(|length| length.first_chunk());
        let told = told.map_or(0, |&length| u64::from(u32::from_le_bytes(length)) + 8);
        if told > bytes.len() as u64 {
            return Err(truncated());
        }
        Ok(Self { bytes, canvas: Canvas::new(size)?, next: 0 })
    }

    /// The next frame; `None` behind the last.
    pub(super) fn read(&mut self) -> Result<Option<Shown>, String> {
        let mut frames = segments::of_webp(&self.bytes).filter(|chunk| &chunk.kind == b"ANMF");
        let Some(frame) = frames.nth(self.next) else { return Ok(None) };
        self.next += 1;
        let (head, body) = frame.data.split_first_chunk::<16>().ok_or_else(truncated)?;
        let long = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        let at = [long(0), long(3)].map(|half| 2 * half as usize);
        let size = [long(6), long(9)].map(|less| less as usize + 1);
        let delay = Duration::from_millis(long(12).into());
        let flags = head[15];
        // The picture of its own: with transparency where it may have some.
        let see_through = matches!(body.first_chunk(), Some(b"ALPH" | b"VP8L"));
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        let alpha = if see_through { ALPHA } else { 0 };
        let canvas = [&[alpha, 0, 0, 0], &head[6..12]].concat();
        put(&mut file, b"VP8X", &canvas);
        file.extend(body);
        let length = u32::try_from(file.len() - 8).map_err(|_| "the picture is too large")?;
        file[4..8].copy_from_slice(&length.to_le_bytes());
        let describe = |e: ImageError| formats::describe(&e);
        let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(describe)?;
        formats::check(&mut decoder)?;
        if decoder.dimensions() != (size[0] as u32, size[1] as u32) {
            return Err("the picture is damaged: a frame has another size than it says".to_owned());
        }
        let pixels = DynamicImage::from_decoder(decoder).map_err(describe)?.into_rgba8().into_raw();
        let part = Part {
            at,
            size,
            rgba: pixels.as_chunks().0,
            over: flags & WHOLE == 0,
            disposal: if flags & CLEARED == 0 { Disposal::Keep } else { Disposal::Clear },
        };
        Ok(Some(Shown { image: self.canvas.show(&part)?, delay }))
    }
}

fn truncated() -> String {
    formats::describe(&ImageError::IoError(std::io::ErrorKind::UnexpectedEof.into()))
}

/// A file that frames are written to.
pub(super) struct Writer<W: Write + Seek> {
    to: W,
    size: [usize; 2],
    flags: u8,
    /// Chunks behind the frames.
    metadata: Vec<u8>,
    /// What earlier frames were shown too short, or too long, in nanoseconds.
    owed: i128,
}

const ICC: u8 = 0x20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;
const ANIMATION: u8 = 0x02;
/// A frame takes the place of what is there, instead of being laid over it.
const WHOLE: u8 = 0b10;
/// A frame's place becomes transparent before the next one.
const CLEARED: u8 = 0b01;
/// Bytes before the flags: RIFF, the size, WEBP, VP8X, the chunk's size.
const FLAGS: u64 = 20;

impl<W: Write + Seek> Writer<W> {
    /// A file of `[height, width]` pixels whose frames are shown `plays` times, 0: for ever. What is
    /// not pixels is that of `single`, a WebP of the first frame alone.
    pub(super) fn new(
        mut to: W,
        size: [usize; 2],
        plays: u32,
        single: &[u8],
    ) -> Result<Self, String> {
        let (mut flags, mut profile, mut metadata) = (ANIMATION, Vec::new(), Vec::new());
        for chunk in segments::of_webp(single) {
            match &chunk.kind {
                b"ICCP" => {
                    flags |= ICC;
                    put(&mut profile, b"ICCP", chunk.data);
                }
                b"EXIF" => {
                    flags |= EXIF;
                    put(&mut metadata, b"EXIF", chunk.data);
                }
                b"XMP " => {
                    flags |= XMP;
                    put(&mut metadata, b"XMP ", chunk.data);
                }
                _ => {}
            }
        }
        let mut head = b"RIFF\0\0\0\0WEBP".to_vec();
        let canvas = [[flags, 0, 0, 0].as_slice(), &side(size[1]), &side(size[0])].concat();
        put(&mut head, b"VP8X", &canvas);
        head.extend(profile);
        // The colour behind all frames, and how often they are shown.
        let plays = (plays.min(u16::MAX.into()) as u16).to_le_bytes();
        put(&mut head, b"ANIM", &[0, 0, 0, 0, plays[0], plays[1]]);
        to.write_all(&head).map_err(|e| e.to_string())?;
        Ok(Self { to, size, flags, metadata, owed: 0 })
    }

    /// Appends the frame `picture`, which `file` holds as a WebP of its own.
    pub(super) fn write(
        &mut self,
        picture: &Picture,
        file: &[u8],
        delay: Option<Duration>,
    ) -> Result<(), String> {
        const MILLISECOND: i128 = 1_000_000;
        if [picture.height, picture.width] != self.size {
            return Err("the frames of an animation have one size".to_owned());
        }
        let wanted = self.owed + delay.unwrap_or_default().as_nanos() as i128;
        let shown = (wanted + MILLISECOND / 2) / MILLISECOND;
        let shown = shown.clamp(0, (1 << 24) - 1) as u32;
        self.owed = wanted - i128::from(shown) * MILLISECOND;
        if picture.alpha.is_some() {
            self.flags |= ALPHA;
        }
        // Its place is the canvas's corner; it is not blended with what is there.
        let (width, height) = (side(picture.width), side(picture.height));
        let mut frame = [&[0; 6], &width[..], &height].concat();
        frame.extend(&shown.to_le_bytes()[..3]);
        frame.push(WHOLE);
        let before = frame.len();
        for chunk in segments::of_webp(file) {
            if matches!(&chunk.kind, b"ALPH" | b"VP8 " | b"VP8L") {
                put(&mut frame, &chunk.kind, chunk.data);
            }
        }
        if frame.len() == before {
            return Err("the frame has no pixels".to_owned());
        }
        let mut chunk = Vec::new();
        put(&mut chunk, b"ANMF", &frame);
        self.to.write_all(&chunk).map_err(|e| e.to_string())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let io = |e: std::io::Error| e.to_string();
        self.to.write_all(&self.metadata).map_err(io)?;
        let length = self.to.stream_position().map_err(io)?;
        let size = u32::try_from(length - 8).map_err(|_| "a WebP holds at most 4 GiB")?;
        self.to.seek(SeekFrom::Start(4)).map_err(io)?;
        self.to.write_all(&size.to_le_bytes()).map_err(io)?;
        self.to.seek(SeekFrom::Start(FLAGS)).map_err(io)?;
        self.to.write_all(&[self.flags]).map_err(io)?;
        self.to.flush().map_err(io)
    }
}

/// A side, less 1.
fn side(side: usize) -> [u8; 3] {
    let [a, b, c, _] = (side as u32).saturating_sub(1).to_le_bytes();
    [a, b, c]
}

fn put(to: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    to.extend(kind);
    to.extend((data.len() as u32).to_le_bytes());
    to.extend(data);
    to.resize(to.len().next_multiple_of(2), 0);
}
