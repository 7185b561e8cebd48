//! Transparent pictures for formats without transparency.

use super::Picture;
use super::metadata::{Metadata, Samples16, narrow};

/// `picture` on a plane of the colour `matte`, and what is kept aside of it likewise.
pub(super) fn laid_on(
    picture: &Picture,
    metadata: &Metadata,
    matte: [u8; 3],
) -> (Picture, Metadata) {
    let mut metadata = metadata.clone();
    let mut picture = picture.clone();
    let Some(alpha) = picture.alpha.take() else { return (picture, metadata) };
    let samples = metadata.deep.take().and_then(|deep| {
        let (height, width) = (picture.height, picture.width);
        let mut rgb = deep.of_result(&picture)?;
        let alpha = deep.alpha_of_result(&alpha, [height, width]);
        lay(&mut rgb, &alpha, matte.map(|v| u16::from(v) * 257), u32::from(u16::MAX));
        Some(Samples16 { height, width, rgb, alpha: None })
    });
    match &samples {
        // The same with 8 bits, so that nothing seems to have changed.
        Some(deep) => picture.rgb = deep.rgb.iter().map(|&v| narrow(v)).collect(),
        None => lay(&mut picture.rgb, &alpha, matte, u32::from(u8::MAX)),
    }
    metadata.deep = samples;
    // A coloured matte may be the only colour of it.
    metadata.gray &= matte[0] == matte[1] && matte[1] == matte[2];
    (picture, metadata)
}

/// Mixes every pixel with the matte by its alpha, `whole` of which is opaque.
fn lay<T>(rgb: &mut [T], alpha: &[T], matte: [T; 3], whole: u32)
where
    T: Copy + Into<u32> + TryFrom<u32>,
{
    for (pixel, &alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
        let alpha: u64 = alpha.into().into();
        let whole = u64::from(whole);
        for (value, matte) in pixel.iter_mut().zip(matte) {
            let (own, below): (u32, u32) = ((*value).into(), matte.into());
            let sum = u64::from(own) * alpha + u64::from(below) * (whole - alpha) + whole / 2;
            // At most `whole`, which the type holds.
            *value =
                u32::try_from(sum / whole).ok().and_then(|v| v.try_into().ok()).unwrap_or(matte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_by_alpha() {
        let mut rgb = [100_u8, 0, 255, 100, 0, 255, 100, 0, 255];
        lay(&mut rgb, &[255, 0, 128], [255; 3], 255);
        assert_eq!(rgb, [100, 0, 255, 255, 255, 255, 177, 127, 255]);
        let mut rgb = [1_000_u16, 0, 65_535];
        lay(&mut rgb, &[32_768], [0; 3], 65_535);
        assert_eq!(rgb, [500, 0, 32_768]);
    }
}
