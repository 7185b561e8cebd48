//! The part of the face at each pixel, by a parser.

use super::Picture;
use crate::{Engine, Error, Model, Result, Session, Task};

/// A parser made ready: ParseNet or BiSeNet.
#[derive(Debug)]
pub struct FaceParser {
    session: Session,
    size: usize,
    face_classes: &'static [bool],
}

impl FaceParser {
    /// Parses with `model` on `engine`.
    ///
    /// # Errors
    /// [`Error::Input`] when the model is not a parser of faces of 512 pixels with CelebAMask-HQ's
    /// classes; as [`Session::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(engine: &Engine, model: &Model) -> Result<Self> {
        crate::blocking::block_on(Self::prepare(engine, model))
    }

    /// [`FaceParser::new`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`FaceParser::new`].
    pub async fn prepare(engine: &Engine, model: &Model) -> Result<Self> {
        let name = model.architecture();
        let Task::Parse { size, .. } = model.task() else {
            let what = format!("{name} does not say what a face's pixels show; use a parser");
            return Err(Error::Input(what));
        };
        let Some(face_classes) = model.face_classes() else {
            return Err(Error::Input(format!("{name} has other classes than CelebAMask-HQ's 19")));
        };
        let session = Session::prepare(engine, model, model.input_shape(size, size)).await?;
        Ok(Self { session, size, face_classes })
    }

    /// Where `face`, an aligned face of `side × side` pixels, shows the face itself:
    /// `[512, 512]`.
    ///
    /// # Errors
    /// As [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn parse(&mut self, face: &[[u8; 3]], side: usize) -> Result<Vec<bool>> {
        crate::blocking::block_on(self.parse_async(face, side))
    }

    /// [`FaceParser::parse`] for programs with an async runtime, as [`Session::run_async`].
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn parse_async(&mut self, face: &[[u8; 3]], side: usize) -> Result<Vec<bool>> {
        let rgb = face.as_flattened().to_vec();
        let picture = Picture { height: side, width: side, rgb, alpha: None, icc: None };
        let picture = picture.resized(self.size, self.size)?;
        let outputs = self.session.run_to_tensors_async(&picture.rgb).await?;
        let plane = self.size * self.size;
        let logits = outputs.first().map_or(&[][..], Vec::as_slice);
        if logits.len() != plane * self.face_classes.len() {
            return Err(Error::Internal(format!("a parser gave {} logits", logits.len())));
        }
        let best = |i: usize| {
            let classes = 0..self.face_classes.len();
            // The first of equal ones, as everywhere.
            classes.rev().max_by(|&a, &b| logits[a * plane + i].total_cmp(&logits[b * plane + i]))
        };
        Ok((0..plane).map(|i| best(i).is_some_and(|class| self.face_classes[class])).collect())
    }
}
