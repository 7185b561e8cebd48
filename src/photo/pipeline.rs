//! One front door: from a picture to its result, with whatever networks take part. The command line,
//! C, Python and the browser make their restorers here, so that their checks cannot differ.

use super::faces::NOBODY;
use super::options::{BlendMask, PhotoOptions};
use super::{
    AlignedFace, Batch, BatchReport, Detector, DetectorOptions, Face, FaceParser, GivenFace,
    Outcome, PhotoRestorer, Picture, Restored, RestoredPhoto, Restorer, TileReport,
};
use crate::{Control, Engine, Error, Model, Result, Session, Task};

/// Restores pictures: photos face by face where there is a detector or faces are given, otherwise
/// each picture as a whole. Keeps its sessions.
///
/// ```
/// use pentimento::photo::{DetectorOptions, PhotoOptions, Picture, Pipeline};
/// use pentimento::{Engine, EngineOptions, Model};
///
/// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
/// let model = Model::open("weights/mmrbnet-256.safetensors")?;
/// let detector = Model::open("weights/face-detector.safetensors")?;
/// let mut pipeline = Pipeline::builder(&engine, &model)
///     .detector(&detector, DetectorOptions::default())
///     .options(PhotoOptions { scale: 2, ..PhotoOptions::default() })
///     .build()?;
/// let rgb = vec![128; 60 * 80 * 3];
/// let photo = Picture { height: 60, width: 80, rgb, alpha: None, icc: None };
/// let restoration = pipeline.restore(&photo, None)?;
/// assert_eq!((restoration.picture.height, restoration.picture.width), (120, 160));
/// assert!(restoration.faces.is_some_and(|faces| faces.is_empty()));
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct Pipeline {
    engine: Engine,
    model: Model,
    options: PhotoOptions,
    batch: Batch,
    whole: Restorer,
    /// There from the start where pictures are photos, otherwise from the first given faces on.
    photo: Option<PhotoRestorer>,
    is_photo: bool,
    /// How the pipeline is made again for the CPU, where that was asked for.
    again: Option<Box<PipelineBuilder>>,
    /// Says that the CPU has taken the place of the device, until the next restoration does.
    replaced: Option<String>,
}

/// Builds a [`Pipeline`]; see [`Pipeline::builder`].
#[derive(Clone)]
#[must_use]
pub struct PipelineBuilder {
    engine: Engine,
    model: Model,
    detector: Option<(Model, DetectorOptions)>,
    background: Option<Model>,
    parser: Option<Model>,
    options: PhotoOptions,
    batch: Batch,
    given_faces: bool,
    or_cpu: bool,
}

/// A restored picture and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restoration {
    /// The result.
    pub picture: Picture,
    /// Of a photo: every face that was found or given, from left to right.
    pub faces: Option<Vec<Outcome>>,
    /// Of a picture that was restored as a whole: how it was computed.
    pub tiles: Option<TileReport>,
    /// Notes for a person about the result.
    pub notes: Vec<String>,
}

impl Restoration {
    fn of(RestoredPhoto { picture, faces, notes }: RestoredPhoto) -> Self {
        Self { picture, faces: Some(faces), tiles: None, notes }
    }
}

impl PipelineBuilder {
    /// Finds faces with `model`, a detector: pictures are then photos.
    pub fn detector(self, model: &Model, options: DetectorOptions) -> Self {
        Self { detector: Some((model.clone(), options)), ..self }
    }

    /// Enlarges what is around the faces of a photo with `model`, one that upscales. Without it, the
    /// photo is enlarged by Lanczos' filter.
    pub fn background(self, model: &Model) -> Self {
        Self { background: Some(model.clone()), ..self }
    }

    /// Blends restored faces where `model`, a parser, sees them. Without it, a soft oval is blended.
    pub fn parser(self, model: &Model) -> Self {
        Self { parser: Some(model.clone()), ..self }
    }

