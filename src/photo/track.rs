//! Faces of a film from frame to frame: landmarks are smoothed so that restored faces do not jitter.

use super::Face;
use super::align::Landmarks;

/// Frames after which a face that is not found any more is forgotten.
const PATIENCE: usize = 5;
/// A face is the same as in the last frame when its centre has moved less than this many times the
/// distance of the eyes, and that distance has changed by less than this factor.
const FARTHEST: f64 = 1.0;
const LARGEST_CHANGE: f64 = 1.6;
/// How fast the estimate of the speed follows.
const SPEED_FOLLOWS: f64 = 0.3;
/// How much less a landmark is smoothed per distance of the eyes that it moves in a frame: at a
/// fifth of it there is no smoothing left at the default amount.
const FREE_WHEN_FAST: f64 = 4.0;

/// Smooths the landmarks of faces from frame to frame.
///
/// Every landmark follows what was found by a part of the way; the part grows with its speed, so
/// that still faces stand still and moving ones do not lag (Casiez et al., "1 € Filter", 2012).
/// With the default amount of 0.85 a still face jitters 3.5 times less, and a face that moves by
/// 0.1 distances of the eyes per frame lags by less than a tenth of that distance.
#[derive(Clone, Debug)]
pub struct Tracker {
    least_part: f64,
    tracks: Vec<Track>,
}

#[derive(Clone, Debug)]
struct Track {
    landmarks: Landmarks,
    /// What was found last, before smoothing.
    found: Landmarks,
    /// Per frame, in distances of the eyes.
    speed: Landmarks,
    missed: usize,
}

impl Tracker {
    /// With `amount` from 0 (none) to 1 (still faces never move).
    pub fn new(amount: f64) -> Self {
        Self { least_part: 1.0 - amount.clamp(0.0, 1.0), tracks: Vec::new() }
    }

    /// Forgets all faces: the next frame begins another scene.
    pub fn forget(&mut self) {
        self.tracks.clear();
    }

    /// Moves the landmarks of the faces found in the next frame to where they are shown.
    pub fn smooth(&mut self, faces: &mut [Face]) {
        for track in &mut self.tracks {
            track.missed += 1;
        }
        let known = self.tracks.len();
        for face in faces {
            match self.nearest(face, known) {
                Some(i) => self.tracks[i].follow(face, self.least_part),
                None => self.tracks.push(Track {
                    landmarks: face.landmarks,
                    found: face.landmarks,
                    speed: Landmarks::default(),
                    missed: 0,
                }),
            }
        }
        self.tracks.retain(|track| track.missed <= PATIENCE);
    }

    /// Which of the first `known` tracks, unless another face of this frame has it, is the face's.
    fn nearest(&self, face: &Face, known: usize) -> Option<usize> {
        let (eyes, [x, y]) = (face.eye_distance().max(1e-6), centre(&face.landmarks));
        let distance = |track: &Track| {
            let [u, v] = centre(&track.landmarks);
            (x - u).hypot(y - v) / eyes
        };
        let same = |track: &Track| {
            let change = eyes / eye_distance(&track.landmarks).max(1e-6);
            track.missed > 0
                && distance(track) < FARTHEST
                && (1.0 / LARGEST_CHANGE..LARGEST_CHANGE).contains(&change)
        };
        let tracks = self.tracks[..known].iter().enumerate();
        tracks
            .filter(|(_, track)| same(track))
            .min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)))
            .map(|(i, _)| i)
    }
}

impl Track {
    fn follow(&mut self, face: &mut Face, least_part: f64) {
        let eyes = face.eye_distance().max(1e-6);
        let missed = self.missed as f64;
        let tracked = self.landmarks.iter_mut().zip(&mut self.found).zip(&mut self.speed);
        for (found, ((shown, last), speed)) in face.landmarks.iter_mut().zip(tracked) {
            let moved: [f64; 2] = std::array::from_fn(|i| (found[i] - last[i]) / eyes / missed);
            *speed = std::array::from_fn(|i| speed[i] + SPEED_FOLLOWS * (moved[i] - speed[i]));
            let part = (least_part + FREE_WHEN_FAST * speed[0].hypot(speed[1])).min(1.0);
            *last = *found;
            *shown = std::array::from_fn(|i| shown[i] + part * (found[i] - shown[i]));
            *found = *shown;
        }
        self.missed = 0;
    }
}

