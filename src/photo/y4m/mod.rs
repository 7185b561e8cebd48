//! Uncompressed video as `ffmpeg -f yuv4mpegpipe` writes and reads it: YUV4MPEG2 of mjpegtools, with
//! the kinds of more than 8 bits that ffmpeg adds.

mod convert;

use std::io::{BufRead, ErrorKind, Read as _, Write};
use std::path::PathBuf;

use super::MAX_PIXELS;
use crate::{Error, Result};

const MAGIC: &str = "YUV4MPEG2";
const ANOTHER: &str = "this is not a YUV4MPEG2 video; restore it as a picture, or pipe it through \
                       `ffmpeg -f yuv4mpegpipe`";
/// A header line is shorter; mjpegtools reads 256 bytes.
const LONGEST_LINE: u64 = 4096;

/// How many chroma samples there are, and where they lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chroma {
    /// Half as many per axis; by whether they lie between luma samples horizontally and vertically,
    /// or on every other one.
    Quarter { between: [bool; 2] },
    /// Half as many per row, on every other luma sample.
    Half,
    /// As many as luma samples.
    Full,
    /// None.
    Mono,
}

impl Chroma {
    /// Luma samples per chroma sample, horizontally and vertically.
    fn steps(self) -> [usize; 2] {
        match self {
            Chroma::Quarter { .. } => [2, 2],
            Chroma::Half => [2, 1],
            Chroma::Full | Chroma::Mono => [1, 1],
        }
    }

    /// Whether samples lie between luma samples, horizontally and vertically.
    fn between(self) -> [bool; 2] {
        match self {
            Chroma::Quarter { between } => between,
            _ => [false, false],
        }
    }
}

/// The header of a stream.
#[derive(Clone, PartialEq, Debug)]
pub struct Header {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    chroma: Chroma,
    /// Bits of a sample, 8 to 16; more than 8 take two bytes, the lower first.
    depth: u32,
    /// Whether the least and the largest value are black and white, instead of 16 and 235 of 255.
    full_range: bool,
    /// Parts of red and blue in the luminance, where they are known.
    weights: Option<[f32; 2]>,
    /// All other parameters as they came: rate, aspect, …
    others: Vec<String>,
}

/// One frame: its parameters and its planes one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    parameters: String,
    planes: Vec<u8>,
}

impl Frame {
    /// Its samples: the planes one after the other.
    pub fn planes(&self) -> &[u8] {
        &self.planes
    }
}

/// The chroma and the bits that a header's C means: "420jpeg", "422p10", "mono12".
fn kind_of(value: &str) -> Option<(Chroma, u32)> {
    let chroma = match value {
        "420jpeg" | "420" => Chroma::Quarter { between: [true, true] },
        "420mpeg2" => Chroma::Quarter { between: [false, true] },
        "420paldv" => Chroma::Quarter { between: [false, false] },
        "422" => Chroma::Half,
        "444" => Chroma::Full,
        "mono" => Chroma::Mono,
        deep => {
            let end = deep.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let (kind, bits) = deep.split_at(end);
            let bits = bits.parse().ok().filter(|bits| (9..=16).contains(bits))?;
            let chroma = match kind {
                // As H.264 and later put them: beside the left samples.
                "420p" => Chroma::Quarter { between: [false, true] },
                "422p" => Chroma::Half,
                "444p" => Chroma::Full,
                "mono" => Chroma::Mono,
                _ => return None,
            };
            return Some((chroma, bits));
        }
    };
    Some((chroma, 8))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Image { path: PathBuf::from("video"), what: what.into() }
}

fn io(action: &'static str, source: std::io::Error) -> Error {
    Error::Io { action, path: PathBuf::from("video"), source }
}

/// A line without its end; `None` at the end of the stream.
fn line(from: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(|e| io("read", e))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(wrong("a header of the video is cut off or is too long"));
    }
    if !bytes.is_ascii() && !bytes.starts_with(MAGIC.as_bytes()) {
        return Err(wrong(ANOTHER));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| wrong("a header of the video is not text"))
}

