//! Faces of one or several photos in one run of their network.

use std::sync::Arc;

use super::aligned::AlignedPixels;
use super::surface::Surface;
use crate::plan::{Plan, Rates, Target};
use crate::{Control, Engine, Error, Model, Result, Session, Shape, gpu};

/// How many faces a network takes at a time.
///
/// A small network leaves most of a large GPU idle with one face. Results are the same bytes, whatever
/// the batch: kernels add each face's products in the same order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Batch {
    /// As the network's plan keeps the device busy: one on the CPU, on GPUs that share the memory of
    /// the machine, and on drivers that run on the CPU; on others up to 16, within the memory budget.
    #[default]
    Auto,
    /// So many, 1 to [`Batch::MOST`].
    Faces(usize),
}

/// The most faces that are chosen without being asked for.
const MOST_CHOSEN: usize = 16;
/// A batch is doubled while each of its faces then takes at most this part of the time.
const WORTH: f64 = 0.95;
/// The most bytes that a batch which nobody asked for takes where there is no budget.
const MOST_BYTES: usize = 1 << 30;
/// Workgroups that a discrete GPU has room for whose rates nobody measured.
const UNITS: f64 = 64.0;

impl Batch {
    /// The most faces of a batch.
    pub const MOST: usize = 64;

    /// # Errors
    /// [`Error::Input`] for a number that is out of its range.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Faces(faces) if !(1..=Self::MOST).contains(&faces) => {
                let most = Self::MOST;
                Err(Error::Input(format!("a batch has 1 to {most} faces, not {faces}")))
            }
            _ => Ok(()),
        }
    }
}

/// What a network's runs were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct BatchReport {
    /// Faces that the network takes at a time, where there are so many.
    pub faces: usize,
    /// Faces that were restored with others in one run.
    pub together: usize,
    /// Faces that were restored alone.
    pub alone: usize,
}

/// A network for faces that takes one, and where that pays several at a time.
pub(super) struct FaceNetwork {
    engine: Engine,
    model: Model,
    size: usize,
    single: Session,
    /// Made when there are faces for it.
    several: Option<Session>,
    chosen: Chosen,
    report: BatchReport,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Chosen {
    /// Faces at a time.
    faces: usize,
    /// The fewest faces for which a run of so many takes less time than one run for each.
    worth: usize,
}

const ALONE: Chosen = Chosen { faces: 1, worth: 1 };

/// A face, and where it is.
pub(super) type Cut<'a> = (&'a Surface, &'a AlignedPixels, Option<Control>);

impl FaceNetwork {
    /// `model`, which restores faces of `size × size` pixels.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    pub async fn prepare(engine: &Engine, model: &Model, size: usize) -> Result<Self> {
        let single = Session::prepare(engine, model, model.input_shape(size, size)).await?;
        let chosen = chosen(engine, model);
        let report = BatchReport { faces: chosen.faces, ..BatchReport::default() };
        let (engine, model) = (engine.clone(), model.clone());
        Ok(Self { engine, model, size, single, several: None, chosen, report })
    }

    /// # Errors
    /// As [`Batch::check`].
    pub fn set_batch(&mut self, batch: Batch) -> Result<()> {
        batch.check()?;
        self.several = None;
        self.chosen = match batch {
            Batch::Auto => chosen(&self.engine, &self.model),
            Batch::Faces(faces) => {
                let target = self.engine.target();
                let shares = [1, faces].map(|n| share(&self.model, &target, n));
                let worth = match shares {
                    [Some((alone, _)), Some((of_several, _))] => worth(faces, of_several / alone),
                    _ => faces,
                };
                Chosen { faces, worth }
            }
        };
        self.report.faces = self.chosen.faces;
        Ok(())
    }

    /// The session that takes one face.
    pub fn session(&self) -> &Session {
        &self.single
    }

    pub fn time_steps(&mut self, wanted: bool) {
        self.single.time_steps(wanted);
    }

    /// Faces that it takes at a time.
    pub fn at_a_time(&self) -> usize {
        self.chosen.faces
    }

    pub fn report(&self) -> BatchReport {
        self.report
    }

