//! What a picture's file holds beside its upright 8-bit pixels.

use super::Picture;

/// What is carried from the file of a picture to the file of its result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// EXIF, as the TIFF structure that it is. Where it is written, its orientation becomes
    /// "upright", its size that of the result, and its thumbnail is left out.
    pub exif: Option<Vec<u8>>,
    /// No pixel has any colour: the result gets none either.
    pub gray: bool,
    /// The ICC profile of a picture with a single channel, which fits only another one.
    pub gray_icc: Option<Vec<u8>>,
    /// The samples of a picture with 16 bits. A result of the same size takes from them what the
    /// restoration left as it was.
    pub deep: Option<Samples16>,
}

/// Samples with 16 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Samples16 {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, 3]`, red first.
    pub rgb: Vec<u16>,
    /// `[height, width]`, where the picture has transparency.
    pub alpha: Option<Vec<u16>>,
}

/// 65535 / 255.
const STEP: u16 = 257;

/// The nearest value with 8 bits.
pub(super) fn narrow(sample: u16) -> u8 {
    // (65535 + 128) / 257 = 255
    ((u32::from(sample) + u32::from(STEP) / 2) / u32::from(STEP)) as u8
}

impl Samples16 {
    /// The samples of `result`, the restored version of this picture: what the restoration left is
    /// exact, to the rest its difference is added. `None` where the sizes differ.
    pub(super) fn of_result(&self, result: &Picture) -> Option<Vec<u16>> {
        let same = (self.height, self.width) == (result.height, result.width);
        let moved = |(&from, &to): (&u16, &u8)| {
            let difference = i32::from(to) - i32::from(narrow(from));
            (i32::from(from) + difference * i32::from(STEP)).clamp(0, u16::MAX.into()) as u16
        };
        same.then(|| self.rgb.iter().zip(&result.rgb).map(moved).collect())
    }

    /// The transparency of `result`, as [`Self::of_result`]; opaque where there is none.
    pub(super) fn alpha_of_result(&self, alpha: &[u8]) -> Vec<u16> {
        match &self.alpha {
            Some(own) if own.len() == alpha.len() => own.clone(),
            _ => alpha.iter().map(|&a| u16::from(a) * STEP).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_exact_and_the_rest_moves_along() {
        let rgb = vec![1000, 40_000, 65_535];
        let deep = Samples16 { height: 1, width: 1, rgb: rgb.clone(), alpha: None };
        let mut result = Picture {
            height: 1,
            width: 1,
            rgb: rgb.iter().map(|&v| narrow(v)).collect(),
            alpha: None,
            icc: None,
        };
        assert_eq!(deep.of_result(&result), Some(rgb));
        result.rgb[0] += 2;
        result.rgb[2] = 0;
        assert_eq!(deep.of_result(&result), Some(vec![1000 + 2 * 257, 40_000, 0]));
        result.height = 2;
        assert_eq!(deep.of_result(&result), None);
    }
}