impl Header {
    /// Reads a stream's header.
    ///
    /// # Errors
    /// [`Error::Image`] when this is no such stream, or one that is not read: interlaced, with
    /// transparency; [`Error::Io`].
    pub fn read(from: &mut impl BufRead) -> Result<Self> {
        let text = line(from)?.ok_or_else(|| wrong("the video is empty"))?;
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some(MAGIC) {
            return Err(wrong(ANOTHER));
        }
        let (mut width, mut height, mut others) = (0_usize, 0_usize, Vec::new());
        let (mut chroma, mut full_range) = (Chroma::Quarter { between: [true, true] }, false);
        let mut depth = 8;
        for word in words {
            let mut letters = word.chars();
            let (kind, value) = (letters.next(), letters.as_str());
            match kind {
                Some('W') => width = value.parse().unwrap_or(0),
                Some('H') => height = value.parse().unwrap_or(0),
                Some('C') => {
                    let Some((kind, bits)) = kind_of(value) else {
                        return Err(wrong(format!(
                            "a video of the kind {value:?} is not read; use `ffmpeg -pix_fmt \
                             yuv420p`, yuv422p, yuv444p or gray, or those of 10 to 16 bits, as \
                             yuv420p10"
                        )));
                    };
                    (chroma, depth) = (kind, bits);
                    others.push(word.to_owned());
                }
                Some('I') if !matches!(value, "p" | "?") => {
                    return Err(wrong("interlaced video is not read; use `ffmpeg -vf yadif`"));
                }
                Some('X') if value == "COLORRANGE=FULL" => {
                    full_range = true;
                    others.push(word.to_owned());
                }
                _ => others.push(word.to_owned()),
            }
        }
        if width == 0 || height == 0 || width.saturating_mul(height) > MAX_PIXELS {
            return Err(wrong(format!("a video of {width}×{height} pixels is not read")));
        }
        Ok(Self { width, height, chroma, depth, full_range, weights: None, others })
    }