    /// Restores faces, in runs of as many as it takes at a time. Where such a run fails, its faces are
    /// restored one by one, so that a face fails alone.
    ///
    /// # Errors
    /// Each face's, as [`Session::run`].
    pub async fn restore(&mut self, cuts: &[Cut<'_>]) -> Vec<Result<AlignedPixels>> {
        let mut restored: Vec<Option<AlignedPixels>> = cuts.iter().map(|_| None).collect();
        for in_memory in [false, true] {
            let is_there =
                |face: &AlignedPixels| matches!(face, AlignedPixels::Cpu(_)) == in_memory;
            let there: Vec<usize> = (0..cuts.len()).filter(|&at| is_there(cuts[at].1)).collect();
            for places in there.chunks(self.chosen.faces) {
                if places.len() < self.chosen.worth.max(2) {
                    continue;
                }
                let group: Vec<_> = places.iter().map(|&at| cuts[at].clone()).collect();
                match self.together(&group).await {
                    Ok(faces) => {
                        self.report.together += places.len();
                        for (&at, face) in places.iter().zip(faces) {
                            restored[at] = Some(face);
                        }
                    }
                    Err(why) => log::warn!("faces are restored one by one, not together: {why}"),
                }
            }
        }
        let mut results = Vec::new();
        for ((surface, face, control), restored) in cuts.iter().zip(restored) {
            results.push(match restored {
                Some(face) => Ok(face),
                None => {
                    self.report.alone += 1;
                    self.single.set_control(control.clone());
                    surface.restore(face, &mut self.single).await
                }
            });
        }
        results
    }

    /// Restores faces that are all in memory, or all on the GPU, in one run.
    async fn together(&mut self, cuts: &[Cut<'_>]) -> Result<Vec<AlignedPixels>> {
        let (Some((surface, first, from)), Some((_, last, to))) = (cuts.first(), cuts.last())
        else {
            return Ok(Vec::new());
        };
        let faces = self.chosen.faces;
        let control = from.as_ref().zip(to.as_ref()).map(|(from, to)| from.until(to));
        if self.several.is_none() {
            let shape = self.model.input_shape(self.size, self.size);
            let shape = Shape { n: faces * shape.n, ..shape };
            match Session::prepare(&self.engine, &self.model, shape).await {
                Ok(session) => self.several = Some(session),
                Err(why) => {
                    // From now on one at a time.
                    self.chosen = ALONE;
                    self.report.faces = 1;
                    self.tell(&why);
                    return Err(why);
                }
            }
        }
        let missing = || Error::Internal("there is no session for several faces".to_owned());
        let session = self.several.as_mut().ok_or_else(missing)?;
        session.set_control(control);
        // Where there are fewer, the last one again.
        let all =
            || cuts.iter().map(|(_, face, _)| *face).chain(std::iter::repeat(*last)).take(faces);
        if let AlignedPixels::Cpu(_) = first {
            let mut rgb = Vec::with_capacity(faces * self.size * self.size * 3);
            for face in all() {
                rgb.extend_from_slice(face.in_memory()?.as_flattened());
            }
            let restored = session.run_async(&rgb).await?;
            let one = restored.chunks_exact(restored.len() / faces);
            let one = one.take(cuts.len());
            return Ok(one.map(|rgb| AlignedPixels::Cpu(rgb.as_chunks().0.to_vec())).collect());
        }
        let mut restored = Vec::new();
        for _ in 0..faces {
            restored.push(surface.room(self.size).await?);
        }
        let inputs = all().map(AlignedPixels::on_gpu).collect::<Result<Vec<_>>>()?;
        let outputs = restored.iter().map(AlignedPixels::on_gpu).collect::<Result<Vec<_>>>()?;
        session.run_batch_on_gpu(&inputs, &outputs).await?;
        restored.truncate(cuts.len());
        Ok(restored)
    }

    fn tell(&self, why: &Error) {
        let what =
            format!("there is no room for several faces at a time: {why}; each is restored alone");
        #[cfg(not(target_arch = "wasm32"))]
        self.engine.notes().add(what);
        #[cfg(target_arch = "wasm32")]
        log::warn!("{}: {what}", self.engine.device().name);
    }
}

/// What [`Batch::Auto`] is on this device.
fn chosen(engine: &Engine, model: &Model) -> Chosen {
    // GPUs that share the machine's memory have few units, and drivers on the CPU fewer cores.
    if engine.device().kind == "discrete" { chosen_for(model, &engine.target()) } else { ALONE }
}

fn chosen_for(model: &Model, target: &Target) -> Chosen {
    let Some((alone, _)) = share(model, target, 1) else { return ALONE };
    let (mut faces, mut least) = (1, alone);
    while 2 * faces <= MOST_CHOSEN
        && let Some((each, bytes)) = share(model, target, 2 * faces)
        && each <= WORTH * least
        && bytes <= target.memory_budget.unwrap_or(MOST_BYTES)
    {
        (faces, least) = (2 * faces, each);
    }
    Chosen { faces, worth: worth(faces, least / alone) }
}

/// How many faces `model` takes at a time on a discrete GPU, and the fewest for which that pays.
#[doc(hidden)]
pub fn faces_at_a_time(model: &Model, target: &Target) -> [usize; 2] {
    let Chosen { faces, worth } = chosen_for(model, target);
    [faces, worth]
}

/// The fewest faces that take less time in one run of `faces`, each with this part of the time that it
/// takes alone.
fn worth(faces: usize, part: f64) -> usize {
    ((part * faces as f64).floor() as usize + 1).clamp(1, faces)
}

/// What each of `faces` faces takes in one run, as plans of the same network on the same GPU compare, and
/// the bytes of such a session. `None` where there is no such plan, or it is one for the CPU.
fn share(model: &Model, target: &Target, faces: usize) -> Option<(f64, usize)> {
    let shape = model.input_shape(0, 0);
    let shape = Shape { n: faces * shape.n, ..shape };
    let plan = Plan::new(Arc::new(model.graph(shape).ok()?), target.clone()).ok()?;
    let time = match &plan.target.rates {
        Some(rates) => plan.predicted(rates)? + Rates::host(0),
        None => plan.occupied(UNITS)?,
    };
    Some((time / faces as f64, gpu::predict(&plan).ok()?.total()))
}
