//! Which faces of a picture are restored, and how.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pentimento::photo::{
    Batch, BatchReport, BlendMask, Cuts, DetectorOptions, Face, FaceSelection, GivenFaces, Outcome,
    PageKind, PhotoOptions, Picture, Pipeline, PipelineBuilder, Restoration, Tracker,
};
use pentimento::{Engine, Error, Model, Result, Task};

use super::output::with_flags;
use super::read::plain_file;
use super::report::Work;
use super::{model, value};

/// What is done with the faces in a picture.
#[derive(Args, Debug)]
#[command(next_help_heading = "Faces")]
pub struct FaceArgs {
    /// Take every picture for one aligned face, cut out square
    #[arg(long)]
    aligned: bool,

    /// Detector: a model file, the name of a model that was pulled, or "default". Without this,
    /// the default one, weights/face-detector.safetensors, or where it is missing one that was
    /// pulled.
    #[arg(long, value_name = "MODEL", conflicts_with = "aligned")]
    detector: Option<PathBuf>,

    /// The least confidence that makes a face, 0 to 1. Without this, what suits the detector.
    #[arg(long, value_name = "SCORE", value_parser = value::fraction, conflicts_with = "aligned")]
    threshold: Option<f32>,

    /// Take the faces from this file instead of searching them: what --report writes, or
    /// {"faces": [{"landmarks": [[x, y], …]}, {"bounds": [left, top, right, bottom]}]} for any
    /// picture
    #[arg(long, value_name = "FILE", conflicts_with = "aligned")]
    faces: Option<PathBuf>,

    /// Restore only one face: "largest" or "central"
    #[arg(long, value_name = "WHICH", value_parser = which, conflicts_with = "aligned")]
    only: Option<FaceSelection>,

    /// Leave faces whose eyes are less than this apart
    #[arg(long, value_name = "PIXELS", default_value_t = 5.0, conflicts_with = "aligned")]
    smallest: f64,

    /// How much of the restored face is taken, 0 to 1
    #[arg(long, value_name = "PART", value_parser = value::fraction, default_value_t = 1.0,
          conflicts_with = "aligned")]
    strength: f32,

    /// How much of the photo's grain goes over restored faces that lack it, 0 to 1
    #[arg(long, value_name = "PART", value_parser = value::fraction, default_value_t = 0.5,
          conflicts_with = "aligned")]
    grain: f32,

    /// Parser that says which pixels are the face, for blending: a file, or the name of a model
    /// that was pulled. Without this, one that was pulled, or else a soft oval is blended.
    #[arg(long, value_name = "MODEL", conflicts_with = "aligned")]
    parser: Option<PathBuf>,

    /// What is blended in of a restored face: "face", the pixels that a parser takes for it; "oval",
    /// a soft oval around its landmarks; "square", all but a soft border. Without this, the first
    /// where there is a parser, else the second.
    #[arg(long, value_name = "MASK", value_parser = mask, conflicts_with = "aligned")]
    mask: Option<BlendMask>,

    /// Enlarge the picture 1, 2, 3 or 4 times
    #[arg(long, value_name = "FACTOR", value_parser = clap::value_parser!(u8).range(1..=4),
          default_value_t = 1, conflicts_with = "aligned")]
    scale: u8,

    /// For frames of a film, in a folder or from --y4m: how much the places of faces are smoothed
    /// from frame to frame, 0 to 1. Without this 0 for pictures and 0.85 for --y4m.
    #[arg(long, value_name = "AMOUNT", value_parser = value::fraction, conflicts_with = "aligned")]
    smooth: Option<f32>,

    /// Upscaling model for what is around the faces: a file, or the name of a model that was
    /// pulled. Without this, the picture is enlarged by Lanczos' filter.
    #[arg(long, value_name = "MODEL", conflicts_with = "aligned")]
    background: Option<PathBuf>,
}

fn which(text: &str) -> std::result::Result<FaceSelection, String> {
    match text {
        "largest" => Ok(FaceSelection::Largest),
        "central" => Ok(FaceSelection::Central),
        _ => Err("expected largest or central".to_owned()),
    }
}

fn mask(text: &str) -> std::result::Result<BlendMask, String> {
    match text {
        "face" => Ok(BlendMask::Face),
        "oval" => Ok(BlendMask::Oval),
        "square" => Ok(BlendMask::Square),
        _ => Err("expected face, oval or square".to_owned()),
    }
}

/// What restores pictures.
pub struct Worker {
    pipeline: Pipeline,
    /// Why pictures are not taken for photos, where that was not asked for.
    note: Option<&'static str>,
    given: Option<GivenFaces>,
    film: Option<Film>,
}

/// The frames of a film while they go by.
pub struct Film {
    tracker: Tracker,
    cuts: Cuts,
    amount: f64,
    /// Where the frames are: each folder holds a film of its own.
    folder: PathBuf,
}

