//! JPEG files (ITU-T T.81): sequential and progressive, Huffman and arithmetic coding, any order of
//! scans, any whole ratio of sampling.
//!
//! Libraries in Rust each read some of these layouts wrongly, and none says of every damaged file
//! that it is damaged (docs/formats.md has the table). Samples here are those of libjpeg; whatever
//! does not fit together is damage, which is told from what is merely unusual.

mod arithmetic;
mod bits;
mod frame;
mod huffman;
mod idct;
mod scan;
mod segment;
mod upsample;

use image::{DynamicImage, GrayImage, RgbImage};

use super::allocate::filled;
use frame::Frame;
use scan::Damage;
use segment::{Next, Scan, Tables};

/// Why a file is not read.
pub(super) enum Fault {
    /// What is wrong with it.
    Damaged(String),
    /// What it is instead, as a sentence.
    NotRead(String),
}

impl<T: Into<String>> From<T> for Fault {
    fn from(what: T) -> Self {
        Self::Damaged(what.into())
    }
}

impl Fault {
    /// A sentence.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Damaged(what) => format!("the picture is damaged: {what}"),
            Self::NotRead(sentence) => sentence,
        }
    }
}

/// What a file's components are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colours {
    Gray,
    Rgb,
    /// Luma, blueness, redness (ITU-T T.871).
    YCbCr,
    /// Whatever the file's own segments say, as libjpeg guesses it.
    Told,
}

/// A JPEG file of which everything before its pixels was read.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    frame: Frame,
    scan: Scan,
}

/// The most blocks that all scans together go over: a hostile file has thousands of scans.
const MOST_BLOCKS: usize = 1 << 30;
/// Bytes behind the picture that may be padding.
const PADDING: usize = 64;
const TRUNCATED: &str = "the picture is truncated: its end is missing";

impl<'a> Jpeg<'a> {
    /// Reads everything before the pixels of `bytes`. A TIFF file keeps the tables of its parts in a
    /// file of their own, which comes first.
    pub(super) fn open(tables: Option<&[u8]>, bytes: &'a [u8]) -> Result<Self, Fault> {
        let (mut known, mut frame) = (Tables::default(), None);
        if let Some(first) = tables {
            segment::read(first, 0, &mut known, &mut frame)?;
        }
        let (next, at) = segment::read(bytes, 0, &mut known, &mut frame)?;
        let (Next::Scan(scan), Some(frame)) = (next, frame) else {
            return Err(Fault::NotRead(TRUNCATED.to_owned()));
        };
        Ok(Self { bytes, at, tables: known, frame, scan })
    }

    /// Width and height.
    pub(super) fn dimensions(&self) -> (u32, u32) {
        // 16-bit fields.
        (self.frame.width as u32, self.frame.height as u32)
    }

    /// All EXIF that the file holds.
    pub(super) fn exif(&self) -> Vec<Vec<u8>> {
        self.tables.exif.clone()
    }

    pub(super) fn icc(&self) -> Option<Vec<u8>> {
        self.tables.icc()
    }

    fn colours(&self, told: Colours) -> Result<Colours, Fault> {
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        Ok(match (ids.as_slice(), told) {
            ([_], _) => Colours::Gray,
            ([_, _, _], Colours::Rgb | Colours::YCbCr) => told,
            ([_, _, _], _) if self.tables.jfif => Colours::YCbCr,
            ([_, _, _], _) if self.tables.adobe.is_some() => {
                if self.tables.adobe == Some(0) {
                    Colours::Rgb
                } else {
                    Colours::YCbCr
                }
            }
            (b"RGB", _) => Colours::Rgb,
            ([_, _, _], _) => Colours::YCbCr,
            ([_, _, _, _], _) => return Err(Fault::NotRead(super::formats::CMYK.to_owned())),
            _ => {
                let count = ids.len();
                return Err(Fault::NotRead(format!(
                    "JPEG with {count} components is not read, only with one or three; save it as PNG first"
                )));
            }
        })
    }

