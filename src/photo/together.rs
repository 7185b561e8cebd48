//! Photos whose faces are restored together: all are cut out, the network sees several at a time, and
//! each is put back.

use std::collections::VecDeque;

use super::aligned::{AlignedPixels, CutOut};
use super::face::{Face, Pose};
use super::faces::canvas;
use super::surface::Surface;
use super::{AlignedFace, Outcome, PhotoRestorer, Picture, RestoredPhoto};
use crate::{Control, Error, Result};

/// A photo while its faces are restored.
struct Open {
    surface: Surface,
    outcomes: Vec<Outcome>,
    notes: Vec<String>,
    /// Faces that are still to come.
    left: usize,
}

/// A face that waits for the network, or for those before it.
struct Waiting {
    /// Its photo's position.
    photo: usize,
    face: Face,
    /// Why it is left where it was not cut out.
    cut: std::result::Result<CutOut, String>,
    control: Option<Control>,
}

/// What became of each photo so far.
enum State {
    Open(Box<Open>),
    Ended(Result<RestoredPhoto>),
}

impl PhotoRestorer {
    /// With nobody to show them to, restored faces stay where they are.
    pub(super) async fn run(
        &mut self,
        photo: &Picture,
        given: Option<&[Face]>,
        show: Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) -> Result<RestoredPhoto> {
        let missing = || Error::Internal("a photo has no result".to_owned());
        self.run_all(&[(photo, given)], show).await.pop().unwrap_or_else(|| Err(missing()))
    }

    /// As [`run`](Self::run) for each photo, which fails alone. Faces are restored, put back and shown in
    /// the order of the photos, from left to right.
    pub(super) async fn run_all(
        &mut self,
        photos: &[(&Picture, Option<&[Face]>)],
        mut show: Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) -> Vec<Result<RestoredPhoto>> {
        let mut states = Vec::new();
        let mut waiting = VecDeque::new();
        for (at, &(photo, given)) in photos.iter().enumerate() {
            let control = self.watch(at, photos.len());
            let (open, faces) = match self.opened(photo, given).await {
                Ok(opened) => opened,
                Err(error) => {
                    states.push(State::Ended(Err(error)));
                    continue;
                }
            };
            states.push(State::Open(Box::new(open)));
            let chosen = self.chosen(photo, &faces);
            let count = faces.len();
            for (i, face) in faces.into_iter().enumerate() {
                let Some(State::Open(open)) = states.get(at) else { break };
                let cut = if chosen.is_some_and(|chosen| chosen != i) {
                    Err("another face was chosen".to_owned())
                } else {
                    match self.cut_out(&open.surface, photo, &face).await {
                        Ok(cut) => cut,
                        Err(error) => {
                            states[at] = State::Ended(Err(error));
                            break;
                        }
                    }
                };
                let control = control.as_ref().map(|c| c.piece(i, count));
                waiting.push_back(Waiting { photo: at, face, cut, control });
                let cuts = waiting.iter().filter(|waiting| waiting.cut.is_ok()).count();
                if cuts == 0 || cuts >= self.network.at_a_time() {
                    self.restore_waiting(&mut waiting, photos, &mut states, &mut show).await;
                }
            }
            self.end(at, photo, &mut states).await;
        }
        self.restore_waiting(&mut waiting, photos, &mut states, &mut show).await;
        let unfinished = || Error::Internal("a photo was not finished".to_owned());
        let ended = states.into_iter().map(|state| match state {
            State::Ended(result) => result,
            State::Open(_) => Err(unfinished()),
        });
        ended.collect()
    }

    /// Hands on the control of photo `at` of `count`: the search for faces counts for nothing, what is
    /// around them for as much as all of them.
    fn watch(&mut self, at: usize, count: usize) -> Option<Control> {
        let control = self.control.as_ref().map(|control| control.piece(at, count));
        if let Some(detector) = &mut self.detector {
            detector.set_control(control.clone());
        }
        let Some(background) = &mut self.background else { return control };
        background.set_control(control.as_ref().map(|c| c.piece(0, 2)));
        control.map(|c| c.piece(1, 2))
    }

