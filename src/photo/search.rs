//! Faces wherever they are: small ones in large photos, and photos that lie on their side.

use super::align::align_posed;
use super::detect::iou;
use super::looks::{Seen, merged};
use super::paste::crop_smooth;
use super::{Detection, Detector, Face, Picture, Pose};
use crate::Result;

/// Tiles share this part of their side, so that a face that one cuts is whole in another.
const SHARED: f64 = 0.25;
/// Photos are searched in at most this many tiles along an axis; larger ones are shrunk to that.
const TILES: usize = 4;
/// Faces larger than this part of a tile are left to the search of the whole photo, where they are
/// still 40 pixels or more: detectors place the landmarks of very large faces badly.
const LARGEST: f32 = 1.0 / 3.0;
/// A score of a face that is upright beyond doubt: YuNet gives 0.93 and more to those of portraits,
/// at most 0.91 to what it sees in portraits that lie on their side.
const SURE: f32 = 0.92;
/// How sure a face must be in a turned photo, and how much surer than upright: what is seen upside
/// down in a profile has up to 0.84, what truly lies on its side 0.93 and more.
const SURE_TURNED: f32 = 0.88;
const SURER: f32 = 0.02;
/// From this roll on, in degrees, landmarks are not exact: those of YuNet stay behind.
const TILTED: f64 = 12.0;
/// Side of the upright crop of a tilted face, in which the face has some 130 pixels.
pub(super) const UPRIGHT: usize = 256;
/// A face in a crop is the one that was cut out when its centre is nearer to that one's than a sixth
/// of the crop's side.
const NEAR: f64 = 6.0;
/// How much around a box is seen, in parts of its longer side, and how long that is made: the face
/// then has some 130 pixels, where detectors are at their best.
const AROUND: f32 = 0.5;
const LOOK_AT: f64 = 256.0;
/// A face found in a box shares at least this part of the union with it.
const LEAST_SHARED: f32 = 0.2;
/// A face that ends this near to a cut, in pixels, may go on behind it.
const CUT: f32 = 4.0;

