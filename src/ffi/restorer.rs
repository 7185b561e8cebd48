//! Restorers of the C ABI.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::image::{Image, Layout};
use super::registry::{self, EngineHandle, ModelHandle, Object, RestorerHandle};
use super::status::{Failure, Status, border};
use super::{write, write_text};
use crate::photo::{self, DetectorOptions, Outcome, PhotoOptions, Picture, Pipeline};
use crate::{Control, Engine, Error, Model};

/// Which faces of a photo are restored.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Which {
    /// Every one.
    All = 0,
    /// The one with the largest distance of the eyes.
    Largest = 1,
    /// The one nearest to the middle of the photo.
    Central = 2,
}

/// How pictures are restored. pentimento_restorer_options_default fills it in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RestorerOptions {
    /// A model that finds faces; then pictures are photos whose faces are found, restored and put
    /// back. 0: none, then every picture is taken for one aligned face, and the result has the
    /// network's size.
    pub detector: ModelHandle,
    /// A model that enlarges what is around the faces of a photo; 0: none.
    pub background: ModelHandle,
    /// A model that says which pixels of a restored face are the face, for blending: a parser; 0:
    /// none, then a soft oval is blended.
    pub parser: ModelHandle,
    /// How much of the restored face is taken, 0 to 1.
    pub strength: f64,
    /// Faces of a photo whose eyes are less than this apart are left, in pixels.
    pub smallest: f64,
    /// The least confidence that makes a face, 0 to 1.
    pub threshold: f32,
    /// Output pixels per pixel of the photo and side, 1 to 4.
    pub scale: u32,
    /// One of pentimento_which.
    pub which: u32,
    /// 1: all faces will be given to pentimento_restore_faces, so that no detector is needed. 0:
    /// what is set here for photos needs a detector.
    pub given_faces: u32,
}

/// A face in a photo.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Both eyes, the tip of the nose, both corners of the mouth, of each pair the one at the left
    /// of an upright face's picture first: x and y in pixels.
    pub landmarks: [[f64; 2]; 5],
    /// Left, top, right, bottom; zeros where they are not known.
    pub bounds: [f32; 4],
    /// The detector's confidence, 0 to 1; 0 where the face was given.
    pub score: f32,
    /// 1 where it was restored, 0 where it was left as it was.
    pub restored: u32,
}

/// Is told how much is done, from 0 to 1, in the thread that restores. Returns 0 to go on, 1 to
/// cancel; anything else fails the call with PENTIMENTO_STATUS_CALLBACK.
pub type ProgressCallback =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, done: f32) -> i32>;

/// Calls a progress callback.
pub type ProgressGuard = Option<
    unsafe extern "C-unwind" fn(callback: ProgressCallback, user: *mut c_void, done: f32) -> i32,
>;

#[derive(Clone, Copy)]
struct Receiver {
    guard: ProgressGuard,
    callback: ProgressCallback,
    user: *mut c_void,
}

// SAFETY: it is called in the thread that called pentimento_restore, which the header says; it is
// C's business that its `user` may be used there.
unsafe impl Send for Receiver {}
// SAFETY: as above; the restorer is locked meanwhile.
unsafe impl Sync for Receiver {}

/// The restorer that a number stands for.
pub struct Restoring {
    pipeline: Pipeline,
    receiver: Option<Receiver>,
    faces: Vec<Outcome>,
    time: Duration,
}

/// Fills in the defaults: one aligned face per picture, all of it taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restorer_options_default(
    options: *mut RestorerOptions,
) -> Status {
    // SAFETY: writable by the caller's promise.
    border(|| unsafe { write(options, "options", defaults()) })
}

fn defaults() -> RestorerOptions {
    let (photo, selection) = (PhotoOptions::default(), DetectorOptions::default());
    RestorerOptions {
        detector: 0,
        background: 0,
        parser: 0,
        strength: photo.strength,
        smallest: photo.smallest,
        threshold: selection.threshold,
        scale: photo.scale as u32,
        which: Which::All as u32,
        given_faces: 0,
    }
}

/// Restores pictures with `model` on `engine`. `options` may be NULL. The restorer keeps what it
/// needs of its engine and models, and is freed with pentimento_restorer_free.
///
/// Where the engine's options name no device and the GPU is lost, the CPU goes on: the call succeeds,
/// the log says so in a line of PENTIMENTO_LOG_LEVEL_WARN, and pentimento_restorer_device names the
/// CPU. Where they name one, the call fails with PENTIMENTO_STATUS_DEVICE_LOST; a new engine opens the
/// device again. Other engines and their restorers go on in both cases.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restorer_new(
    engine: EngineHandle,
    model: ModelHandle,
    options: *const RestorerOptions,
    restorer: *mut RestorerHandle,
) -> Status {
    border(|| {
        let (engine, model) = (registry::engine(engine)?, registry::model(model)?);
        let options = if options.is_null() {
            defaults()
        } else {
            // SAFETY: not NULL, and readable by the caller's promise.
            unsafe { options.read_unaligned() }
        };
        if restorer.is_null() {
            return Err(Failure::null("restorer"));
        }
        let restoring = Restoring::new(engine, model, &options)?;
        let object = Object::Restorer(Arc::new(Mutex::new(restoring)));
        // SAFETY: writable by the caller's promise.
        unsafe { write(restorer, "restorer", registry::insert(object)) }
    })
}