    /// A photo on its surface, and its faces from left to right.
    async fn opened(
        &mut self,
        photo: &Picture,
        given: Option<&[Face]>,
    ) -> Result<(Open, Vec<Face>)> {
        let mut faces = match given {
            Some(faces) => faces.to_vec(),
            None => self.find_async(photo).await?,
        };
        faces.sort_by(|a, b| a.centre()[0].total_cmp(&b.centre()[0]));
        let original = canvas(photo);
        let (result, notes) = self.enlarged(photo).await?;
        let surface = Surface::new(&self.engine, original, result).await?;
        Ok((Open { surface, outcomes: Vec::new(), notes, left: faces.len() }, faces))
    }

    /// Restores all faces that wait, puts them back, and ends the photos that have no more.
    async fn restore_waiting(
        &mut self,
        waiting: &mut VecDeque<Waiting>,
        photos: &[(&Picture, Option<&[Face]>)],
        states: &mut [State],
        show: &mut Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) {
        let restored = {
            let mut cuts = Vec::new();
            for Waiting { photo, cut, control, .. } in &*waiting {
                // Faces of photos that have failed are not needed any more.
                if let (Some(State::Open(open)), Ok(CutOut { crop, .. })) =
                    (states.get(*photo), cut)
                {
                    cuts.push((&open.surface, crop, control.clone()));
                }
            }
            self.network.restore(&cuts).await
        };
        let mut restored = restored.into_iter();
        // Those whose faces were asked for above, whatever becomes of them below.
        let asked: Vec<bool> = states.iter().map(|state| matches!(state, State::Open(_))).collect();
        while let Some(Waiting { photo: at, face, cut, .. }) = waiting.pop_front() {
            let restored = if cut.is_ok() && asked[at] { restored.next() } else { None };
            let State::Open(open) = &mut states[at] else { continue };
            let photo = photos[at].0;
            if let Err(error) = self.ended(open, photo, face, cut, restored, show).await {
                states[at] = State::Ended(Err(error));
            }
            self.end(at, photo, states).await;
        }
    }

    /// Puts one face back, or leaves it, and notes what became of it.
    async fn ended(
        &mut self,
        open: &mut Open,
        photo: &Picture,
        face: Face,
        cut: std::result::Result<CutOut, String>,
        restored: Option<Result<AlignedPixels>>,
        show: &mut Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) -> Result<()> {
        let printed = cut.as_ref().is_ok_and(|cut| cut.dotted);
        let done = match (cut, restored) {
            (Err(why), _) => Err(why),
            (Ok(cut), Some(restored)) => {
                self.put_back(&mut open.surface, photo, &face, &cut, &restored?).await?
            }
            (Ok(_), None) => return Err(Error::Internal("a face has no result".to_owned())),
        };
        let pose = Pose::of(&face.landmarks);
        let skipped = done.as_ref().err().cloned();
        let outcome = Outcome { turned: pose.is_turned(), printed, pose, face, skipped };
        if let Some(show) = show {
            let face = match &done {
                Ok((face, to_photo)) => {
                    let (size, rgb) = (self.size, open.surface.pixels(face).await?);
                    Some(AlignedFace { size, rgb, to_photo: to_photo.0 })
                }
                Err(_) => None,
            };
            show(&outcome, face.as_ref());
        }
        open.outcomes.push(outcome);
        open.left -= 1;
        Ok(())
    }

    /// Takes the result of photo `at` where all of its faces are done.
    async fn end(&mut self, at: usize, photo: &Picture, states: &mut [State]) {
        if !matches!(&states[at], State::Open(open) if open.left == 0) {
            return;
        }
        let begun = Error::Internal("a photo ends twice".to_owned());
        let State::Open(open) = std::mem::replace(&mut states[at], State::Ended(Err(begun))) else {
            return;
        };
        let Open { surface, outcomes, notes, .. } = *open;
        states[at] = State::Ended(self.finished(photo, surface, outcomes, notes).await);
    }

    async fn finished(
        &self,
        photo: &Picture,
        surface: Surface,
        faces: Vec<Outcome>,
        notes: Vec<String>,
    ) -> Result<RestoredPhoto> {
        let [height, width] = self.output_size(photo.height, photo.width);
        let rgb = surface.finish().await?.into_flattened();
        let alpha = photo.alpha_resized(height, width)?;
        let picture = Picture { height, width, rgb, alpha, icc: photo.icc.clone() };
        Ok(RestoredPhoto { picture, faces, notes })
    }
}