/// How much landmarks are smoothed in films; see [`Tracker`].
const FILM: f64 = 0.85;

const NO_PARSER: &str = "there is no parser that says which pixels are the face; `pentimento models \
                         pull parsenet` fetches one, or use another --mask";
const NO_DETECTOR: &str = "there is no detector, it is taken for one aligned face; `pentimento \
                           models pull yunet` fetches one";

/// A restored picture and how it came about.
pub struct Finished {
    pub picture: Picture,
    pub work: Work,
    pub faces: Option<Vec<Outcome>>,
}

impl FaceArgs {
    /// Every file that results depend on.
    ///
    /// # Errors
    /// As [`model::named`].
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let background = self.background.as_deref().map(model::named).transpose()?;
        let networks =
            [model::detector(self.detector.as_deref())?, model::parser(self.parser.as_deref())?];
        Ok(networks.into_iter().flatten().chain(background).chain(self.faces.clone()).collect())
    }

    /// The files that are named for the faces.
    pub fn given(&self) -> impl Iterator<Item = &Path> {
        let Self { detector, parser, background, faces, .. } = self;
        [detector, parser, background, faces].into_iter().flatten().map(PathBuf::as_path)
    }

    /// What these arguments ask for. Without any detector, pictures are taken for aligned faces.
    ///
    /// # Errors
    /// As [`PipelineBuilder::build`](pentimento::photo::PipelineBuilder::build) and [`Model::open`];
    /// [`Error::Input`] when the faces' file is not a list of faces.
    pub fn worker(&self, engine: &Engine, model: &Model, batch: Batch) -> Result<Worker> {
        self.ready(engine, model, batch, |builder| builder)
    }

    /// The same for the frames of a film, in which the places of faces are smoothed from frame to
    /// frame. Where nobody named a device and the best one is lost, the CPU restores the rest.
    ///
    /// # Errors
    /// As [`worker`](Self::worker).
    pub fn film_worker(&self, engine: &Engine, model: &Model, batch: Batch) -> Result<Worker> {
        let mut worker = self.ready(engine, model, batch, PipelineBuilder::or_cpu)?;
        worker.film.get_or_insert_with(|| Film::new(FILM));
        Ok(worker)
    }

    fn ready(
        &self,
        engine: &Engine,
        model: &Model,
        batch: Batch,
        finish: impl Fn(PipelineBuilder) -> PipelineBuilder,
    ) -> Result<Worker> {
        let is_face_model = matches!(model.task(), Task::RestoreFace { .. });
        let given = self.faces.as_deref().map(given).transpose()?;
        let detector = match &self.detector {
            None if self.aligned || !is_face_model => None,
            named => model::detector(named.as_deref())?,
        };
        let is_photo = detector.is_some() || given.is_some();
        let mut builder = Pipeline::builder(engine, model).options(self.options()).batch(batch);
        if let Some(path) = detector {
            let mut options = DetectorOptions::default();
            options.threshold = self.threshold.unwrap_or(options.threshold);
            builder = builder.detector(&Model::open(path)?, options);
        }
        if given.is_some() {
            builder = builder.given_faces();
        }
        if let Some(path) = &self.background {
            builder = builder.background(&Model::open(model::named(path)?)?);
        }
        let looks_for_one = is_photo && matches!(self.mask, None | Some(BlendMask::Face));
        let parser = match &self.parser {
            None if !looks_for_one => None,
            named => model::parser(named.as_deref())?,
        };
        match parser {
            Some(path) => builder = builder.parser(&Model::open(path)?),
            None if is_photo && self.mask == Some(BlendMask::Face) => {
                return Err(Error::Input(NO_PARSER.to_owned()));
            }
            None => {}
        }
        let pipeline = finish(builder).build()?;
        let is_missing = is_face_model && !self.aligned && !is_photo;
        let note = is_missing.then_some(NO_DETECTOR);
        let film = self.smooth.map(|amount| Film::new(amount.into()));
        Ok(Worker { pipeline, note, given, film })
    }

    fn options(&self) -> PhotoOptions {
        PhotoOptions {
            which: self.only.unwrap_or_default(),
            smallest: self.smallest,
            strength: self.strength.into(),
            scale: self.scale.into(),
            grain: self.grain.into(),
            mask: self.mask.unwrap_or_default(),
        }
    }

    /// Whether a result depends on the pictures before it.
    pub fn is_film(&self) -> bool {
        self.smooth.is_some_and(|amount| amount > 0.0)
    }
}

impl Worker {
    /// Height and width of the result for a picture of `height × width`.
    ///
    /// # Errors
    /// As [`Pipeline::output_size`].
    pub fn output_size(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        self.pipeline.output_size(height, width)
    }

    /// What was found out about its device since the last call; see [`Engine::take_notes`].
    pub fn take_notes(&self) -> Vec<String> {
        self.pipeline.engine().take_notes()
    }