    /// Sets the options for photos.
    pub fn options(self, options: PhotoOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets how many faces of photos the network takes at a time.
    pub fn batch(self, batch: Batch) -> Self {
        Self { batch, ..self }
    }

    /// Pictures are photos whose faces will be given; no detector is needed.
    pub fn given_faces(self) -> Self {
        Self { given_faces: true, ..self }
    }

    /// Goes on with the CPU when the device is lost or fails, where [`EngineOptions::device`] names
    /// none. The picture is begun anew, and its notes say so; [`Pipeline::engine`] is then another.
    /// Without this, or on a device that was named, the loss is an error.
    ///
    /// [`EngineOptions::device`]: crate::EngineOptions::device
    pub fn or_cpu(self) -> Self {
        Self { or_cpu: true, ..self }
    }

    /// Makes everything ready that does not depend on a picture's size.
    ///
    /// # Errors
    /// [`Error::Input`] when a model is of another kind than its part needs, an option is out of its
    /// range, or something was set that nothing would use; as [`Session::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build(self) -> Result<Pipeline> {
        crate::blocking::block_on(self.prepare())
    }

    /// [`PipelineBuilder::build`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`PipelineBuilder::build`].
    pub async fn prepare(self) -> Result<Pipeline> {
        self.check()?;
        if !self.or_cpu {
            return self.make().await;
        }
        let mut pipeline = match self.clone().make().await {
            Err(error) => match self.engine.spare(&error) {
                Some((engine, _)) => Self { engine, ..self.clone() }.make().await?,
                None => return Err(error),
            },
            made => made?,
        };
        pipeline.again = Some(Box::new(self));
        Ok(pipeline)
    }

    async fn make(self) -> Result<Pipeline> {
        let Self {
            engine, model, detector, background, parser, options, batch, given_faces, ..
        } = self;
        let whole = Restorer::new(&engine, &model);
        let is_photo = detector.is_some() || given_faces;
        let (photo, again, replaced) = (None, None, None);
        let mut pipeline =
            Pipeline { engine, model, options, batch, whole, photo, is_photo, again, replaced };
        if !is_photo {
            return Ok(pipeline);
        }
        let engine = &pipeline.engine;
        let detector = match detector {
            Some((model, options)) => Some(Detector::new(engine, &model, options)?),
            None => None,
        };
        let background = background.map(|model| Restorer::new(engine, &model));
        let parser = match parser {
            Some(model) => Some(FaceParser::prepare(engine, &model).await?),
            None => None,
        };
        let mut photo =
            PhotoRestorer::prepare(engine, &pipeline.model, detector, background, options).await?;
        photo = photo.with_batch(batch)?;
        if let Some(parser) = parser {
            photo = photo.with_parser(parser);
        }
        pipeline.photo = Some(photo);
        Ok(pipeline)
    }

    fn check(&self) -> Result<()> {
        let whole = Restorer::new(&self.engine, &self.model);
        // Says at once when the model is of another kind.
        whole.output_size(1, 1)?;
        self.batch.check()?;
        let set = self.set();
        let is_face_model = matches!(self.model.task(), Task::RestoreFace { .. });
        if !is_face_model && (self.detector.is_some() || self.given_faces || !set.is_empty()) {
            let name = self.model.architecture();
            return Err(Error::Input(format!("{name} restores no faces; use a face model")));
        }
        if self.detector.is_none() && !self.given_faces && !set.is_empty() {
            let verb = if set.len() == 1 { "needs" } else { "need" };
            let set = set.join(" and ");
            let what = format!("{set} {verb} a detector, or faces that are given");
            return Err(Error::Input(what));
        }
        if self.parser.is_some() && self.options.mask != BlendMask::Face {
            let what = "a parser is of use to the mask \"face\" alone; leave one of them out";
            return Err(Error::Input(what.to_owned()));
        }
        Ok(())
    }

    /// Names of what was set that only photos use.
    fn set(&self) -> Vec<&'static str> {
        let (options, default) = (&self.options, PhotoOptions::default());
        let all = [
            (self.background.is_some(), "background"),
            (self.parser.is_some(), "parser"),
            (options.which != default.which, "which"),
            (options.smallest != default.smallest, "smallest"),
            (options.strength != default.strength, "strength"),
            (options.scale != default.scale, "scale"),
            (options.grain != default.grain, "grain"),
            (options.mask != default.mask, "mask"),
        ];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect()
    }
}