impl Detector {
    /// The faces in `photo`. It is searched as a whole, again at a half and at a quarter of the size
    /// for large faces, and, where it is larger than the detector's long side, in overlapping tiles. Where no face is sure, the photo is also searched turned by
    /// 90, 180 and 270 degrees, and the turn with the surest face counts: detectors see upright faces
    /// in those that lie on their side, too, and faces upside down in profiles, but less surely. Tilted faces are looked at again
    /// upright, for their landmarks.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        crate::blocking::block_on(self.find_async(photo))
    }

    /// [`Detector::find`] for programs with an async runtime, as
    /// [`Session::run_async`](crate::Session::run_async).
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn find_async(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        let mut found = self.detect_tiled(photo).await?;
        let surest = |faces: &[Detection]| faces.iter().map(|face| face.score).fold(0.0, f32::max);
        if surest(&found) < SURE {
            let mut least = (surest(&found) + SURER).max(SURE_TURNED);
            for quarters in 1..4 {
                let faces = self.detect_tiled(&turned(photo, quarters)).await?;
                if surest(&faces) > least {
                    least = surest(&faces);
                    let upright = |face| turned_back(face, quarters, photo);
                    found = faces.into_iter().map(upright).collect();
                }
            }
        }
        let mut faces = Vec::new();
        for face in found {
            faces.push(self.refine_landmarks(photo, face.into()).await?);
        }
        Ok(faces)
    }

    /// The face with the landmarks that are found in an upright crop, where it is tilted.
    async fn refine_landmarks(&mut self, photo: &Picture, face: Face) -> Result<Face> {
        if Pose::of(&face.landmarks).roll.abs() < TILTED {
            return Ok(face);
        }
        let Some(to_crop) = align_posed(&face.landmarks, UPRIGHT) else { return Ok(face) };
        let rgb = crop_smooth(photo.view(), &to_crop, UPRIGHT).into_flattened();
        let crop = Picture { height: UPRIGHT, width: UPRIGHT, rgb, alpha: None, icc: None };
        let middle = UPRIGHT as f64 / 2.0;
        let found = self.detect_async(&crop).await?.into_iter().map(Face::from).map(|seen| {
            let [x, y] = seen.centre();
            ((x - middle).hypot(y - middle), seen)
        });
        let nearest = found.min_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(match nearest {
            Some((distance, seen)) if distance < UPRIGHT as f64 / NEAR => {
                let to_photo = to_crop.inverse();
                Face { landmarks: seen.landmarks.map(|point| to_photo.apply(point)), ..face }
            }
            _ => face,
        })
    }

    /// The face in the box `bounds` (left, top, right, bottom), found at a size that suits detectors
    /// however large or small the box is, turned by quarters where it is not seen upright.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub(super) async fn detect_in(
        &mut self,
        photo: &Picture,
        bounds: [f32; 4],
    ) -> Result<Option<Face>> {
        let [left, top, right, bottom] = bounds;
        let around = AROUND * (right - left).max(bottom - top);
        // Casts saturate.
        let span = |low: f32, high: f32, end: usize| {
            let start = ((low - around).floor().max(0.0) as usize).min(end);
            (start, ((high + around).ceil().max(0.0) as usize).clamp(start, end) - start)
        };
        let (x, width) = span(left, right, photo.width);
        let (y, height) = span(top, bottom, photo.height);
        if width == 0 || height == 0 {
            return Ok(None);
        }
        let scale = LOOK_AT / width.max(height) as f64;
        let sides = [height, width].map(|side| ((side as f64 * scale).round() as usize).max(1));
        let seen = part(photo, [y, x], [height, width]).resized(sides[0], sides[1])?;
        let scale = [sides[1] as f64 / width as f64, sides[0] as f64 / height as f64];
        let back = |point: [f64; 2]| {
            let start = [x, y].map(|v| v as f64);
            [0, 1].map(|axis| (point[axis] + 0.5) / scale[axis] - 0.5 + start[axis])
        };
        let found = self.find_async(&seen).await?.into_iter().map(|face| {
            let corners = face.bounds.map(|[left, top, right, bottom]| {
                let corner = |x: f32, y: f32| back([x.into(), y.into()]).map(|v| v as f32);
                let ([left, top], [right, bottom]) = (corner(left, top), corner(right, bottom));
                [left, top, right, bottom]
            });
            Face { landmarks: face.landmarks.map(back), score: face.score, bounds: corners }
        });
        let overlap = |face: &Face| face.bounds.map_or(0.0, |found| iou(&found, &bounds));
        let best = found.max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        Ok(best.filter(|face| overlap(face) >= LEAST_SHARED))
    }

    async fn detect_tiled(&mut self, photo: &Picture) -> Result<Vec<Detection>> {
        let mut found = self.look(photo).await?;
        let tile = self.long_side();
        let step = ((1.0 - SHARED) * tile as f64) as usize;
        let (long, most) = (photo.height.max(photo.width), tile + (TILES - 1) * step);
        if long <= tile {
            return Ok(merged(found, self.overlap()));
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
                let [height, width] = [seen.height - top, seen.width - left];
                let part = part(seen, [top, left], [height.min(tile), width.min(tile)]);
                let large = |face: &Detection| side(face) > LARGEST * tile as f32;
                let whole =
                    |face: &Detection| !is_cut(face, &part, top, left, seen) && !large(face);
                let faces = self.detect_async(&part).await?;
                found.extend(faces.iter().filter(|face| whole(face)).map(|face| {
                    let place =
                        |v: f32, start: usize| ((v + start as f32 + 0.5) / scale as f32) - 0.5;
                    let face = moved(face, |[x, y]| [place(x, left), place(y, top)]);
                    Seen::new(face, scale as f32)
                }));
            }
        }
        Ok(merged(found, self.overlap()))
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

/// The rectangle of `height × width` pixels at `[top, left]`.
fn part(photo: &Picture, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Picture {
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

/// Whether the face ends at an edge of its tile that is not an edge of the photo.
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
        let part = part(&whole, [0, 50], [50, 100]);
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
