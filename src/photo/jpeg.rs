//! JPEG files. They are decoded strictly: by default decoders fill what is missing or damaged with
//! gray, and say nothing.

use std::borrow::Cow;

use image::DynamicImage;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A JPEG file whose header was read.
pub(super) struct Jpeg<'a> {
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    height: usize,
    width: usize,
    gray: bool,
}

impl<'a> Jpeg<'a> {
    /// Reads the header; what is wrong with the file is the error.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        // Cameras write bytes between segments that belong to none, which harm nothing.
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(usize::MAX)
            .set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|error| damaged(&error))?;
        let (Some((width, height)), Some(colours)) =
            (decoder.dimensions(), decoder.input_colorspace())
        else {
            return Err("the picture is damaged: it has no header".to_owned());
        };
        let gray = match colours {
            ColorSpace::Luma => true,
            ColorSpace::RGB | ColorSpace::YCbCr => false,
            ColorSpace::CMYK | ColorSpace::YCCK => return Err(super::decode::CMYK.to_owned()),
            _ => return Err("the picture has neither one nor three colours".to_owned()),
        };
        let colours = if gray { ColorSpace::Luma } else { ColorSpace::RGB };
        decoder.set_options(options.jpeg_set_out_colorspace(colours).set_strict_mode(true));
        Ok(Self { decoder, height, width, gray })
    }

    /// Width and height.
    pub(super) fn dimensions(&self) -> (u32, u32) {
        // 16-bit fields.
        (self.width as u32, self.height as u32)
    }

    pub(super) fn exif(&self) -> Option<Vec<u8>> {
        self.decoder.exif().cloned()
    }

    pub(super) fn icc(&self) -> Option<Vec<u8>> {
        self.decoder.icc_profile()
    }

    /// The pixels; what is wrong with them is the error.
    pub(super) fn pixels(mut self) -> Result<DynamicImage, String> {
        let pixels = self.decoder.decode().map_err(|error| damaged(&error))?;
        let (width, height) = self.dimensions();
        let image = if self.gray {
            image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
        } else {
            image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
        };
        image.ok_or_else(|| "the picture is damaged: it has too few pixels".to_owned())
    }
}

fn damaged(error: &zune_jpeg::errors::DecodeErrors) -> String {
    // Some of its messages hold line feeds.
    let text = error.to_string().replace(['\n', '\r', '\t'], " ");
    format!("the picture is damaged: {}", text.trim_matches('"'))
}

/// Bytes that a decoder may read ahead of what it needs, at most 8, and a marker that stands in no
/// picture (reserved by ITU-T T.81, table B.1).
const GUARD: [u8; 18] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0x02];

/// The file up to the end-of-image marker of its main picture (ITU-T T.81, annex B), which decoders
/// do without; `None` where it is missing. Anything after the end is left out, as phones append data
/// there.
///
/// Where the pixels lie in one sequential scan without restarts, a guard stands in place of the
/// marker: at the marker, decoders take whatever is missing for zeros, at the guard they fail.
pub(super) fn guarded(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    const SOF_BASELINE: u8 = 0xC0;
    const SOF_SEQUENTIAL: u8 = 0xC1;
    const SOI: u8 = 0xD8;
    const EOI: u8 = 0xD9;
    const SOS: u8 = 0xDA;
    const DRI: u8 = 0xDD;
    const TEM: u8 = 0x01;
    const RST0: u8 = 0xD0;
    let (mut at, mut scans, mut sequential, mut restarts) = (0, 0, false, false);
    // Walks over the segments by their lengths, so that the markers of an embedded thumbnail do not
    // count.
    loop {
        // Between segments, and inside entropy-coded data, everything up to the next marker is
        // skipped: FF followed by neither 00 (a stuffed byte) nor FF (fill).
        let found =
            bytes[at..].windows(2).position(|w| w[0] == 0xFF && w[1] != 0 && w[1] != 0xFF)?;
        let marker = bytes[at + found + 1];
        at += found + 2;
        match marker {
            EOI if sequential && scans == 1 && !restarts => {
                return Some(Cow::Owned([&bytes[..at - 2], &GUARD].concat()));
            }
            EOI => return Some(Cow::Borrowed(&bytes[..at])),
            TEM | RST0..=SOI => continue,
            SOF_BASELINE | SOF_SEQUENTIAL => sequential = true,
            SOS => scans += 1,
            DRI => restarts = true,
            _ => {}
        }
        let &[high, low] = bytes.get(at..at + 2)? else { return None };
        at += usize::from(u16::from_be_bytes([high, low]));
        if at > bytes.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GUARD, guarded};

    fn file() -> Vec<u8> {
        // SOI; an APP1 segment with a thumbnail's EOI in it; a scan with a stuffed byte, a restart
        // marker and fill; EOI.
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        bytes.extend([0xFF, 0xDA, 0, 3, 0, 7, 0xFF, 0, 8, 0xFF, 0xD0, 9, 0xFF, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn whole_file_with_and_without_something_after_it() {
        assert_eq!(guarded(&file()).unwrap(), file());
        assert_eq!(guarded(&[file(), vec![1, 2, 3]].concat()).unwrap(), file());
    }

    #[test]
    fn one_sequential_scan_gets_a_guard() {
        let frame = [0xFF, 0xC0, 0, 3, 8];
        let plain = [&file()[..2], &frame, &file()[2..]].concat();
        let body = &plain[..plain.len() - 2];
        assert_eq!(guarded(&plain).unwrap(), [body, &GUARD].concat());
        let restarts = [&plain[..2], &[0xFF, 0xDD, 0, 4, 0, 1], &plain[2..]].concat();
        assert_eq!(guarded(&restarts).unwrap(), restarts);
        let scans = [body, &[0xFF, 0xDA, 0, 3, 0, 9, 0xFF, 0xD9]].concat();
        assert_eq!(guarded(&scans).unwrap(), scans);
    }

    #[test]
    fn every_shorter_file_is_incomplete() {
        let bytes = file();
        for n in 0..bytes.len() {
            assert_eq!(guarded(&bytes[..n]), None, "{n} bytes");
        }
    }
}
