//! A picture is looked at in several sizes: a face that fills it is missed, or its landmarks are far
//! off, where the detector sees it large.

use super::detect::iou;
use super::{Detection, Detector, Picture};
use crate::Result;

/// The further looks: the picture at a half and at a quarter of the size of the first one. Of forty
/// faces that fill their picture, YuNet finds 33 in the first look and all in each of these.
const PARTS: [usize; 2] = [2, 4];
/// A look whose longer side would be less than this, in pixels, shows no face.
const LEAST_SIDE: usize = 96;
/// In a further look a face counts from this part of the longer side on: smaller ones are seen better
/// in the first.
const LARGE: f32 = 0.25;
/// Landmarks are taken from the look in which the longer side of the face is nearest to this, in
/// pixels, by ratio. Landmarks of YuNet and RetinaFace are best from 130 to 400 pixels.
const BEST_SIDE: f32 = 200.0;
/// One face lies inside of another where so much of its area does; the surer one stays.
const INSIDE: f32 = 0.8;

/// A face and how large it was to the detector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// In pixels of the photo.
    pub face: Detection,
    /// Its longer side in the look, in pixels.
    pub side: f32,
}

impl Seen {
    /// A face of a look whose pixels are `scale` of the photo's.
    pub fn new(face: Detection, scale: f32) -> Self {
        let [left, top, right, bottom] = face.bounds;
        Self { face, side: (right - left).max(bottom - top) * scale }
    }

    /// How far the face is from the best size, in octaves.
    fn off(&self) -> f32 {
        (self.side / BEST_SIDE).max(f32::MIN_POSITIVE).log2().abs()
    }
}

impl Detector {
    /// The faces of one pass over all of `photo`, and the large ones of passes at a half and at a
    /// quarter of its size.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub(super) async fn look(&mut self, photo: &Picture) -> Result<Vec<Seen>> {
        let long = photo.height.max(photo.width);
        let first = long.min(self.long_side());
        let scale = first as f32 / long.max(1) as f32;
        let found = self.detect_async(photo).await?;
        let mut seen: Vec<Seen> = found.into_iter().map(|face| Seen::new(face, scale)).collect();
        for part in PARTS {
            if first / part < LEAST_SIDE {
                break;
            }
            let side = |n: usize| (n * first).div_ceil(long * part).max(1);
            let smaller = photo.resized(side(photo.height), side(photo.width))?;
            let scale = smaller.height.max(smaller.width) as f32 / long as f32;
            let back = [[photo.width, smaller.width], [photo.height, smaller.height]]
                .map(|[all, seen]| all as f32 / seen as f32);
            let found = self.detect_async(&smaller).await?;
            let large = |seen: &Seen| seen.side >= LARGE * long as f32 * scale;
            let found = found.into_iter().map(|face| Seen::new(face.scaled(back), scale));
            seen.extend(found.filter(large));
        }
        Ok(seen)
    }
}

/// Every face once: of two that overlap by more than `overlap`, or of which one lies inside of the
/// other, the surer one stays. It takes bounds and landmarks of the best sized of those that overlap.
pub(super) fn merged(mut seen: Vec<Seen>, overlap: f32) -> Vec<Detection> {
    seen.sort_by(|a, b| b.face.score.total_cmp(&a.face.score));
    let mut kept: Vec<(Detection, Seen)> = Vec::new();
    for other in seen {
        let same = |kept: &(Detection, Seen)| iou(&kept.0.bounds, &other.face.bounds) > overlap;
        if let Some((_, best)) = kept.iter_mut().find(|kept| same(kept)) {
            if other.off() < best.off() {
                *best = other;
            }
        } else if kept.iter().all(|(kept, _)| inside(&kept.bounds, &other.face.bounds) < INSIDE) {
            kept.push((other.face, other));
        }
    }
    kept.into_iter().map(|(surest, best)| Detection { score: surest.score, ..best.face }).collect()
}

/// The part of the smaller box that lies in the other.
fn inside(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |[left, top, right, bottom]: &[f32; 4]| (right - left) * (bottom - top);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    width * height / area(a).min(area(b)).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(score: f32, bounds: [f32; 4], scale: f32) -> Seen {
        Seen::new(Detection { score, bounds, landmarks: [[scale; 2]; 5] }, scale)
    }

    #[test]
    fn a_face_of_several_looks_is_one_with_the_landmarks_of_the_best_sized() {
        // 800 pixels large; 200 in the third look.
        let all = [0.0, 0.0, 800.0, 800.0];
        let near = [10.0, 0.0, 810.0, 800.0];
        let found = merged(vec![seen(0.95, all, 1.0), seen(0.9, near, 0.25)], 0.4);
        let [face] = &found[..] else { panic!("{found:?}") };
        assert_eq!((face.score, face.bounds, face.landmarks[0]), (0.95, near, [0.25; 2]));
    }

    #[test]
    fn what_is_seen_inside_of_a_face_goes_and_neighbours_stay() {
        let large = seen(0.95, [0.0, 0.0, 400.0, 400.0], 0.25);
        let button = seen(0.85, [300.0, 300.0, 380.0, 390.0], 1.0);
        let neighbour = seen(0.9, [380.0, 0.0, 780.0, 400.0], 0.25);
        assert_eq!(merged(vec![button, large, neighbour], 0.4).len(), 2);
        // What takes a group for one face is less sure than the faces of the group.
        let group = [[20.0, 20.0, 120.0, 140.0], [220.0, 20.0, 320.0, 140.0]];
        let mut faces = group.map(|bounds| seen(0.97, bounds, 1.0)).to_vec();
        faces.push(large);
        assert_eq!(merged(faces, 0.4).len(), 2);
    }
}
