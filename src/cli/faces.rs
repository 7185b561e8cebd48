//! Which faces of a picture are restored, and how.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pentimento::photo::{
    BlendMask, Detector, DetectorOptions, Face, FaceParser, FaceSelection, GivenFaces, Outcome,
    PhotoOptions, PhotoRestorer, Picture, Restored, Restorer, TileReport, Tracker,
};
use pentimento::{Engine, Error, Model, Result, Task};

use super::output::with_flags;
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
pub enum Worker {
    /// Sees a picture as a whole; the note says why, where that was not asked for.
    Picture { restorer: Box<Restorer>, note: Option<&'static str> },
    /// Looks for faces, or is told where they are.
    Photo { restorer: Box<PhotoRestorer>, given: Option<GivenFaces>, film: Option<Film> },
}

/// The frames of a film while they go by.
pub struct Film {
    tracker: Tracker,
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
    pub work: TileReport,
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

    /// What these arguments ask for. Without any detector, pictures are taken for aligned faces.
    ///
    /// # Errors
    /// [`Error::Input`] when the model restores no pictures or the faces' file is no such file; as
    /// [`Model::open`].
    pub fn worker(&self, engine: &Engine, model: &Model) -> Result<Worker> {
        let whole = Restorer::new(engine, model);
        // Says at once when the model is of another kind.
        whole.output_size(1, 1)?;
        if self.aligned || !matches!(model.task(), Task::RestoreFace { .. }) {
            return Ok(Worker::Picture { restorer: Box::new(whole), note: None });
        }
        let given = self.faces.as_deref().map(given).transpose()?;
        let detector = match model::detector(self.detector.as_deref())? {
            Some(path) => {
                let mut selection = DetectorOptions::default();
                if let Some(threshold) = self.threshold {
                    selection.threshold = threshold;
                }
                Some(Detector::new(engine, &Model::open(path)?, selection)?)
            }
            None => None,
        };
        if detector.is_none() && given.is_none() {
            return Ok(Worker::Picture { restorer: Box::new(whole), note: Some(NO_DETECTOR) });
        }
        let background = match &self.background {
            Some(path) => Some(Restorer::new(engine, &Model::open(model::named(path)?)?)),
            None => None,
        };
        let options = PhotoOptions {
            which: self.only.unwrap_or_default(),
            smallest: self.smallest,
            strength: self.strength.into(),
            scale: self.scale.into(),
            grain: self.grain.into(),
            mask: self.mask.unwrap_or_default(),
        };
        let mut restorer = PhotoRestorer::new(engine, model, detector, background, options)?;
        let parser = match self.mask {
            None | Some(BlendMask::Face) => model::parser(self.parser.as_deref())?,
            Some(BlendMask::Oval | BlendMask::Square) => None,
        };
        match parser {
            Some(path) => {
                restorer = restorer.with_parser(FaceParser::new(engine, &Model::open(path)?)?);
            }
            None if self.mask == Some(BlendMask::Face) => {
                return Err(Error::Input(NO_PARSER.to_owned()));
            }
            None => {}
        }
        let film = self.smooth.map(|amount| Film::new(amount.into()));
        Ok(Worker::Photo { restorer: Box::new(restorer), given, film })
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
    /// As [`Restorer::output_size`].
    pub fn output_size(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        match self {
            Worker::Picture { restorer, .. } => restorer.output_size(height, width),
            Worker::Photo { restorer, .. } => Ok(restorer.output_size(height, width)),
        }
    }

    /// Smooths the places of faces from picture to picture, as by default in a film.
    pub fn expect_film(&mut self) {
        if let Worker::Photo { film, .. } = self {
            film.get_or_insert_with(|| Film::new(FILM));
        }
    }

    /// Restores the picture that was read from `input`.
    ///
    /// # Errors
    /// As [`Restorer::restore`] and [`PhotoRestorer::restore`].
    pub fn restore(&mut self, input: &Path, picture: &Picture) -> Result<Finished> {
        match self {
            Worker::Picture { restorer, note } => {
                let Restored { picture, mut work } = restorer.restore(picture)?;
                work.notes = work.notes.iter().map(|note| with_flags(note)).collect();
                work.notes.extend(note.map(str::to_owned));
                Ok(Finished { picture, work, faces: None })
            }
            Worker::Photo { restorer, given, film } => {
                let given = given.as_ref().and_then(|given| given.of(input));
                let mut faces = match given {
                    Some(faces) => restorer.locate(picture, faces)?,
                    None => restorer.find(picture)?,
                };
                if let Some(film) = film {
                    film.smooth(input, &mut faces);
                }
                let restored = restorer.restore(picture, Some(&faces))?;
                let mut notes = Vec::new();
                if restored.faces.is_empty() {
                    notes.push("no face was found in it; --aligned takes it for one".to_owned());
                }
                for (i, face) in restored.faces.iter().enumerate() {
                    if let Some(why) = &face.skipped {
                        notes.push(format!("face {} from the left was skipped: {why}", i + 1));
                    }
                }
                let tile = [picture.height, picture.width];
                let tiles = restored.faces.iter().filter(|face| face.skipped.is_none()).count();
                let work = TileReport { tile, tiles, notes };
                Ok(Finished { picture: restored.picture, work, faces: Some(restored.faces) })
            }
        }
    }
}

impl Film {
    fn new(amount: f64) -> Self {
        Self { tracker: Tracker::new(amount), amount, folder: PathBuf::new() }
    }

    /// Moves the faces of the frame at `path`, the next one of its folder, to where they are shown.
    fn smooth(&mut self, path: &Path, faces: &mut [Face]) {
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.folder != folder {
            *self = Self { folder: folder.to_owned(), ..Self::new(self.amount) };
        }
        self.tracker.smooth(faces);
    }
}

/// A report of a hundred thousand faces is shorter.
const LONGEST: u64 = 64 << 20;

fn given(path: &Path) -> Result<GivenFaces> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let wrong = |what: &str| Error::Input(format!("{}: {what}", path.display()));
    if fs::metadata(path).map_err(io)?.len() > LONGEST {
        return Err(wrong("is too long for a list of faces"));
    }
    GivenFaces::parse(&fs::read(path).map_err(io)?).map_err(|what| wrong(&what))
}