    /// The pixels, and sentences about what is unusual. What is damaged is an error, or, where it is
    /// to be `salvaged`, a sentence; what could not be read is gray.
    pub(super) fn pixels(
        mut self,
        colours: Colours,
        salvaged: bool,
    ) -> Result<(DynamicImage, Vec<String>), Fault> {
        let colours = self.colours(colours)?;
        self.frame.lay_out()?;
        let (mut damage, mut visited) = (Damage::default(), 0);
        let (is_ended, end) = loop {
            visited += self.frame.blocks();
            if visited > MOST_BLOCKS.max(self.frame.blocks()) {
                damage.note(None, "it has more scans than any writer makes");
                break (true, self.bytes.len());
            }
            let (frame, tables, scan) = (&mut self.frame, &self.tables, &self.scan);
            let decoded = scan::decode(self.bytes, self.at, frame, tables, scan, &mut damage);
            let marker = match decoded {
                Ok(marker) => marker,
                Err(what) => {
                    damage.note(None, &what);
                    break (true, self.bytes.len());
                }
            };
            self.tables.skipped = 0;
            let mut header = Some(self.frame);
            let next = segment::read(self.bytes, marker, &mut self.tables, &mut header);
            let Some(frame) = header else { return Err("it lost its header".into()) };
            self.frame = frame;
            if self.tables.skipped > scan::HARMLESS {
                damage.note(None, "there are bytes between its scans that belong to nothing");
            }
            match next {
                Ok((Next::Scan(scan), at)) => (self.scan, self.at) = (scan, at),
                Ok((Next::End, at)) => break (true, at),
                Ok((Next::Missing, at)) => break (false, at),
                Err(Fault::Damaged(what) | Fault::NotRead(what)) => {
                    damage.note(None, &what);
                    break (true, self.bytes.len());
                }
            }
        };
        let mut notes = Vec::new();
        self.check_whole(is_ended, &mut damage, &mut notes);
        if let Some(what) = damage.first {
            let height = self.frame.height;
            let rows = match damage.row {
                Some(row) if row < height && !self.frame.progressive => {
                    format!(", from row {row} of {height} on")
                }
                _ => String::new(),
            };
            if !salvaged && !is_ended {
                return Err(Fault::NotRead(format!("{TRUNCATED}{rows}")));
            }
            if !salvaged {
                return Err(Fault::Damaged(format!("{what}{rows}")));
            }
            notes.push(format!("the picture is damaged: {what}{rows}; the rest was kept"));
        }
        if damage.left_over > 0 {
            notes.push(format!(
                "{} bytes behind the pixels' data belong to nothing",
                damage.left_over
            ));
        }
        let behind = self.bytes.get(end..).unwrap_or_default();
        if behind.len() > PADDING && behind.iter().any(|&byte| byte != 0 && byte != 0xFF) {
            notes.push(format!(
                "the file holds {} bytes behind the picture, such as further pictures, a map of \
                 brightness, or a film, which are not restored",
                behind.len()
            ));
        }
        if self.frame.progressive {
            transform(&mut self.frame);
        }
        Ok((coloured(&self.frame, colours)?, notes))
    }

    /// Looks for coefficients that no scan brought.
    fn check_whole(&self, is_ended: bool, damage: &mut Damage, notes: &mut Vec<String>) {
        let missing =
            |component: &frame::Component| component.missing.iter().any(|m| *m != Some(0));
        if self.frame.components.iter().any(|component| component.missing[0].is_none()) {
            damage.note(None, "it lacks one of its colours");
        } else if self.frame.progressive && self.frame.components.iter().any(missing) {
            if is_ended {
                notes.push("the finest detail is missing from the file".to_owned());
            } else {
                damage.note(None, "its last scans are missing");
            }
        } else if !is_ended && damage.first.is_none() {
            notes.push("the file lacks its end marker, and nothing else".to_owned());
        }
    }
}

/// Coefficients → samples.
fn transform(frame: &mut Frame) {
    for component in &mut frame.components {
        let Some(steps) = component.steps else { continue };
        let (columns, stride) = (component.room.0, 8 * component.room.0);
        for (number, block) in component.coefficients.iter().enumerate() {
            let (x, y) = (number % columns, number / columns);
            idct::block(block, &steps, &mut component.plane[8 * (y * stride + x)..], stride);
        }
        component.coefficients = Vec::new();
    }
}