/// Frees a restorer. A call that is at work with it finishes first.
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_restorer_free(restorer: RestorerHandle) -> Status {
    border(|| registry::remove(restorer, registry::restorer))
}

/// Lets `callback` watch the following calls of the restorer; NULL ends it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_set_progress(
    restorer: RestorerHandle,
    callback: ProgressCallback,
    user: *mut c_void,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe { pentimento_set_progress_guarded(restorer, None, callback, user) }
}

/// pentimento_set_progress with a `guard` that calls the callback: how the header contains C++
/// exceptions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_set_progress_guarded(
    restorer: RestorerHandle,
    guard: ProgressGuard,
    callback: ProgressCallback,
    user: *mut c_void,
) -> Status {
    border(|| {
        with(restorer, |restoring| {
            restoring.receiver = callback.is_some().then_some(Receiver { guard, callback, user });
            Ok(())
        })
    })
}

/// Writes the size of the result for a picture of `width` × `height`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restorer_output_size(
    restorer: RestorerHandle,
    width: u32,
    height: u32,
    output_width: *mut u32,
    output_height: *mut u32,
) -> Status {
    border(|| {
        with(restorer, |restoring| {
            let size = restoring.output_size(height as usize, width as usize)?;
            let [height, width] = size.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            // SAFETY: writable by the caller's promise.
            unsafe { write(output_width, "output_width", width) }?;
            // SAFETY: as above.
            unsafe { write(output_height, "output_height", height) }
        })
    })
}

/// Restores a picture. `output` has the size that pentimento_restorer_output_size says; it is
/// written only when the call succeeds, and may be the memory of `input`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restore(
    restorer: RestorerHandle,
    input: *const Image,
    output: *const Image,
) -> Status {
    border(|| {
        with(restorer, |restoring| {
            // SAFETY: as the caller promises.
            unsafe { restoring.restore(input, output, None) }
        })
    })
}

/// Restores a photo whose faces are known: `count` of them at `faces`, of which only the landmarks
/// are read. No detector is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restore_faces(
    restorer: RestorerHandle,
    input: *const Image,
    output: *const Image,
    faces: *const Face,
    count: usize,
) -> Status {
    border(|| {
        if faces.is_null() && count > 0 {
            return Err(Failure::null("faces"));
        }
        let mut given = Vec::new();
        for i in 0..count {
            // SAFETY: `count` faces may be read by the caller's promise.
            let face = unsafe { faces.add(i).read_unaligned() };
            if face.landmarks.as_flattened().iter().any(|v| !v.is_finite()) {
                return Err(Failure::argument(format!("a landmark of face {i} is not a number")));
            }
            given.push(photo::Face { landmarks: face.landmarks, score: None, bounds: None });
        }
        with(restorer, |restoring| {
            // SAFETY: as the caller promises.
            unsafe { restoring.restore(input, output, Some(&given)) }
        })
    })
}

/// Writes the faces of the last photo, from left to right, to `faces`, as many as `capacity` allows,
/// and their number to `count`. `faces` may be NULL when `capacity` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restored_faces(
    restorer: RestorerHandle,
    faces: *mut Face,
    capacity: usize,
    count: *mut usize,
) -> Status {
    border(|| {
        if faces.is_null() && capacity > 0 {
            return Err(Failure::null("faces"));
        }
        with(restorer, |restoring| {
            for (i, outcome) in restoring.faces.iter().take(capacity).enumerate() {
                let face = Face {
                    landmarks: outcome.face.landmarks,
                    bounds: outcome.face.bounds.unwrap_or_default(),
                    score: outcome.face.score.unwrap_or_default(),
                    restored: u32::from(outcome.skipped.is_none()),
                };
                // SAFETY: `capacity` faces may be written by the caller's promise.
                unsafe { faces.add(i).write_unaligned(face) };
            }
            // SAFETY: writable by the caller's promise.
            unsafe { write(count, "count", restoring.faces.len()) }
        })
    })
}

/// Writes the name of the device that restores to `name`, of `capacity` bytes, NUL included: the
/// engine's, or the CPU's where it took the place of a GPU that was lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restorer_device(
    restorer: RestorerHandle,
    name: *mut c_char,
    capacity: usize,
) -> Status {
    border(|| {
        with(restorer, |restoring| {
            let device = restoring.pipeline.engine().device();
            // SAFETY: writable by the caller's promise.
            unsafe { write_text(&device.name, name, capacity) }
        })
    })
}

