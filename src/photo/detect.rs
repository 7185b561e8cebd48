//! Faces in a picture: one pass of a detector over it, with non-maximum suppression.

use super::Picture;
use crate::models::Detection;
use crate::{Control, Engine, Error, Model, Result, Session, Task};

/// Options of a [`Detector`]: they decide which candidates are faces.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DetectorOptions {
    /// Candidates with a score up to this are dropped.
    pub threshold: f32,
    /// Of two candidates whose intersection is more than this part of their union, the one with the
    /// lower score is dropped.
    pub overlap: f32,
    /// Pictures whose longer side is larger are shrunk to it first, pixels. Faces that are then
    /// smaller than about 16 pixels are missed, and landmarks of faces larger than about 400 are
    /// far off.
    pub long_side: usize,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self { threshold: 0.8, overlap: 0.4, long_side: 640 }
    }
}

/// Pictures with sides up to this are small: sessions of so many sizes are kept, but one of larger ones.
/// A photo takes five, and two more where it is also searched on its side.
const SMALL: usize = 320;
const SMALL_SIZES: usize = 7;

/// Finds faces with a detector. Keeps its sessions for the next picture of the same size.
///
/// ```no_run
/// use pentimento::photo::{self, Detector, DetectorOptions};
/// use pentimento::{Engine, EngineOptions, Model};
///
/// let engine = Engine::new(&EngineOptions::default())?;
/// let model = Model::open("weights/face-detector.safetensors")?;
/// let mut detector = Detector::new(&engine, &model, DetectorOptions::default())?;
/// for face in detector.find(&photo::read("party.jpg".as_ref())?)? {
///     println!("{:.2} at {:?}", face.score.unwrap_or(0.0), face.bounds);
/// }
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct Detector {
    engine: Engine,
    model: Model,
    multiple: usize,
    options: DetectorOptions,
    /// By height and width, the latest one last.
    sessions: Vec<([usize; 2], Session)>,
    control: Option<Control>,
}

impl Detector {
    /// Detects with `model` on `engine`.
    ///
    /// # Errors
    /// [`Error::Input`] when the model is not a detector or an option is out of its range.
    pub fn new(engine: &Engine, model: &Model, options: DetectorOptions) -> Result<Self> {
        let Task::Detect { multiple } = model.task() else {
            let what = format!("{} finds no faces; use a detector", model.architecture());
            return Err(Error::Input(what));
        };
        let parts = [options.threshold, options.overlap];
        if !parts.iter().all(|part| (0.0..=1.0).contains(part)) || options.long_side == 0 {
            let what = "the detector's threshold and overlap lie between 0 and 1, and its long side \
                        has a pixel or more";
            return Err(Error::Input(what.to_owned()));
        }
        let (engine, model) = (engine.clone(), model.clone());
        Ok(Self { engine, model, multiple, options, sessions: Vec::new(), control: None })
    }

    /// Lets `control` cancel the following searches. It is not told how far they have come: that
    /// depends on what is found.
    pub fn set_control(&mut self, control: Option<Control>) {
        self.control = control.map(|control| control.still());
    }

    /// The longer side of what it sees at a time, at most, in pixels.
    pub fn long_side(&self) -> usize {
        self.options.long_side
    }

    /// A value of the metadata of its file.
    pub(super) fn metadata(&self, name: &str) -> Option<&str> {
        self.model.metadata(name)
    }

    /// How much two faces may overlap; see [`DetectorOptions::overlap`].
    pub fn overlap(&self) -> f32 {
        self.options.overlap
    }