    /// The header for frames of another size.
    pub fn resized(&self, height: usize, width: usize) -> Self {
        Self { height, width, ..self.clone() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, to: &mut impl Write) -> Result<()> {
        let others: String = self.others.iter().map(|word| format!(" {word}")).collect();
        writeln!(to, "{MAGIC} W{} H{}{others}", self.width, self.height).map_err(|e| io("write", e))
    }

    fn chroma_size(&self) -> [usize; 2] {
        let [across, down] = self.chroma.steps();
        [self.height.div_ceil(down), self.width.div_ceil(across)]
    }

    fn frame_bytes(&self) -> usize {
        let [height, width] = self.chroma_size();
        let chroma = if self.chroma == Chroma::Mono { 0 } else { 2 * height * width };
        (self.height * self.width + chroma) * self.sample_bytes()
    }

    fn sample_bytes(&self) -> usize {
        if self.depth > 8 { 2 } else { 1 }
    }

    /// Sets the parts of red and blue in the luminance, instead of those that its size
    /// suggests.
    #[must_use]
    pub fn with_weights(self, weights: Option<[f32; 2]>) -> Self {
        Self { weights, ..self }
    }

    /// How wide a pixel is for its height, where that is known.
    pub fn aspect(&self) -> Option<(u32, u32)> {
        let word = self.others.iter().find_map(|word| word.strip_prefix('A'))?;
        let (width, height) = word.split_once(':')?;
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        (width > 0 && height > 0).then_some((width, height))
    }

    /// Bits of a sample.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Luma samples per chroma sample, horizontally and vertically; `None` without chroma.
    pub fn subsampling(&self) -> Option<[usize; 2]> {
        (self.chroma != Chroma::Mono).then(|| self.chroma.steps())
    }

    /// Reads the next frame; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Image`] when it is cut off; [`Error::Io`].
    pub fn read_frame(&self, from: &mut impl BufRead) -> Result<Option<Frame>> {
        let Some(text) = line(from)? else { return Ok(None) };
        let Some(parameters) = text.strip_prefix("FRAME") else {
            return Err(wrong("the video is damaged: a frame does not begin where it should"));
        };
        let parameters = parameters.to_owned();
        let mut planes = vec![0; self.frame_bytes()];
        from.read_exact(&mut planes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => wrong("the video is cut off in a frame"),
            _ => io("read", error),
        })?;
        Ok(Some(Frame { parameters, planes }))
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_frame(&self, frame: &Frame, to: &mut impl Write) -> Result<()> {
        let head = writeln!(to, "FRAME{}", frame.parameters);
        head.and_then(|()| to.write_all(&frame.planes)).map_err(|e| io("write", e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::*;

    fn header(kind: &str) -> Header {
        Header::read(&mut format!("YUV4MPEG2 W7 H5 F25:1 Ip A1:1 {kind}\n").as_bytes()).unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        let mut from = bytes;
        let read = Header::read(&mut from).and_then(|header| {
            while header.read_frame(&mut from)?.is_some() {}
            Ok(())
        });
        read.unwrap_err().to_string()
    }

    fn smooth(height: usize, width: usize) -> Picture {
        let value = |i: usize| [60 + i % width * 9, 200 - i / width * 12, 90 + i % width * 5];
        let rgb = (0..height * width).flat_map(|i| value(i).map(|v| v as u8)).collect();
        Picture { height, width, rgb, alpha: None, icc: None }
    }

    #[test]
    fn colours_are_those_of_the_standards() {
        // White, black and red of BT.601 at limited range (ITU-R BT.601-7, 2.5).
        for (sample, expected) in [
            ([235, 128, 128], [255, 255, 255]),
            ([16, 128, 128], [0, 0, 0]),
            ([81, 90, 240], [255, 0, 0]),
        ] {
            let header = header("C444");
            let planes = sample.iter().flat_map(|&v| [v; 35]).collect();
            let frame = Frame { parameters: String::new(), planes };
            let picture = header.picture(&frame);
            let near = picture.rgb[..3].iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
            assert!(near, "{:?} for {expected:?}", &picture.rgb[..3]);
        }
        let full = header("C444 XCOLORRANGE=FULL");
        let planes = [[255; 35], [128; 35], [128; 35]].concat();
        assert_eq!(full.picture(&Frame { parameters: String::new(), planes }).rgb[..3], [255; 3]);
    }

    #[test]
    fn smooth_pictures_survive_every_kind() {
        for kind in ["C420jpeg", "C420mpeg2", "C420paldv", "C422", "C444", "C444 XCOLORRANGE=FULL"]
        {
            let (header, picture) = (header(kind), smooth(5, 7));
            let back = header.picture(&header.frame(&picture, None));
            let far = picture.rgb.iter().zip(&back.rgb).map(|(a, b)| a.abs_diff(*b)).max();
            // The chroma of a slope is exact inside and off by a step at the edges.
            assert!(far <= Some(if kind.contains("444") { 2 } else { 14 }), "{kind}: {far:?}");
        }
        let header = header("Cmono");
        let gray = Picture { rgb: [90; 105].to_vec(), ..smooth(5, 7) };
        let back = header.picture(&header.frame(&gray, None));
        assert!(back.rgb.iter().all(|v| v.abs_diff(90) <= 1));
    }

    #[test]
    fn what_does_not_change_keeps_its_samples() {
        let header = header("C420jpeg");
        let planes: Vec<u8> = (0..header.frame_bytes()).map(|i| (i * 37 % 256) as u8).collect();
        let frame = Frame { parameters: " Ixyz".to_owned(), planes };
        let seen = header.picture(&frame);
        assert_eq!(header.frame(&seen, Some((&frame, &seen))), frame);
        let mut changed = seen.clone();
        changed.rgb[..3].copy_from_slice(&[1, 2, 3]);
        let other = header.frame(&changed, Some((&frame, &seen)));
        let differing = other.planes.iter().zip(&frame.planes).filter(|(a, b)| a != b).count();
        assert!((1..=3).contains(&differing), "{differing}");
    }

    #[test]
    fn a_stream_is_read_and_written() {
        let text = "YUV4MPEG2 W7 H5 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG\n";
        let header = Header::read(&mut text.as_bytes()).unwrap();
        let mut written = Vec::new();
        header.write(&mut written).unwrap();
        let frame = header.frame(&smooth(5, 7), None);
        header.write_frame(&frame, &mut written).unwrap();
        header.write_frame(&frame, &mut written).unwrap();
        let mut from = &written[..];
        assert_eq!(Header::read(&mut from).unwrap(), header);
        assert_eq!(header.read_frame(&mut from).unwrap(), Some(frame.clone()));
        assert_eq!(header.read_frame(&mut from).unwrap(), Some(frame));
        assert_eq!(header.read_frame(&mut from).unwrap(), None);
        assert!(
            written.starts_with(b"YUV4MPEG2 W7 H5 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG\n")
        );
        for end in [30, 70, written.len() - 3] {
            assert!(message(&written[..end]).contains("cut off"), "{end}");
        }
    }

    #[test]
    fn other_streams_are_refused_by_name() {
        assert!(message(b"").contains("empty"));
        assert!(message(b"RIFF....AVI \n").contains("ffmpeg"));
        assert!(message(b"YUV4MPEG2 W9 H9 C444alpha\n").contains("444alpha"));
        assert!(message(b"YUV4MPEG2 W9 H9 C420p17\n").contains("420p17"));
        assert!(message(b"YUV4MPEG2 W9 H9 It\n").contains("interlaced"));
        assert!(message(b"YUV4MPEG2 W9\n").contains("9×0"));
        assert!(message(b"YUV4MPEG2 W99999999 H99999999\n").contains("99999999"));
        assert!(message(&[b'Y'; 9000]).contains("too long"));
        assert!(message(b"YUV4MPEG2 W2 H2\nFRAME\n123456nonsense\n").contains("damaged"));
    }

    #[test]
    fn deep_frames_keep_their_samples_and_move_with_what_changes() {
        for kind in ["C420p10", "C422p10", "C444p12", "Cmono16", "C420p10 XCOLORRANGE=FULL"] {
            let header = header(kind);
            let most = (1_u32 << header.depth()) - 1;
            let sample = |i: usize| (most / 2 + i as u32 % 40).to_le_bytes();
            let planes: Vec<u8> =
                (0..header.frame_bytes() / 2).flat_map(|i| [sample(i)[0], sample(i)[1]]).collect();
            let frame = Frame { parameters: String::new(), planes };
            let (seen, deep) = (header.picture(&frame), header.samples16(&frame).unwrap());
            assert_eq!(deep.rgb.len(), seen.rgb.len());
            let back = header.frame_16(&seen, Some(&deep), Some((&frame, &seen)));
            assert_eq!(back, frame, "{kind}");
            // Without the original samples at hand, from 16 bits: the same but for rounding.
            let again = header.frame_16(&seen, Some(&deep), None);
            if kind.contains("444") || kind.contains("mono") {
                let far = again.planes.as_chunks::<2>().0.iter().zip(frame.planes.as_chunks().0);
                let far = far.map(|(a, b)| u16::from_le_bytes(*a).abs_diff(u16::from_le_bytes(*b)));
                assert!(far.max() <= Some(if kind.contains("16") { 64 } else { 1 }), "{kind}");
            }
            let mut changed = seen.clone();
            changed.rgb.iter_mut().for_each(|v| *v += 10);
            let moved = header.frame_16(&changed, Some(&deep), Some((&frame, &seen)));
            let luma = |frame: &Frame| u16::from_le_bytes([frame.planes[0], frame.planes[1]]);
            let step = f32::from(luma(&moved)) - f32::from(luma(&frame));
            let expected = 10.0 / 255.0 * most as f32;
            assert!((0.75..1.05).contains(&(step / expected)), "{kind}: {step}, {expected}");
        }
    }
}
