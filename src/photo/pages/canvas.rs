//! What is seen of an animation: each of its frames is drawn on what the earlier ones left.

use image::{DynamicImage, RgbaImage};

use super::super::allocate::filled;

/// What becomes of a frame before the next one is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Disposal {
    Keep,
    /// Its place becomes transparent.
    Clear,
    /// What was there before it comes back.
    Restore,
}

/// A frame, which may be a part of the picture.
pub(super) struct Part<'a> {
    /// Column and row of its corner.
    pub at: [usize; 2],
    /// Columns and rows.
    pub size: [usize; 2],
    /// Row by row.
    pub rgba: &'a [[u8; 4]],
    /// Laid over what is there, or put in its place.
    pub over: bool,
    pub disposal: Disposal,
}

/// The picture so far. It begins transparent, as browsers show it.
pub(super) struct Canvas {
    /// Columns and rows.
    size: [usize; 2],
    pixels: Vec<[u8; 4]>,
    /// What is to be done before the next frame.
    after: After,
}

enum After {
    Nothing,
    Clear { at: [usize; 2], size: [usize; 2] },
    Restore(Vec<[u8; 4]>),
}

impl Canvas {
    /// A canvas of `[columns, rows]`.
    pub(super) fn new(size: [usize; 2]) -> Result<Self, String> {
        let pixels = filled(size[0].saturating_mul(size[1]), [0; 4])?;
        Ok(Self { size, pixels, after: After::Nothing })
    }

    /// The picture once `part` is drawn. What lies beside the canvas is cut.
    pub(super) fn show(&mut self, part: &Part) -> Result<DynamicImage, String> {
        match std::mem::replace(&mut self.after, After::Nothing) {
            After::Nothing => {}
            After::Clear { at, size } => {
                for row in 0..size[1] {
                    self.row(at, size, row).fill([0; 4]);
                }
            }
            After::Restore(before) => self.pixels = before,
        }
        let &Part { at, size, rgba, over, disposal } = part;
        self.after = match disposal {
            Disposal::Keep => After::Nothing,
            Disposal::Clear => After::Clear { at, size },
            Disposal::Restore => After::Restore(self.pixels.clone()),
        };
        for (row, pixels) in rgba.chunks_exact(size[0].max(1)).take(size[1]).enumerate() {
            for (below, &above) in self.row(at, size, row).iter_mut().zip(pixels) {
                *below = if over { blended(*below, above) } else { above };
            }
        }
        let [width, height] = self.size.map(|side| side as u32);
        let image = RgbaImage::from_raw(width, height, self.pixels.as_flattened().to_vec());
        image.map(DynamicImage::from).ok_or_else(|| "the picture has no pixels".to_owned())
    }

    /// Of a row of a part what lies on the canvas.
    fn row(&mut self, at: [usize; 2], size: [usize; 2], row: usize) -> &mut [[u8; 4]] {
        let [width, height] = self.size;
        let [x, y] = [at[0], at[1].saturating_add(row)];
        if x >= width || y >= height {
            return &mut [];
        }
        let end = x.saturating_add(size[0]).min(width);
        self.pixels.get_mut(y * width + x..y * width + end).unwrap_or_default()
    }
}

/// `above` laid over `below`; neither has colours that are multiplied by its alpha.
fn blended(below: [u8; 4], above: [u8; 4]) -> [u8; 4] {
    const WHOLE: u32 = u8::MAX as u32;
    match above[3] {
        0 => return below,
        u8::MAX => return above,
        _ => {}
    }
    // Alphas in units of 1/255².
    let own = u32::from(above[3]) * WHOLE;
    let rest = u32::from(below[3]) * (WHOLE - u32::from(above[3]));
    let sum = own + rest;
    let colour = |i: usize| {
        let both = u32::from(above[i]) * own + u32::from(below[i]) * rest;
        ((both + sum / 2) / sum) as u8
    };
    [colour(0), colour(1), colour(2), ((sum + WHOLE / 2) / WHOLE) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const CLEAR: [u8; 4] = [0; 4];

    fn part(x: usize, rgba: &[[u8; 4]], disposal: Disposal) -> Part<'_> {
        Part { at: [x, 0], size: [rgba.len(), 1], rgba, over: true, disposal }
    }

    fn shown(canvas: &mut Canvas, part: &Part) -> Vec<[u8; 4]> {
        canvas.show(part).unwrap().into_rgba8().into_raw().as_chunks().0.to_vec()
    }

    #[test]
    fn frames_stay_go_or_give_back_what_was_there() {
        for (disposal, third) in [
            (Disposal::Keep, [RED, BLUE, BLUE, RED]),
            (Disposal::Clear, [RED, CLEAR, CLEAR, RED]),
            (Disposal::Restore, [RED, RED, RED, RED]),
        ] {
            let mut canvas = Canvas::new([4, 1]).unwrap();
            assert_eq!(shown(&mut canvas, &part(0, &[RED; 4], Disposal::Keep)), [RED; 4]);
            let second = shown(&mut canvas, &part(1, &[BLUE; 2], disposal));
            assert_eq!(second, [RED, BLUE, BLUE, RED]);
            assert_eq!(shown(&mut canvas, &part(0, &[RED], Disposal::Keep)), third, "{disposal:?}");
        }
    }

    #[test]
    fn what_lies_beside_the_canvas_is_cut() {
        let mut canvas = Canvas::new([2, 1]).unwrap();
        assert_eq!(shown(&mut canvas, &part(1, &[RED; 3], Disposal::Clear)), [CLEAR, RED]);
        assert_eq!(shown(&mut canvas, &part(7, &[BLUE], Disposal::Clear)), [CLEAR; 2]);
        assert_eq!(shown(&mut canvas, &part(0, &[], Disposal::Keep)), [CLEAR; 2]);
        let tall = Part { at: [0, usize::MAX], ..part(0, &[RED; 2], Disposal::Keep) };
        assert_eq!(shown(&mut canvas, &tall), [CLEAR; 2]);
    }

    #[test]
    fn transparent_pixels_are_laid_over_or_put_in_place() {
        let half = [[0, 0, 255, 128]];
        let mut canvas = Canvas::new([1, 1]).unwrap();
        assert_eq!(shown(&mut canvas, &part(0, &half, Disposal::Clear)), half);
        shown(&mut canvas, &part(0, &[RED], Disposal::Keep));
        let mixed = shown(&mut canvas, &part(0, &half, Disposal::Keep));
        assert_eq!(mixed, [[127, 0, 128, 255]]);
        let put = Part { over: false, ..part(0, &half, Disposal::Keep) };
        assert_eq!(shown(&mut canvas, &put), half);
        assert_eq!(shown(&mut canvas, &part(0, &half, Disposal::Keep)), [[0, 0, 255, 192]]);
    }
}