impl Pipeline {
    /// Restores with `model` on `engine`.
    pub fn builder(engine: &Engine, model: &Model) -> PipelineBuilder {
        PipelineBuilder {
            engine: engine.clone(),
            model: model.clone(),
            detector: None,
            background: None,
            parser: None,
            options: PhotoOptions::default(),
            batch: Batch::default(),
            given_faces: false,
            or_cpu: false,
        }
    }

    /// The engine that restores: the one that was given, or the CPU's after
    /// [`PipelineBuilder::or_cpu`] took its place.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether pictures are photos, of which the faces are restored.
    pub fn is_photo(&self) -> bool {
        self.is_photo
    }

    /// The options for photos.
    pub fn options(&self) -> &PhotoOptions {
        &self.options
    }

    /// Sets the options for the following photos.
    ///
    /// # Errors
    /// [`Error::Input`] when an option is out of its range, or when pictures are not photos.
    pub fn set_options(&mut self, options: PhotoOptions) -> Result<()> {
        let Some(photo) = self.photo.as_mut().filter(|_| self.is_photo) else {
            let what = "these options need a detector, or faces that are given";
            return Err(Error::Input(what.to_owned()));
        };
        photo.set_options(options)?;
        self.options = options;
        Ok(())
    }

    /// Lets `control` watch the following pictures, and cancel them.
    pub fn set_control(&mut self, control: Option<Control>) {
        self.whole.set_control(control.clone());
        if let Some(photo) = &mut self.photo {
            photo.set_control(control);
        }
    }

    /// Height and width of the result for a picture of `height × width` whose faces are not given.
    ///
    /// # Errors
    /// As [`Restorer::output_size`].
    pub fn output_size(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        match self.photo.as_ref().filter(|_| self.is_photo) {
            Some(photo) => Ok(photo.output_size(height, width)),
            None => self.whole.output_size(height, width),
        }
    }

    /// Whether the network that restores faces of photos times its steps; see
    /// [`Session::time_steps`].
    pub fn time_steps(&mut self, wanted: bool) {
        if let Some(photo) = &mut self.photo {
            photo.time_steps(wanted);
        }
    }

    /// How many faces of photos the network takes at a time, and how many it has restored so; `None`
    /// where pictures are no photos.
    pub fn batch(&self) -> Option<BatchReport> {
        self.photo.as_ref().map(PhotoRestorer::batch)
    }

    /// The session of the network that restores faces of photos.
    #[doc(hidden)]
    pub fn session(&self) -> Option<&Session> {
        self.photo.as_ref().map(PhotoRestorer::session)
    }