    /// Begins a file of several pictures: what is known of faces before and behind it does not
    /// concern it. [`end`](Self::end) takes what this returns.
    pub fn begin(&mut self, kind: PageKind) -> Option<Film> {
        let amount = self.film.as_ref().map_or(FILM, |film| film.amount);
        let film = (kind == PageKind::Frame).then(|| Film::new(amount));
        std::mem::replace(&mut self.film, film)
    }

    /// Ends a file of several pictures.
    pub fn end(&mut self, film: Option<Film>) {
        self.film = film;
    }

    /// Restores the picture that was read from `input`, in a file of several the one of this index.
    ///
    /// # Errors
    /// As [`Pipeline::restore`].
    pub fn restore(&mut self, input: &Path, index: usize, picture: &Picture) -> Result<Finished> {
        let faces = self.places(input, index, picture)?;
        let restored = self.pipeline.restore(picture, faces.as_deref())?;
        Ok(self.finished(restored))
    }

    /// Restores photos as [`restore`](Self::restore) does each of them, several faces at a time.
    pub fn restore_all(&mut self, photos: &[(&Path, usize, &Picture)]) -> Vec<Result<Finished>> {
        let found: Vec<_> =
            photos.iter().map(|(input, index, photo)| self.places(input, *index, photo)).collect();
        let known = photos.iter().zip(&found);
        let known: Vec<_> = known
            .filter_map(|((.., photo), faces)| Some((*photo, faces.as_ref().ok()?.as_deref())))
            .collect();
        let mut restored = self.pipeline.restore_all(&known).into_iter();
        let missing = || Error::Internal("a photo has no result".to_owned());
        let finished = found.into_iter().map(|faces| {
            faces?;
            Ok(self.finished(restored.next().unwrap_or_else(|| Err(missing()))?))
        });
        finished.collect()
    }

    /// How many faces the network takes at a time, and how many it has restored so; `None` where
    /// pictures are no photos.
    pub fn batch(&self) -> Option<BatchReport> {
        self.pipeline.batch()
    }

    /// How many photos it gains by having at the same time. The frames of a film depend on each other.
    pub fn at_a_time(&self) -> usize {
        self.batch().filter(|_| self.film.is_none()).map_or(1, |batch| batch.faces)
    }

    fn finished(&self, restored: Restoration) -> Finished {
        let Restoration { picture, faces, tiles, notes, .. } = restored;
        let mut notes: Vec<String> = notes.iter().map(|note| with_flags(note)).collect();
        notes.extend(self.note.map(str::to_owned));
        if faces.as_ref().is_some_and(Vec::is_empty) {
            notes.push("no face was found in it; --aligned takes it for one".to_owned());
        }
        for (i, face) in faces.iter().flatten().enumerate() {
            if let Some(why) = &face.skipped {
                notes.push(format!("face {} from the left was skipped: {why}", i + 1));
            } else if face.printed {
                notes.push(format!(
                    "face {} from the left is a print; its dots are averaged",
                    i + 1
                ));
            }
        }
        Finished { picture, work: Work { tiles, notes }, faces }
    }

    /// Where the faces of a photo are; `None` for a picture that is restored as a whole.
    fn places(
        &mut self,
        input: &Path,
        index: usize,
        picture: &Picture,
    ) -> Result<Option<Vec<Face>>> {
        if !self.pipeline.is_photo() {
            return Ok(None);
        }
        let mut faces = match self.given.as_ref().and_then(|given| given.of(input, index)) {
            Some(given) => self.pipeline.locate(picture, given)?,
            None => self.pipeline.find(picture)?,
        };
        if let Some(film) = &mut self.film {
            film.smooth(input, picture, &mut faces);
        }
        Ok(Some(faces))
    }
}

impl Film {
    fn new(amount: f64) -> Self {
        let (tracker, cuts) = (Tracker::new(amount), Cuts::default());
        Self { tracker, cuts, amount, folder: PathBuf::new() }
    }

    /// Moves the faces of the frame at `path`, the next one of its folder, to where they are shown.
    /// A cut ends what was known of them.
    fn smooth(&mut self, path: &Path, frame: &Picture, faces: &mut [Face]) {
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.folder != folder {
            *self = Self { folder: folder.to_owned(), ..Self::new(self.amount) };
        }
        if self.cuts.begins_with(frame) {
            self.tracker.forget();
        }
        self.tracker.smooth(faces);
    }
}

/// A report of a hundred thousand faces is shorter.
const LONGEST: u64 = 64 << 20;

fn given(path: &Path) -> Result<GivenFaces> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let wrong = |what: &str| Error::Input(format!("{}: {what}", path.display()));
    if plain_file(path)?.len() > LONGEST {
        return Err(wrong("is too long for a list of faces"));
    }
    GivenFaces::parse(&fs::read(path).map_err(io)?).map_err(|what| wrong(&what))
}
