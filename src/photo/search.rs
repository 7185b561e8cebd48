//! Faces wherever they are: small ones in large photos, and photos that lie on their side.

use super::detect::thinned;
use super::{Detection, Detector, Face, Picture};
use crate::Result;

/// Tiles share this part of their side, so that a face that one cuts is whole in another.
const SHARED: f64 = 0.25;
/// Photos are searched in at most this many tiles along an axis; larger ones are shrunk to that.
const TILES: usize = 4;
/// Faces larger than this part of a tile are left to the search of the whole photo, where they are
/// still 40 pixels or more: detectors place the landmarks of very large faces badly.
const LARGEST: f32 = 1.0 / 3.0;
/// A face that ends this near to a cut, in pixels, may go on behind it.
const CUT: f32 = 4.0;

impl Detector {
    /// The faces in `photo`. It is searched as a whole and, where it is larger than the detector's
    /// long side, in overlapping tiles; where nothing is found, turned by 90, 180 and 270 degrees.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        pollster::block_on(self.find_all(photo, true))
    }

    /// [`Detector::find`] for programs with an async runtime, as
    /// [`Session::run_async`](crate::Session::run_async).
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn find_async(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        self.find_all(photo, false).await
    }

    pub(super) async fn find_all(&mut self, photo: &Picture, blocking: bool) -> Result<Vec<Face>> {
        let mut found = self.search(photo, blocking).await?;
        for quarters in 1..4 {
            if !found.is_empty() {
                break;
            }
            let upright = |face| turned_back(face, quarters, photo);
            let seen = self.search(&turned(photo, quarters), blocking).await?;
            found = seen.into_iter().map(upright).collect();
        }
        Ok(found.into_iter().map(Face::from).collect())
    }

    async fn search(&mut self, photo: &Picture, blocking: bool) -> Result<Vec<Detection>> {
        let mut found = self.look(photo, blocking).await?;
        let tile = self.long_side();
        let step = ((1.0 - SHARED) * tile as f64) as usize;
        let (long, most) = (photo.height.max(photo.width), tile + (TILES - 1) * step);
        if long <= tile {
            return Ok(found);
        }
        let scale = (most as f64 / long as f64).min(1.0);
        let [height, width] = [photo.height, photo.width].map(|n| (n as f64 * scale) as usize);
        let smaller;
        let seen = if scale < 1.0 {
            smaller = photo.resized(height.max(1), width.max(1))?;
            &smaller
        } else {
            photo
        };
        for top in starts(seen.height, tile, step) {
            for left in starts(seen.width, tile, step) {
                let part = part(seen, top, left, tile);
                let large = |face: &Detection| side(face) > LARGEST * tile as f32;
                let whole =
                    |face: &Detection| !is_cut(face, &part, top, left, seen) && !large(face);
                let faces = self.look(&part, blocking).await?;
                found.extend(faces.iter().filter(|face| whole(face)).map(|face| {
                    let place =
                        |v: f32, start: usize| ((v + start as f32 + 0.5) / scale as f32) - 0.5;
                    moved(face, |[x, y]| [place(x, left), place(y, top)])
                }));
            }
        }
        found = thinned(found, self.overlap());
        Ok(found)
    }
}

impl From<Detection> for Face {
    fn from(found: Detection) -> Self {
        Self {
            landmarks: found.landmarks.map(|point| point.map(f64::from)),
            score: Some(found.score),
            bounds: Some(found.bounds),
        }
    }
}

/// Where tiles begin along an axis of `length`; the last one ends with it.
fn starts(length: usize, tile: usize, step: usize) -> Vec<usize> {
    let last = length.saturating_sub(tile);
    let mut starts: Vec<usize> = (0..last).step_by(step.max(1)).collect();
    starts.push(last);
    starts
}

fn part(photo: &Picture, top: usize, left: usize, tile: usize) -> Picture {
    let [height, width] = [photo.height - top, photo.width - left].map(|rest| rest.min(tile));
    let mut rgb = Vec::with_capacity(height * width * 3);
    for row in top..top + height {
        let start = (row * photo.width + left) * 3;
        rgb.extend_from_slice(&photo.rgb[start..start + width * 3]);
    }
    Picture { height, width, rgb, alpha: None, icc: None }
}

/// The longer side of a face, in pixels.
fn side(face: &Detection) -> f32 {
    let [left, top, right, bottom] = face.bounds;
    (right - left).max(bottom - top)
}