/// Writes how long the last call took that restored something, in seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_restorer_seconds(
    restorer: RestorerHandle,
    seconds: *mut f64,
) -> Status {
    border(|| {
        with(restorer, |restoring| {
            // SAFETY: writable by the caller's promise.
            unsafe { write(seconds, "seconds", restoring.time.as_secs_f64()) }
        })
    })
}

/// Works with a restorer, alone. A callback that calls back would wait for itself: nobody waits.
fn with(
    restorer: RestorerHandle,
    work: impl FnOnce(&mut Restoring) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let restorer = registry::restorer(restorer)?;
    let mut restoring = match restorer.try_lock() {
        Ok(restoring) => restoring,
        // Its sessions are made anew when a panic took them away.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            let what = "the restorer is at work in another call; use one for each thread";
            return Err(Failure::new(Status::Busy, what));
        }
    };
    work(&mut restoring)
}

impl Restoring {
    fn new(engine: Engine, model: Model, options: &RestorerOptions) -> Result<Self, Failure> {
        let which = match options.which {
            0 => photo::FaceSelection::All,
            1 => photo::FaceSelection::Largest,
            2 => photo::FaceSelection::Central,
            other => return Err(Failure::argument(format!("{other} is not a pentimento_which"))),
        };
        let wanted = |number| (number != 0).then(|| registry::model(number)).transpose();
        let mut builder = Pipeline::builder(&engine, &model).options(PhotoOptions {
            which,
            smallest: options.smallest,
            strength: options.strength,
            scale: options.scale as usize,
            ..PhotoOptions::default()
        });
        if let Some(model) = wanted(options.detector)? {
            let threshold = options.threshold;
            let options = DetectorOptions { threshold, ..DetectorOptions::default() };
            builder = builder.detector(&model, options);
        }
        if let Some(model) = wanted(options.background)? {
            builder = builder.background(&model);
        }
        if let Some(model) = wanted(options.parser)? {
            builder = builder.parser(&model);
        }
        match options.given_faces {
            0 => {}
            1 => builder = builder.given_faces(),
            other => return Err(Failure::argument(format!("given_faces is 0 or 1, not {other}"))),
        }
        let pipeline = builder.or_cpu().build()?;
        let (faces, time) = (Vec::new(), Duration::ZERO);
        Ok(Self { pipeline, receiver: None, faces, time })
    }

    fn output_size(&self, height: usize, width: usize) -> Result<[usize; 2], Error> {
        self.pipeline.output_size(height, width)
    }

    /// # Safety
    /// What both images point to may be used as the header says.
    unsafe fn restore(
        &mut self,
        input: *const Image,
        output: *const Image,
        given: Option<&[photo::Face]>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        // SAFETY: as the caller promises.
        let input = unsafe { Layout::new(input, "input") }?;
        // SAFETY: as above.
        let output = unsafe { Layout::new(output, "output") }?;
        let size = match given {
            Some(_) => {
                [input.height, input.width].map(|n| n.saturating_mul(self.pipeline.options().scale))
            }
            None => self.output_size(input.height, input.width)?,
        };
        if size != [output.height, output.width] {
            return Err(Failure::argument(format!(
                "the output has {} × {} pixels, the result would have {} × {}",
                output.width, output.height, size[1], size[0]
            )));
        }
        // SAFETY: as above.
        let picture = unsafe { input.read() }?;
        let failed = Arc::new(AtomicBool::new(false));
        let control = self.receiver.map(|receiver| control(receiver, Arc::clone(&failed)));
        let restored = self.run(&picture, given, control).map_err(|error| {
            if failed.load(Ordering::Relaxed) {
                return Failure::new(Status::Callback, "the progress callback failed");
            }
            Failure::from(error)
        })?;
        // SAFETY: as above; `input` was copied, so that both may be one.
        unsafe { output.write(&restored) }?;
        self.time = start.elapsed();
        Ok(())
    }

    fn run(
        &mut self,
        picture: &Picture,
        given: Option<&[photo::Face]>,
        control: Option<Control>,
    ) -> Result<Picture, Error> {
        self.faces.clear();
        self.pipeline.set_control(control);
        let restored = self.pipeline.restore(picture, given)?;
        self.faces = restored.faces.unwrap_or_default();
        Ok(restored.picture)
    }
}

/// Asks C's callback; what it says beside 0 and 1 is a failure of its own.
fn control(receiver: Receiver, failed: Arc<AtomicBool>) -> Control {
    Control::with_progress(move |done| {
        // The whole, so that its being sent is what was promised.
        let Receiver { guard, callback, user } = { receiver };
        // SAFETY: the pointers were given for this.
        let answer = unsafe {
            match (guard, callback) {
                (Some(guard), callback) => guard(callback, user, done),
                (None, Some(callback)) => callback(user, done),
                (None, None) => 0,
            }
        };
        match answer {
            0 => ControlFlow::Continue(()),
            1 => ControlFlow::Break(()),
            _ => {
                failed.store(true, Ordering::Relaxed);
                ControlFlow::Break(())
            }
        }
    })
}
