//! Colours where a picture is transparent: what is stored under transparent pixels was never meant to
//! be seen, and is often black. Whatever mixes neighbours must not see it.

use std::borrow::Cow;

use super::Picture;

/// From this alpha on a pixel's own colour is trusted alone.
const TRUSTED: f32 = 32.0;

impl Picture {
    /// The colours, those of transparent pixels replaced by what is visible around them.
    pub(super) fn visible_rgb(&self) -> Cow<'_, [u8]> {
        let Some(alpha) = &self.alpha else { return Cow::Borrowed(&self.rgb) };
        let own: Vec<[f32; 4]> = (self.rgb.as_chunks::<3>().0.iter().zip(alpha))
            .map(|(pixel, &alpha)| {
                let alpha = f32::from(alpha);
                let [red, green, blue] = pixel.map(|v| f32::from(v) * alpha);
                [red, green, blue, alpha]
            })
            .collect();
        let around = spread(&own, self.height, self.width);
        let mixed = |((pixel, &alpha), around): ((&[u8; 3], &u8), &[f32; 3])| {
            let part = (f32::from(alpha) / TRUSTED).min(1.0);
            let mix = |i: usize| part * f32::from(pixel[i]) + (1.0 - part) * around[i];
            [mix(0), mix(1), mix(2)].map(|v| (v + 0.5) as u8)
        };
        let pixels = self.rgb.as_chunks::<3>().0.iter().zip(alpha).zip(&around);
        Cow::Owned(pixels.flat_map(mixed).collect())
    }
}

/// The mean colour around every pixel, weighted by alpha, over as small a square as has any:
/// colours multiplied by alpha, and alpha, in; colours out.
fn spread(own: &[[f32; 4]], height: usize, width: usize) -> Vec<[f32; 3]> {
    let half = [height.div_ceil(2), width.div_ceil(2)];
    let mut sums = vec![[0.0_f32; 4]; half[0] * half[1]];
    for (y, row) in own.chunks_exact(width.max(1)).enumerate() {
        for (x, value) in row.iter().enumerate() {
            let sum = &mut sums[(y / 2) * half[1] + x / 2];
            *sum = std::array::from_fn(|i| sum[i] + value[i]);
        }
    }
    let coarse = if sums.len() > 1 {
        spread(&sums, half[0], half[1])
    } else {
        // Nothing is visible at all where this is zero.
        vec![[0.0; 3]; sums.len()]
    };
    (0..height * width)
        .map(|i| {
            let at = (i / width / 2) * half[1] + i % width / 2;
            let [red, green, blue, alpha] = sums[at];
            if alpha > 0.0 { [red, green, blue].map(|v| v / alpha) } else { coarse[at] }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_colours_become_those_around() {
        let (height, width) = (9, 13);
        let visible = |i: usize| (i % width) > 8 && i / width < 4;
        let rgb =
            (0..height * width).flat_map(|i| if visible(i) { [250, 220, 60] } else { [0; 3] });
        let alpha = (0..height * width).map(|i| if visible(i) { 255 } else { 0 }).collect();
        let picture = Picture { height, width, rgb: rgb.collect(), alpha: Some(alpha), icc: None };
        let seen = picture.visible_rgb();
        assert!(seen.as_chunks::<3>().0.iter().all(|p| *p == [250, 220, 60]), "{seen:?}");
        let nothing = Picture { alpha: Some(vec![0; height * width]), ..picture.clone() };
        assert_eq!(nothing.visible_rgb().len(), picture.rgb.len());
        let half = Picture { alpha: Some(vec![128; height * width]), ..picture.clone() };
        assert_eq!(*half.visible_rgb(), *picture.rgb, "what is seen through stays");
    }
}
