//! A face in a photo: where it is, and how its head is turned.

use serde::{Deserialize, Serialize};

use super::align::{Frame, Landmarks};

/// Heads that are turned further to the side than this, in degrees, are past the reach of the
/// template: their eyes lie too close together for it.
const FARTHEST_YAW: f64 = 40.0;

/// A face in a photo, found or given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Both eyes, the tip of the nose, both corners of the mouth, of each pair the one at the left
    /// of an upright face's picture first: `[x, y]` in pixels of the photo.
    pub landmarks: Landmarks,
    /// The detector's confidence, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Left, top, right, bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f32; 4]>,
}

impl Face {
    /// Distance of the eyes in pixels.
    pub fn eye_distance(&self) -> f64 {
        let [[lx, ly], [rx, ry], ..] = self.landmarks;
        (rx - lx).hypot(ry - ly)
    }

    /// An upright face in a box (left, top, right, bottom) of which nothing else is known: where
    /// YuNet's landmarks lie in its boxes, on average over 20 portraits.
    pub(super) fn upright(bounds: [f32; 4]) -> Self {
        let [left, top, right, bottom] = bounds.map(f64::from);
        let place = |[x, y]: [f64; 2]| [left + x * (right - left), top + y * (bottom - top)];
        Self { landmarks: IN_BOX.map(place), score: None, bounds: Some(bounds) }
    }

    pub(super) fn centre(&self) -> [f64; 2] {
        [0, 1].map(|axis| self.landmarks.iter().map(|point| point[axis]).sum::<f64>() / 5.0)
    }
}

/// Landmarks in parts of the sides of a face's box; measured, made symmetrical.
const IN_BOX: Landmarks = [[0.26, 0.39], [0.74, 0.39], [0.50, 0.59], [0.28, 0.72], [0.72, 0.72]];

/// How a head is turned, in degrees, estimated from five landmarks: good to some ten degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pose {
    /// Positive: the face looks to the right side of the picture.
    pub yaw: f64,
    /// Positive: the face looks down.
    pub pitch: f64,
    /// Positive: the head is tilted with the clock.
    pub roll: f64,
}

/// How far the tip of the nose stands out from the plane of eyes and mouth, as a part of the
/// distance of the eyes.
const NOSE_DEPTH: f64 = 0.45;

impl Pose {
    /// The pose that moves the nose of the template to where it is.
    pub fn of(landmarks: &Landmarks) -> Self {
        let [left_eye, right_eye, nose, ..] = *landmarks;
        let frame = Frame::of(landmarks);
        let ([dx, dy], length) = (frame.down, frame.length.max(f64::MIN_POSITIVE));
        let (x, y) = (nose[0] - frame.eyes[0], nose[1] - frame.eyes[1]);
        let (along, across) = ((x * dx + y * dy) / length, (x * dy - y * dx) / length);
        // On the template, eyes and mouth are 131 apart, both eyes 126, and the nose lies at 0.565.
        let depth = NOSE_DEPTH * 126.0 / 131.0;
        let angle = |offset: f64| (offset / depth).clamp(-1.0, 1.0).asin().to_degrees();
        Self {
            yaw: angle(across),
            pitch: angle(along - 0.565),
            roll: (right_eye[1] - left_eye[1]).atan2(right_eye[0] - left_eye[0]).to_degrees(),
        }
    }

    /// Whether the head is turned past the reach of the template for aligned faces.
    pub(super) fn is_turned(&self) -> bool {
        self.yaw.abs() > FARTHEST_YAW
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::TEMPLATE;
    use super::*;

    #[test]
    fn the_template_looks_at_us() {
        let pose = Pose::of(&TEMPLATE);
        assert!(
            pose.yaw.abs() < 2.0 && pose.pitch.abs() < 2.0 && pose.roll.abs() < 1.0,
            "{pose:?}"
        );
    }

    #[test]
    fn a_nose_at_the_right_looks_right_and_a_tilted_head_is_tilted() {
        let mut turned = TEMPLATE;
        turned[2][0] += 40.0;
        assert!((30.0..60.0).contains(&Pose::of(&turned).yaw), "{:?}", Pose::of(&turned));
        let tilted = TEMPLATE.map(|[x, y]| [0.866 * x - 0.5 * y, 0.5 * x + 0.866 * y]);
        let pose = Pose::of(&tilted);
        assert!((pose.roll - 30.0).abs() < 1.0 && pose.yaw.abs() < 2.0, "{pose:?}");
    }
}
