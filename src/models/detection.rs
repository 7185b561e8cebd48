//! The candidates of a detector, before non-maximum suppression.

use crate::tensor::Shape;
use crate::{Error, Result};

/// A face that a detector found. Positions are pixels of the picture that it saw.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Detection {
    /// From 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    /// `[x, y]` of both eyes, the tip of the nose, both corners of the mouth; of each pair the one
    /// at the left of the picture first.
    pub landmarks: [[f32; 2]; 5],
}

impl Detection {
    /// The position of the face in a picture that is `[x, y]` times as large.
    #[must_use]
    pub fn scaled(self, [x, y]: [f32; 2]) -> Self {
        let [left, top, right, bottom] = self.bounds;
        Self {
            score: self.score,
            bounds: [left * x, top * y, right * x, bottom * y],
            landmarks: self.landmarks.map(|[h, v]| [h * x, v * y]),
        }
    }
}

/// Input pixels from one place of a level's feature map to the next.
pub(super) const STRIDES: [usize; 3] = [8, 16, 32];

/// One level of a detector's output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level<'a> {
    pub stride: usize,
    pub height: usize,
    pub width: usize,
    /// `[channels, height, width]`
    values: &'a [f32],
}

impl Level<'_> {
    /// Channel `c` at row `h`, column `w`.
    pub fn at(&self, c: usize, h: usize, w: usize) -> f32 {
        self.values[(c * self.height + h) * self.width + w]
    }
}

/// The outputs of a detector with `channels` channels per level, for one picture of shape `input`.
pub(super) fn levels(
    input: Shape,
    outputs: &[Vec<f32>],
    channels: usize,
) -> Result<[Level<'_>; 3]> {
    let mut levels = STRIDES.map(|stride| Level {
        stride,
        height: input.h.div_ceil(stride),
        width: input.w.div_ceil(stride),
        values: &[],
    });
    if outputs.len() != levels.len() {
        let what = format!("a detector yields {} outputs, got {}", levels.len(), outputs.len());
        return Err(Error::Input(what));
    }
    for (level, values) in levels.iter_mut().zip(outputs) {
        let expected = channels * level.height * level.width;
        if values.len() != expected {
            let what = format!("an output has {} values, expected {expected}", values.len());
            return Err(Error::Input(what));
        }
        level.values = values;
    }
    Ok(levels)
}