/// Whether the face ends at an edge of its tile that is no edge of the photo.
fn is_cut(face: &Detection, part: &Picture, top: usize, left: usize, photo: &Picture) -> bool {
    let [x0, y0, x1, y1] = face.bounds;
    (left > 0 && x0 < CUT)
        || (top > 0 && y0 < CUT)
        || (left + part.width < photo.width && x1 > part.width as f32 - CUT)
        || (top + part.height < photo.height && y1 > part.height as f32 - CUT)
}

/// The face with every point moved; its bounds are those of the moved corners.
fn moved(face: &Detection, to: impl Fn([f32; 2]) -> [f32; 2]) -> Detection {
    let [left, top, right, bottom] = face.bounds;
    let ([ax, ay], [bx, by]) = (to([left, top]), to([right, bottom]));
    Detection {
        score: face.score,
        bounds: [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)],
        landmarks: face.landmarks.map(&to),
    }
}

/// The photo turned with the clock.
fn turned(photo: &Picture, quarters: usize) -> Picture {
    let (height, width) = (photo.height, photo.width);
    let pixels: &[[u8; 3]] = photo.rgb.as_chunks().0;
    let [new_height, new_width] = if quarters % 2 == 1 { [width, height] } else { [height, width] };
    let mut rgb = Vec::with_capacity(photo.rgb.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (row, column) = match quarters {
                1 => (height - 1 - x, y),
                2 => (height - 1 - y, width - 1 - x),
                _ => (x, width - 1 - y),
            };
            rgb.extend_from_slice(&pixels[row * width + column]);
        }
    }
    Picture { height: new_height, width: new_width, rgb, alpha: None, icc: None }
}

/// A face of the turned photo in the photo.
fn turned_back(face: Detection, quarters: usize, photo: &Picture) -> Detection {
    let [bottom, right] = [photo.height, photo.width].map(|n| n as f32 - 1.0);
    moved(&face, |[x, y]| match quarters {
        1 => [y, bottom - x],
        2 => [right - x, bottom - y],
        _ => [right - y, x],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(height: usize, width: usize) -> Picture {
        let rgb = (0..height * width).flat_map(|i| [i as u8; 3]).collect();
        Picture { height, width, rgb, alpha: None, icc: None }
    }

    #[test]
    fn what_is_turned_is_turned_back() {
        let photo = photo(3, 5);
        for quarters in 1..4 {
            let turned = turned(&photo, quarters);
            for y in 0..turned.height {
                for x in 0..turned.width {
                    let at = [x as f32, y as f32];
                    let face = Detection {
                        score: 1.0,
                        bounds: [at[0], at[1], at[0], at[1]],
                        landmarks: [at; 5],
                    };
                    let [u, v] = turned_back(face, quarters, &photo).landmarks[0];
                    let here = turned.rgb[(y * turned.width + x) * 3];
                    assert_eq!(photo.rgb[(v as usize * 5 + u as usize) * 3], here, "{quarters}");
                }
            }
        }
        assert_eq!(turned(&photo, 1).rgb[..3], [10; 3], "the lower left corner comes to the top");
    }

    #[test]
    fn tiles_cover_everything_and_end_at_the_edge() {
        for length in [10, 100, 101, 250, 1000] {
            let starts = starts(length, 100, 75);
            assert_eq!(starts[0], 0);
            assert!(starts.windows(2).all(|w| w[1] - w[0] <= 75 && w[1] > w[0]), "{starts:?}");
            assert!(*starts.last().unwrap() + 100 >= length);
        }
    }

    #[test]
    fn a_face_at_a_cut_is_seen_as_cut() {
        let whole = photo(50, 200);
        let part = part(&whole, 0, 50, 100);
        assert_eq!(part.rgb[..3], [50; 3]);
        let face = |left: f32, right: f32| Detection {
            score: 1.0,
            bounds: [left, 0.0, right, 49.0],
            landmarks: [[0.0; 2]; 5],
        };
        assert!(is_cut(&face(2.0, 40.0), &part, 0, 50, &whole));
        assert!(is_cut(&face(60.0, 98.0), &part, 0, 50, &whole));
        assert!(!is_cut(&face(10.0, 40.0), &part, 0, 50, &whole));
        assert!(!is_cut(&face(0.0, 40.0), &part, 0, 0, &whole));
    }
}
