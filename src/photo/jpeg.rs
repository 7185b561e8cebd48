//! JPEG files. They are decoded strictly: by default decoders fill what is missing or damaged with
//! gray, and say nothing.

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

/// Whether the end-of-image marker of the main picture is there (ITU-T T.81, annex B); decoders do
/// without.
///
/// Walks over the segments by their lengths, so that the markers of an embedded thumbnail do not
/// count. Anything after the end is ignored, as phones append data there.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    const TEM: u8 = 0x01;
    const RST0: u8 = 0xD0;
    const SOI: u8 = 0xD8;
    const EOI: u8 = 0xD9;
    let mut at = 0;
    loop {
        // Between segments, and inside entropy-coded data, everything up to the next marker is
        // skipped: FF followed by neither 00 (a stuffed byte) nor FF (fill).
        let Some(found) =
            bytes[at..].windows(2).position(|w| w[0] == 0xFF && w[1] != 0 && w[1] != 0xFF)
        else {
            return false;
        };
        let marker = bytes[at + found + 1];
        at += found + 2;
        match marker {
            EOI => return true,
            TEM | RST0..=SOI => {}
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([high, low]));
                if at > bytes.len() {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    fn file() -> Vec<u8> {
        // SOI; an APP1 segment with a thumbnail's EOI in it; a scan with a stuffed byte, a restart
        // marker and fill; EOI.
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        bytes.extend([0xFF, 0xDA, 0, 3, 0, 7, 0xFF, 0, 8, 0xFF, 0xD0, 9, 0xFF, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn whole_file_with_and_without_something_after_it() {
        assert!(is_complete(&file()));
        assert!(is_complete(&[file(), vec![1, 2, 3]].concat()));
    }

    #[test]
    fn every_shorter_file_is_incomplete() {
        let bytes = file();
        for n in 0..bytes.len() {
            assert!(!is_complete(&bytes[..n]), "{n} bytes");
        }
    }
}