    /// The faces of `photo` that the detector finds.
    ///
    /// # Errors
    /// As [`Detector::detect`]; [`Error::Input`] when there is no detector.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        crate::blocking::block_on(self.find_async(photo))
    }

    /// [`Pipeline::find`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Pipeline::find`].
    pub async fn find_async(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        let found = self.found(photo).await;
        if self.is_replaced_after(&found).await? { self.found(photo).await } else { found }
    }

    async fn found(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        self.photo().await?.find_async(photo).await
    }

    /// The faces that are `given`; see [`PhotoRestorer::locate`].
    ///
    /// # Errors
    /// As [`Detector::detect`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn locate(&mut self, photo: &Picture, given: &[GivenFace]) -> Result<Vec<Face>> {
        crate::blocking::block_on(self.locate_async(photo, given))
    }

    /// [`Pipeline::locate`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn locate_async(
        &mut self,
        photo: &Picture,
        given: &[GivenFace],
    ) -> Result<Vec<Face>> {
        let located = self.located(photo, given).await;
        if self.is_replaced_after(&located).await? {
            self.located(photo, given).await
        } else {
            located
        }
    }

    async fn located(&mut self, photo: &Picture, given: &[GivenFace]) -> Result<Vec<Face>> {
        self.photo().await?.locate_async(photo, given).await
    }

    /// Restores `picture`: the faces that are `given`, or those that the detector finds, or where
    /// there is neither, all of it.
    ///
    /// # Errors
    /// As [`Restorer::restore`] and [`PhotoRestorer::restore`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore(&mut self, picture: &Picture, given: Option<&[Face]>) -> Result<Restoration> {
        crate::blocking::block_on(self.run(picture, given, NOBODY))
    }

    /// [`Pipeline::restore`] for programs with an async runtime. `show` is called for every face as
    /// soon as it is done; see [`PhotoRestorer::restore_async`]. After [`PipelineBuilder::or_cpu`] took
    /// the place of the device, it is called for all faces again.
    ///
    /// # Errors
    /// As [`Pipeline::restore`].
    pub async fn restore_async(
        &mut self,
        picture: &Picture,
        given: Option<&[Face]>,
        show: impl FnMut(&Outcome, Option<&AlignedFace>),
    ) -> Result<Restoration> {
        self.run(picture, given, Some(show)).await
    }

    /// Restores photos as [`Pipeline::restore`] does each of them, as many faces at a time as its
    /// [`Batch`] says. A photo that fails fails alone. Pictures that are no photos are restored one after
    /// the other.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore_all(
        &mut self,
        pictures: &[(&Picture, Option<&[Face]>)],
    ) -> Vec<Result<Restoration>> {
        crate::blocking::block_on(self.restore_all_async(pictures))
    }

    /// [`Pipeline::restore_all`] for programs with an async runtime.
    pub async fn restore_all_async(
        &mut self,
        pictures: &[(&Picture, Option<&[Face]>)],
    ) -> Vec<Result<Restoration>> {
        if let (true, Some(photo)) = (self.is_photo, &mut self.photo) {
            let restored = photo.restore_all_async(pictures).await.into_iter();
            return restored.map(|restored| restored.map(Restoration::of)).collect();
        }
        let mut restored = Vec::new();
        for (picture, given) in pictures {
            restored.push(self.run(picture, *given, NOBODY).await);
        }
        restored
    }

    async fn run(
        &mut self,
        picture: &Picture,
        given: Option<&[Face]>,
        mut show: Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) -> Result<Restoration> {
        let mut restored = self.restored(picture, given, show.as_mut()).await;
        if self.is_replaced_after(&restored).await? {
            restored = self.restored(picture, given, show.as_mut()).await;
        }
        let mut restoration = restored?;
        restoration.notes.extend(self.replaced.take());
        Ok(restoration)
    }

    /// Whether the CPU has taken the place of the device, which gave this error.
    ///
    /// # Errors
    /// When nothing can be made ready on the CPU.
    async fn is_replaced_after<T>(&mut self, result: &Result<T>) -> Result<bool> {
        let (Err(error), Some(again)) = (result, &self.again) else { return Ok(false) };
        let Some((engine, replaced)) = self.engine.spare(error) else { return Ok(false) };
        let builder = PipelineBuilder { engine, options: self.options, ..(**again).clone() };
        let mut pipeline = builder.make().await?;
        pipeline.set_control(self.whole.control());
        (pipeline.again, pipeline.replaced) = (self.again.take(), Some(replaced));
        *self = pipeline;
        Ok(true)
    }

    async fn restored(
        &mut self,
        picture: &Picture,
        given: Option<&[Face]>,
        show: Option<impl FnMut(&Outcome, Option<&AlignedFace>)>,
    ) -> Result<Restoration> {
        if given.is_none() && !self.is_photo {
            let Restored { picture, tiles, notes } = self.whole.restore_async(picture).await?;
            return Ok(Restoration { picture, faces: None, tiles: Some(tiles), notes });
        }
        Ok(Restoration::of(self.photo().await?.run(picture, given, show).await?))
    }

    /// What restores photos, made now where it is not there yet.
    async fn photo(&mut self) -> Result<&mut PhotoRestorer> {
        let made = match self.photo.take() {
            Some(photo) => photo,
            None => {
                let (engine, model) = (&self.engine, &self.model);
                let mut made =
                    PhotoRestorer::prepare(engine, model, None, None, self.options).await?;
                made.set_control(self.whole.control());
                made.with_batch(self.batch)?
            }
        };
        Ok(self.photo.insert(made))
    }
}