    /// The faces in `picture`, the highest score first, in its pixels.
    ///
    /// # Errors
    /// As [`Session::new`] and [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn detect(&mut self, picture: &Picture) -> Result<Vec<Detection>> {
        crate::blocking::block_on(self.detect_async(picture))
    }

    /// [`Detector::detect`] for programs with an async runtime, as [`Session::run_async`].
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn detect_async(&mut self, picture: &Picture) -> Result<Vec<Detection>> {
        self.detect_above(picture, self.options.threshold).await
    }

    /// What has a score above `threshold`, whatever the options ask for.
    pub(super) async fn detect_above(
        &mut self,
        picture: &Picture,
        threshold: f32,
    ) -> Result<Vec<Detection>> {
        let long = picture.height.max(picture.width);
        let shrunk;
        let seen = if long > self.options.long_side {
            let side = |n: usize| (n * self.options.long_side).div_ceil(long);
            shrunk = picture.resized(side(picture.height), side(picture.width))?;
            &shrunk
        } else {
            picture
        };
        let size = [seen.height, seen.width].map(|n| n.next_multiple_of(self.multiple));
        let mut session = match self.sessions.iter().position(|(known, _)| *known == size) {
            Some(place) => self.sessions.remove(place).1,
            None => {
                // The old one is dropped first, so that there is room for the new one.
                self.make_room(size);
                let shape = self.model.input_shape(size[0], size[1]);
                Session::prepare(&self.engine, &self.model, shape).await?
            }
        };
        session.set_control(self.control.clone());
        let outputs = session.run_to_tensors_async(&padded(seen, size)).await?;
        let mut candidates = self.model.detections(session.input_shape(), &outputs, threshold)?;
        self.sessions.push((size, session));
        candidates = non_max_suppression(candidates, self.options.overlap);
        let scale = [[picture.width, seen.width], [picture.height, seen.height]]
            .map(|[all, seen]| all as f32 / seen as f32);
        Ok(candidates.into_iter().map(|face| face.scaled(scale)).collect())
    }

    /// Drops the oldest of the sessions that one for `size` would be too many of.
    fn make_room(&mut self, size: [usize; 2]) {
        let is_small = |size: [usize; 2]| size.iter().all(|&side| side <= SMALL);
        let kept = if is_small(size) { SMALL_SIZES } else { 1 };
        let alike = |(known, _): &([usize; 2], Session)| is_small(*known) == is_small(size);
        if self.sessions.iter().filter(|known| alike(known)).count() >= kept
            && let Some(oldest) = self.sessions.iter().position(alike)
        {
            self.sessions.remove(oldest);
        }
    }
}

/// The picture's RGB bytes with black columns and rows behind, up to `[height, width]`.
fn padded(picture: &Picture, [height, width]: [usize; 2]) -> Vec<u8> {
    let mut bytes = vec![0; height * width * 3];
    let rows = bytes.chunks_exact_mut(width * 3);
    for (to, from) in rows.zip(picture.rgb.chunks_exact(picture.width * 3)) {
        to[..from.len()].copy_from_slice(from);
    }
    bytes
}

/// Non-maximum suppression: sorted by falling score, equal ones in their order, each candidate
/// that overlaps no better one that was kept.
pub fn non_max_suppression(mut candidates: Vec<Detection>, overlap: f32) -> Vec<Detection> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in candidates {
        if kept.iter().all(|better| iou(&better.bounds, &candidate.bounds) <= overlap) {
            kept.push(candidate);
        }
    }
    kept
}

/// Intersection over union of two boxes.
pub(super) fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |[left, top, right, bottom]: &[f32; 4]| (right - left) * (bottom - top);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let intersection = width * height;
    intersection / (area(a) + area(b) - intersection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(score: f32, bounds: [f32; 4]) -> Detection {
        Detection { score, bounds, landmarks: [[0.0; 2]; 5] }
    }

    #[test]
    fn the_better_of_two_overlapping_faces_stays() {
        let faces = vec![
            face(0.8, [0.0, 0.0, 10.0, 10.0]),
            face(0.9, [1.0, 0.0, 11.0, 10.0]),
            face(0.7, [20.0, 0.0, 30.0, 10.0]),
        ];
        let kept = non_max_suppression(faces, 0.4);
        assert_eq!(kept.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.7]);
    }

    #[test]
    fn what_overlaps_only_a_dropped_face_stays() {
        // Neighbours share 6/14 of their union, the outer two 2/18.
        let at = |left: f32, score| face(score, [left, 0.0, left + 10.0, 1.0]);
        let kept = non_max_suppression(vec![at(8.0, 0.7), at(4.0, 0.8), at(0.0, 0.9)], 0.4);
        assert_eq!(kept.iter().map(|f| f.bounds[0]).collect::<Vec<_>>(), [0.0, 8.0]);
    }

    #[test]
    fn equal_scores_keep_their_order() {
        let same = |left: f32| face(0.5, [left, 0.0, left + 10.0, 10.0]);
        let kept = non_max_suppression(vec![same(1.0), same(0.0), same(100.0)], 0.4);
        assert_eq!(kept.iter().map(|f| f.bounds[0]).collect::<Vec<_>>(), [1.0, 100.0]);
    }
}
