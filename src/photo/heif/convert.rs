//! Luma and chroma to RGB, and what the colours mean: ISO/IEC 23091-2 (CICP).

use heic_decoder::{AlphaPlane, ColorInfo, DecodedImage, HeifError, RgbOptions};
use image::{DynamicImage, ImageBuffer};
use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients};
use moxcms::{LocalizableString, ProfileText, TransferCharacteristics};

use super::DAMAGED;
use super::container::Nclx;

const UNSPECIFIED: u16 = 2;
const BT_709: u16 = 1;
const BT_601: u16 = 6;
const SRGB: u16 = 13;
const PQ: u16 = 16;
const HLG: u16 = 18;

/// Where an ICC profile says when it was made (ICC.1:2022, 7.2.1): year, month, day, hour, minute and
/// second, of 16 bits each.
const CREATED: std::ops::Range<usize> = 24..36;
/// The first of January 2000.
const NO_DAY: [u8; 12] = [0x07, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];

/// How the colours of a picture are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(ColorInfo);

impl Colour {
    /// By what the container says, or else the picture's own stream. Where nobody says how luma and
    /// chroma are made, it is BT.601 over the full range (ISO/IEC 23000-22, 7.3.6.4).
    pub(super) fn of(nclx: Option<Nclx>, stream: Option<ColorInfo>) -> Self {
        let nclx = nclx.map(|nclx| ColorInfo {
            color_primaries: nclx.primaries,
            transfer_characteristics: nclx.transfer,
            matrix_coefficients: nclx.matrix,
            full_range: nclx.full_range,
        });
        let mut info = nclx.or(stream).unwrap_or(ColorInfo {
            color_primaries: UNSPECIFIED,
            transfer_characteristics: UNSPECIFIED,
            matrix_coefficients: UNSPECIFIED,
            full_range: true,
        });
        if info.matrix_coefficients == UNSPECIFIED {
            info.matrix_coefficients = BT_601;
        }
        Self(info)
    }

    /// An ICC profile that says the same; `None` for sRGB, and for colours that have none.
    pub(super) fn profile(self) -> Option<Vec<u8>> {
        let told = |value: u16, usual: u16| if value == UNSPECIFIED { usual } else { value };
        let primaries = told(self.0.color_primaries, BT_709);
        let transfer = told(self.0.transfer_characteristics, SRGB);
        // The curves of BT.709 and its relatives are shown as that of sRGB.
        let transfer = if matches!(transfer, 1 | 6 | 14 | 15) { SRGB } else { transfer };
        if (primaries, transfer) == (BT_709, SRGB) {
            return None;
        }
        let cicp = CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(u8::try_from(primaries).ok()?).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(
                u8::try_from(transfer).ok()?,
            )
            .ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        let mut profile = ColorProfile::new_from_cicp(cicp);
        profile.red_trc.as_ref()?;
        let text = |text: String| {
            let (language, country) = ("en".to_owned(), "US".to_owned());
            let text = LocalizableString { language, country, value: text };
            Some(ProfileText::Localizable(vec![text]))
        };
        profile.description = text(format!("CICP {primaries}/{transfer}"));
        profile.copyright = text("Public Domain".to_owned());
        let mut profile = profile.encode().ok()?;
        // The crate writes the time of day, but the same picture gives the same bytes.
        profile.get_mut(CREATED)?.copy_from_slice(&NO_DAY);
        Some(profile)
    }

    /// What is to be known about the colours.
    pub(super) fn note(self) -> Option<String> {
        let name = match self.0.transfer_characteristics {
            PQ => "PQ",
            HLG => "HLG",
            _ => return None,
        };
        Some(format!(
            "its brightness is coded for HDR ({name}), which models for faces do not know"
        ))
    }
}

/// The transparency that the luma of a picture is.
pub(super) fn alpha(picture: DecodedImage, premultiplied: bool) -> AlphaPlane {
    let bit_depth = picture.bit_depth_luma;
    let mut samples = picture.y;
    if picture.color_info.is_some_and(|info| !info.full_range) {
        // 16 to 235 of 8 bits stand for nothing and all.
        let [low, high] = [16_i64, 235].map(|v| v << (bit_depth.saturating_sub(8)));
        let most = (1_i64 << bit_depth) - 1;
        for sample in &mut samples {
            let wide = ((i64::from(*sample) - low) * most + (high - low) / 2) / (high - low);
            *sample = wide.clamp(0, most) as i32;
        }
    }
    AlphaPlane { bit_depth, samples, premultiplied }
}