fn centre(landmarks: &Landmarks) -> [f64; 2] {
    [0, 1].map(|axis| landmarks.iter().map(|point| point[axis]).sum::<f64>() / 5.0)
}

fn eye_distance(landmarks: &Landmarks) -> f64 {
    let [[lx, ly], [rx, ry], ..] = *landmarks;
    (rx - lx).hypot(ry - ly)
}

#[cfg(test)]
mod tests {
    use super::super::align::TEMPLATE;
    use super::*;
    use crate::pixels::noise;

    const AMOUNT: f64 = 0.85;

    fn face(shift: [f64; 2], scale: f64) -> Face {
        let landmarks = TEMPLATE.map(|[x, y]| [x * scale + shift[0], y * scale + shift[1]]);
        Face { landmarks, score: None, bounds: None }
    }

    /// Noise of standard deviation 1.
    fn jitter(frame: usize, i: usize) -> f64 {
        f64::from(noise(frame * 16 + i, 7))
    }

    #[test]
    fn a_still_face_jitters_three_times_less() {
        let mut tracker = Tracker::new(AMOUNT);
        let (still, mut before, mut after) = (face([0.0; 2], 1.0), 0.0, 0.0);
        for frame in 0..400 {
            let mut found = still.clone();
            for (i, value) in found.landmarks.as_flattened_mut().iter_mut().enumerate() {
                // About 1.5 % of the distance of the eyes, as a detector has.
                *value += 2.0 * jitter(frame, i);
            }
            let square = |face: &Face| {
                let pairs =
                    face.landmarks.as_flattened().iter().zip(still.landmarks.as_flattened());
                pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
            };
            let raw = square(&found);
            tracker.smooth(std::slice::from_mut(&mut found));
            if frame > 50 {
                before += raw;
                after += square(&found);
            }
        }
        let factor = (before / after).sqrt();
        assert!(factor > 3.0, "{factor:.2}");
    }

    #[test]
    fn a_moving_face_does_not_lag() {
        let mut tracker = Tracker::new(AMOUNT);
        let eyes = face([0.0; 2], 1.0).eye_distance();
        for (speed, most) in [(0.02, 0.12), (0.1, 0.1), (0.4, 0.02)] {
            let mut lag = 0.0;
            for frame in 0..60 {
                let mut found = face([frame as f64 * speed * eyes, 0.0], 1.0);
                let at = found.landmarks[2][0];
                tracker.smooth(std::slice::from_mut(&mut found));
                lag = (at - found.landmarks[2][0]).abs() / eyes;
            }
            assert!(lag < most, "{lag:.3} at {speed}");
        }
    }

    #[test]
    fn faces_are_told_apart_and_forgotten() {
        let mut tracker = Tracker::new(AMOUNT);
        let pair = [face([0.0; 2], 1.0), face([600.0, 0.0], 1.0)];
        tracker.smooth(&mut pair.clone());
        // In the other order, one a bit moved.
        let mut swapped = [pair[1].clone(), face([4.0, 0.0], 1.0)];
        tracker.smooth(&mut swapped);
        assert_eq!(swapped[0], pair[1]);
        let moved = swapped[1].landmarks[0][0] - pair[0].landmarks[0][0];
        assert!(moved > 0.0 && moved < 2.0, "{moved}");
        for _ in 0..=PATIENCE {
            tracker.smooth(&mut []);
        }
        let mut back = [face([9.0, 0.0], 1.0)];
        tracker.smooth(&mut back);
        assert_eq!(back[0], face([9.0, 0.0], 1.0), "a new face is shown where it is");
        let mut larger = [face([9.0, 0.0], 2.5)];
        tracker.smooth(&mut larger);
        assert_eq!(larger[0], face([9.0, 0.0], 2.5), "another one");
    }

    #[test]
    fn no_smoothing_changes_nothing() {
        let mut tracker = Tracker::new(0.0);
        for i in 0..5 {
            let mut found = [face([f64::from(i), 0.0], 1.0)];
            tracker.smooth(&mut found);
            assert_eq!(found[0], face([f64::from(i), 0.0], 1.0));
        }
    }
}