/// Samples of all components → pixels.
fn coloured(frame: &Frame, colours: Colours) -> Result<DynamicImage, Fault> {
    let (width, height) = (frame.width, frame.height);
    let room = 8 * frame.most.0 * frame.mcus.0;
    let mut rows = [filled(room, 0)?, filled(room, 0)?, filled(room, 0)?];
    let channels = frame.components.len();
    let mut pixels = filled(width * height * channels, 0_u8)?;
    for (y, to) in pixels.chunks_exact_mut(width * channels).enumerate() {
        for (component, row) in frame.components.iter().zip(&mut rows) {
            upsample::row(frame, component, y, row);
        }
        let [first, second, third] = &rows;
        match colours {
            Colours::Gray => to.copy_from_slice(&first[..width]),
            _ => {
                let samples = first.iter().zip(second).zip(third);
                for (to, ((&a, &b), &c)) in to.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
                    *to = if colours == Colours::Rgb { [a, b, c] } else { rgb(a, b, c) };
                }
            }
        }
    }
    // 16-bit fields.
    let (width, height) = (width as u32, height as u32);
    let image = if channels == 1 {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    image.ok_or_else(|| "it has too few pixels".into())
}

/// ITU-T T.871, section 7, in fixed point with 16 bits, rounded as libjpeg does.
pub(super) fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    // 1.402, 0.34414, 0.71414 and 1.772 times 2^16.
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|v| v.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file up to its first scan: a frame of this kind, precision and components.
    fn header(marker: u8, precision: u8, components: &[[u8; 3]]) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, marker, 0, (8 + 3 * components.len()) as u8];
        bytes.extend([precision, 0, 8, 0, 8, components.len() as u8]);
        bytes.extend(components.as_flattened());
        bytes.extend([0xFF, 0xDA, 0, (6 + 2 * components.len()) as u8, components.len() as u8]);
        bytes.extend(components.iter().flat_map(|component| [component[0], 0]));
        bytes.extend([0, 63, 0, 1, 2, 3, 0xFF, 0xD9]);
        bytes
    }

    fn sentence(bytes: &[u8]) -> String {
        let jpeg = Jpeg::open(None, bytes);
        let read = jpeg.and_then(|jpeg| jpeg.pixels(Colours::Told, false));
        read.expect_err("no picture").sentence()
    }

    #[test]
    fn what_is_not_read_is_named() {
        let gray = [[1, 0x11, 0]];
        assert!(sentence(&header(0xC1, 12, &gray)).contains("12 bits per sample is not read"));
        assert!(sentence(&header(0xC3, 8, &gray)).contains("lossless JPEG is not read"));
        assert!(sentence(&header(0xF7, 8, &gray)).contains("JPEG-LS is not read"));
        assert!(sentence(&header(0xC5, 8, &gray)).contains("hierarchical JPEG is not read"));
        let two = [[1, 0x11, 0], [2, 0x11, 0]];
        assert!(sentence(&header(0xC0, 8, &two)).contains("2 components is not read"));
        let four = [[1, 0x11, 0], [2, 0x11, 0], [3, 0x11, 0], [4, 0x11, 0]];
        assert!(sentence(&header(0xC0, 8, &four)).contains("CMYK"));
        let fraction = [[1, 0x31, 0], [2, 0x21, 0], [3, 0x11, 0]];
        assert!(sentence(&header(0xC0, 8, &fraction)).contains("fraction"));
    }

    #[test]
    fn what_lacks_a_table_is_damaged_and_every_shorter_file_truncated() {
        let bytes = header(0xC0, 8, &[[1, 0x11, 0]]);
        assert!(sentence(&bytes).contains("no table of quantisation"), "{}", sentence(&bytes));
        let scan = bytes.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap();
        for end in 2..scan {
            assert_eq!(sentence(&bytes[..end]), TRUNCATED, "{end}");
        }
    }

    #[test]
    fn colours_are_those_of_the_definition() {
        for (y, cb, cr) in
            [(0, 128, 128), (255, 128, 128), (76, 85, 255), (150, 44, 21), (9, 0, 255)]
        {
            let (luma, blue, red) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
            let exact = [
                luma + 1.402 * red,
                luma - 0.344_136 * blue - 0.714_136 * red,
                luma + 1.772 * blue,
            ];
            for (found, exact) in rgb(y, cb, cr).into_iter().zip(exact) {
                assert!((f64::from(found) - exact.clamp(0.0, 255.0)).abs() <= 1.0);
            }
        }
    }
}