/// RGB of 8 or 16 bits, with the transparency that there is.
pub(super) fn image(
    planes: &DecodedImage,
    colour: Colour,
    premultiplied: bool,
) -> Result<DynamicImage, String> {
    let options = RgbOptions { color: Some(colour.0), ..RgbOptions::default() };
    let has_alpha = planes.alpha.is_some();
    let alpha_bits = planes.alpha.as_ref().map_or(8, |alpha| alpha.bit_depth);
    let is_deep = planes.bit_depth_luma.max(planes.bit_depth_chroma).max(alpha_bits) > 8;
    let (width, height) = (planes.width as u32, planes.height as u32);
    let describe = |error: HeifError| format!("the colours of this picture are not read: {error}");
    let image = match (is_deep, has_alpha) {
        (false, false) => {
            let data = planes.to_rgb8_with_options(&options).map_err(describe)?.data;
            ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgb8)
        }
        (true, false) => {
            let data = planes.to_rgb16_with_options(&options).map_err(describe)?.data;
            ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgb16)
        }
        (false, true) => {
            let mut data = planes.to_rgba8_with_options(&options).map_err(describe)?.data;
            if premultiplied {
                divided(&mut data, u8::MAX, |v| v as u8);
            }
            ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgba8)
        }
        (true, true) => {
            let mut data = planes.to_rgba16_with_options(&options).map_err(describe)?.data;
            if premultiplied {
                divided(&mut data, u16::MAX, |v| v as u16);
            }
            ImageBuffer::from_raw(width, height, data).map(DynamicImage::ImageRgba16)
        }
    };
    image.ok_or_else(|| DAMAGED.to_owned())
}

/// Colours that were multiplied by their alpha as they were before; black where nothing is seen.
fn divided<T: Copy + Into<u64>>(rgba: &mut [T], most: T, to_sample: impl Fn(u64) -> T) {
    let most = most.into();
    for pixel in rgba.as_chunks_mut::<4>().0 {
        let alpha = pixel[3].into();
        for colour in &mut pixel[..3] {
            let value = ((*colour).into() * most + alpha / 2).checked_div(alpha).unwrap_or(0);
            *colour = to_sample(value.min(most));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(primaries: u16, transfer: u16) -> Colour {
        Colour::of(Some(Nclx { primaries, transfer, matrix: 1, full_range: false }), None)
    }

    #[test]
    fn profiles_of_coded_colours() {
        for (primaries, transfer) in [(1, 13), (2, 2), (1, 1), (1, 6), (2, 13)] {
            assert_eq!(colour(primaries, transfer).profile(), None);
        }
        // Display P3 and BT.2020.
        for (primaries, transfer) in [(12, 13), (9, 14), (1, 8)] {
            let profile = colour(primaries, transfer).profile().unwrap();
            assert_eq!(&profile[16..20], b"RGB ");
            assert_eq!(profile[CREATED], NO_DAY, "not the time of this test");
            let read = ColorProfile::new_from_slice(&profile).unwrap();
            assert!(read.red_trc.is_some());
        }
        for (primaries, transfer) in [(99, 13), (1, 99), (400, 13), (0, 0)] {
            colour(primaries, transfer).profile();
        }
        assert!(colour(9, 16).note().is_some() && colour(12, 13).note().is_none());
    }

    #[test]
    fn nobody_says_how_luma_is_made() {
        let Colour(info) = Colour::of(None, None);
        assert_eq!((info.matrix_coefficients, info.full_range), (BT_601, true));
    }

    #[test]
    fn colours_before_they_were_multiplied() {
        let mut pixels = [50, 100, 128, 128, 9, 9, 9, 0, 200, 0, 7, 255, 90, 9, 9, 30];
        divided(&mut pixels, u8::MAX, |v| v as u8);
        let expected = [100, 199, 255, 128, 0, 0, 0, 0, 200, 0, 7, 255, 255, 77, 77, 30];
        assert_eq!(pixels, expected);
    }
}
