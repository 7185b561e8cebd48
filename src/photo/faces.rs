//! Whole photos: every face is found, cut out, restored and put back.

use serde::Serialize;

use super::align::{self, Affine};
use super::aligned::{AlignedPixels, CutOut};
use super::batch::{Batch, BatchReport, FaceNetwork};
use super::detail;
use super::enlarge::enlarged;
use super::face::{Face, Pose};
use super::options::{BlendMask, FaceSelection, PhotoOptions};
use super::paste::{Canvas, Shape};
use super::surface::{Place, Surface};
use super::tone::tones;
use super::{Detector, FaceParser, GivenFace, Picture, Restored, Restorer};
use crate::{Control, Engine, Error, Model, Result, Session, Task};

/// The outcome of a face: restored, or skipped.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The face.
    #[serde(flatten)]
    pub face: Face,
    /// How the head is turned.
    pub pose: Pose,
    /// Whether it was cut out as a head that is turned far to the side, not by the template.
    pub turned: bool,
    /// Whether the dots of a print cover it. The network got their averages.
    pub printed: bool,
    /// Why it was skipped, and so left as it was; `None` where it was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// A restored face before it is blended into its photo.
#[derive(Clone, Debug, PartialEq)]
pub struct AlignedFace {
    /// Rows and columns.
    pub size: usize,
    /// `[size, size]` pixels, red first.
    pub rgb: Vec<[u8; 3]>,
    /// `[[a, b, c], [d, e, f]]`: the pixel `[x, y]` belongs at `[a·x + b·y + c, d·x + e·y + f]` of
    /// the result.
    pub to_photo: [[f64; 3]; 2],
}

/// A photo with its faces restored.
#[derive(Clone, Debug)]
pub struct RestoredPhoto {
    /// The result.
    pub picture: Picture,
    /// Every face that was found or given, from left to right.
    pub faces: Vec<Outcome>,
    /// Notes for a person about the result.
    pub notes: Vec<String>,
}

/// A face's frame is at most this many times as long as the longer side of its photo: one that
/// fills its photo has about 1.3.
const LARGEST: f64 = 2.0;

/// A face whose restored version agrees less than this with what was in the photo (correlation of
/// the luminance of blocks of 1/16 of the side) is taken for a failure and left as it was.
const LEAST_AGREEMENT: f64 = 0.75;

/// Sees no face.
pub(super) const NOBODY: Option<fn(&Outcome, Option<&AlignedFace>)> = None;

/// Restores the faces of photos. Keeps its sessions.
///
/// ```
/// use pentimento::photo::{Face, PhotoOptions, PhotoRestorer, Picture};
/// use pentimento::{Engine, EngineOptions, Model};
///
/// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
/// let model = Model::open("weights/mmrbnet-256.safetensors")?;
/// let mut restorer = PhotoRestorer::new(&engine, &model, None, None, PhotoOptions::default())?;
/// let rgb = vec![128; 200 * 300 * 3];
/// let photo = Picture { height: 200, width: 300, rgb, alpha: None, icc: None };
/// let landmarks = [[130.0, 80.0], [170.0, 80.0], [150.0, 104.0], [132.0, 122.0], [168.0, 122.0]];
/// let face = Face { landmarks, score: None, bounds: None };
/// let restored = restorer.restore(&photo, Some(&[face]))?;
/// assert_eq!((restored.picture.height, restored.faces.len()), (200, 1));
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct PhotoRestorer {
    pub(super) detector: Option<Detector>,
    pub(super) background: Option<Restorer>,
    parser: Option<FaceParser>,
    pub(super) engine: Engine,
    pub(super) network: FaceNetwork,
    pub(super) size: usize,
    options: PhotoOptions,
    pub(super) control: Option<Control>,
}

impl PhotoRestorer {
    /// Restores faces with `model`, which `detector` finds (without one they must be given), and
    /// enlarges what is around them with `background` where one is there.
    ///
    /// # Errors
    /// [`Error::Input`] when `model` restores no faces or an option is out of its range; as
    /// [`Session::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        engine: &Engine,
        model: &Model,
        detector: Option<Detector>,
        background: Option<Restorer>,
        options: PhotoOptions,
    ) -> Result<Self> {
        crate::blocking::block_on(Self::prepare(engine, model, detector, background, options))
    }

    /// [`PhotoRestorer::new`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`PhotoRestorer::new`].
    pub async fn prepare(
        engine: &Engine,
        model: &Model,
        detector: Option<Detector>,
        background: Option<Restorer>,
        options: PhotoOptions,
    ) -> Result<Self> {
        Self::check(&options)?;
        if let Some(model) = background.as_ref().map(Restorer::model)
            && !matches!(model.task(), Task::Upscale { .. })
        {
            let name = model.architecture();
            let what = format!("{name} enlarges no pictures; use an upscaling model as background");
            return Err(Error::Input(what));
        }
        let Task::RestoreFace { size } = model.task() else {
            let what = format!("{} restores no faces; use a face model", model.architecture());
            return Err(Error::Input(what));
        };
        let network = FaceNetwork::prepare(engine, model, size).await?;
        let (input, output) = (network.session().input_shape(), network.session().output_size());
        if (input.h, input.w) != (size, size) || output != (size, size) {
            let what = format!("{} enlarges faces, it cannot put them back", model.architecture());
            return Err(Error::Input(what));
        }
        let engine = engine.clone();
        Ok(Self {
            detector,
            background,
            parser: None,
            engine,
            network,
            size,
            options,
            control: None,
        })
    }

    /// Sets the options for the following photos.
    ///
    /// # Errors
    /// [`Error::Input`] when an option is out of its range.
    pub fn set_options(&mut self, options: PhotoOptions) -> Result<()> {
        Self::check(&options)?;
        self.options = options;
        Ok(())
    }

    fn check(options: &PhotoOptions) -> Result<()> {
        let parts = [options.strength, options.grain];
        if !parts.iter().all(|part| (0.0..=1.0).contains(part)) || !(1..=4).contains(&options.scale)
        {
            let what = "strength and grain lie between 0 and 1, the scale between 1 and 4";
            return Err(Error::Input(what.to_owned()));
        }
        if !options.smallest.is_finite() {
            let what = "the smallest distance of the eyes is a number of pixels";
            return Err(Error::Input(what.to_owned()));
        }
        Ok(())
    }

    /// The session of the face network.
    #[doc(hidden)]
    pub fn session(&self) -> &Session {
        self.network.session()
    }

    /// Whether the face network times its steps; see [`Session::time_steps`].
    pub fn time_steps(&mut self, wanted: bool) {
        self.network.time_steps(wanted);
    }

    /// Restores so many faces at a time; without this, as [`Batch::Auto`].
    ///
    /// # Errors
    /// [`Error::Input`] for a number that is out of its range.
    pub fn with_batch(mut self, batch: Batch) -> Result<Self> {
        self.network.set_batch(batch)?;
        Ok(self)
    }

    /// How many faces the network takes at a time, and how many it has restored so.
    pub fn batch(&self) -> BatchReport {
        self.network.report()
    }

    /// Blends restored faces where `parser` sees them, not in an oval.
    #[must_use]
    pub fn with_parser(self, parser: FaceParser) -> Self {
        Self { parser: Some(parser), ..self }
    }

    /// Lets `control` watch the following photos, and cancel them.
    pub fn set_control(&mut self, control: Option<Control>) {
        self.control = control;
    }

    /// Height and width of the result for a photo of `height × width`.
    pub fn output_size(&self, height: usize, width: usize) -> [usize; 2] {
        [height, width].map(|side| side.saturating_mul(self.options.scale))
    }

    /// The faces of `photo` that the detector finds.
    ///
    /// # Errors
    /// As [`Detector::detect`]; [`Error::Input`] when there is no detector.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        crate::blocking::block_on(self.find_async(photo))
    }

    /// [`PhotoRestorer::find`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`PhotoRestorer::find`].
    pub async fn find_async(&mut self, photo: &Picture) -> Result<Vec<Face>> {
        match &mut self.detector {
            Some(detector) => detector.find_async(photo).await,
            None => Err(Error::Input("there is no detector, and no faces are given".to_owned())),
        }
    }

    /// The faces that are `given`. In a box the detector looks for one; where it sees none, or there
    /// is no detector, the box is taken for that of an upright face. Those of boxes have no score: they
    /// are restored without a second look.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn locate(&mut self, photo: &Picture, given: &[GivenFace]) -> Result<Vec<Face>> {
        crate::blocking::block_on(self.locate_async(photo, given))
    }

    /// [`PhotoRestorer::locate`] for programs with an async runtime, as
    /// [`Session::run_async`](crate::Session::run_async).
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn locate_async(
        &mut self,
        photo: &Picture,
        given: &[GivenFace],
    ) -> Result<Vec<Face>> {
        let mut faces = Vec::new();
        for given in given {
            faces.push(match (given, &mut self.detector) {
                (GivenFace::Face(face), _) => face.clone(),
                (GivenFace::Box(bounds), Some(detector)) => {
                    let found = detector.detect_in(photo, *bounds).await?;
                    let given = |face| Face { score: None, ..face };
                    found.map_or_else(|| Face::upright(*bounds), given)
                }
                (GivenFace::Box(bounds), None) => Face::upright(*bounds),
            });
        }
        Ok(faces)
    }

    /// Restores the faces of `photo`: those `given`, or else those that the detector finds.
    ///
    /// # Errors
    /// As [`Detector::detect`] and [`Session::run`]; [`Error::Input`] when there are neither given
    /// faces nor a detector.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore(&mut self, photo: &Picture, given: Option<&[Face]>) -> Result<RestoredPhoto> {
        crate::blocking::block_on(self.run(photo, given, NOBODY))
    }

    /// Restores the faces of several photos as [`PhotoRestorer::restore`] does each of them, as many
    /// faces at a time as its [`Batch`] says. A photo that fails fails alone.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore_all(
        &mut self,
        photos: &[(&Picture, Option<&[Face]>)],
    ) -> Vec<Result<RestoredPhoto>> {
        crate::blocking::block_on(self.run_all(photos, NOBODY))
    }

    /// [`PhotoRestorer::restore`] for programs with an async runtime, as [`Session::run_async`].
    /// `show` is called for every face as soon as it is done, from left to right; with the restored
    /// face where it was put back.
    ///
    /// # Errors
    /// As [`PhotoRestorer::restore`].
    pub async fn restore_async(
        &mut self,
        photo: &Picture,
        given: Option<&[Face]>,
        show: impl FnMut(&Outcome, Option<&AlignedFace>),
    ) -> Result<RestoredPhoto> {
        self.run(photo, given, Some(show)).await
    }

    /// [`PhotoRestorer::restore_all`] for programs with an async runtime.
    pub async fn restore_all_async(
        &mut self,
        photos: &[(&Picture, Option<&[Face]>)],
    ) -> Vec<Result<RestoredPhoto>> {
        self.run_all(photos, NOBODY).await
    }

    /// The only face that is restored; `None`: all.
    pub(super) fn chosen(&self, photo: &Picture, faces: &[Face]) -> Option<usize> {
        let best = |value: &dyn Fn(&Face) -> f64| {
            (0..faces.len()).max_by(|&a, &b| value(&faces[a]).total_cmp(&value(&faces[b])))
        };
        match self.options.which {
            FaceSelection::All => None,
            FaceSelection::Largest => best(&Face::eye_distance),
            FaceSelection::Central => {
                let [x, y] = [photo.width as f64 / 2.0, photo.height as f64 / 2.0];
                best(&|face| -(face.centre()[0] - x).hypot(face.centre()[1] - y))
            }
        }
    }

    /// The photo at its new size, and what is to be said about it.
    pub(super) async fn enlarged(&mut self, photo: &Picture) -> Result<(Canvas, Vec<String>)> {
        let mut notes = Vec::new();
        let [height, width] = self.output_size(photo.height, photo.width);
        let pixels = match &mut self.background {
            Some(network) => {
                let Restored { picture: large, notes: said, .. } =
                    network.restore_async(photo).await?;
                notes = said;
                enlarged(large.rgb.as_chunks().0, large.height, large.width, [height, width])
            }
            None => photo.enlarged(height, width),
        };
        Ok((Canvas { pixels, height, width }, notes))
    }

    /// Cuts one face out; says why not where it is left. One with a score, which a detector has found,
    /// must be a face at a second look.
    pub(super) async fn cut_out(
        &mut self,
        surface: &Surface,
        photo: &Picture,
        face: &Face,
    ) -> Result<Result<CutOut, String>> {
        let distance = face.eye_distance();
        if distance < self.options.smallest {
            return Ok(Err(format!("its eyes are only {distance:.1} pixels apart")));
        }
        let fit = if Pose::of(&face.landmarks).is_turned() {
            align::align_posed(&face.landmarks, self.size)
        } else {
            align::align(&face.landmarks, self.size).map(|fit| fit.to_face)
        };
        let Some(to_face) = fit else {
            return Ok(Err("its landmarks lie in one point".to_owned()));
        };
        let sides = [photo.width, photo.height].map(|side| side as f64);
        let is_inside = |axis: usize| (0.0..sides[axis]).contains(&face.centre()[axis]);
        if !is_inside(0) || !is_inside(1) {
            return Ok(Err("it lies outside of the photo".to_owned()));
        }
        if self.size as f64 / to_face.scale() > LARGEST * sides[0].max(sides[1]) {
            return Ok(Err("it is far larger than the photo".to_owned()));
        }
        if let Some(detector) = self.detector.as_mut().filter(|_| is_found(face)) {
            let score = detector.ask_async(photo, face).await?;
            if score < detector.asked_score() {
                return Ok(Err(format!("it is not a face at a second look (score {score:.2})")));
            }
        }
        let dotted = detail::is_dotted(photo.view(), &to_face, self.size);
        let crop = if dotted {
            let (crop, side) = detail::without_dots(photo.view(), &to_face, self.size);
            let rgb = crop.into_flattened();
            let small = Picture { height: side, width: side, rgb, alpha: None, icc: None };
            surface.hold(small.resized(self.size, self.size)?.rgb.as_chunks().0, self.size).await?
        } else {
            surface.crop(&to_face, self.size).await?
        };
        Ok(Ok(CutOut { crop, to_face, dotted }))
    }

    /// Puts a restored face back; says why not where it is left. One that a detector has found is left
    /// where it is sharp.
    pub(super) async fn put_back(
        &mut self,
        surface: &mut Surface,
        photo: &Picture,
        face: &Face,
        cut: &CutOut,
        restored: &AlignedPixels,
    ) -> Result<Result<(AlignedPixels, Affine), String>> {
        let CutOut { crop, to_face, dotted } = cut;
        let agreement = surface.agreement([crop, restored], self.size).await?;
        if agreement < LEAST_AGREEMENT {
            return Ok(Err(format!("the restored face agrees with it by only {agreement:.2}")));
        }
        let landmarks = face.landmarks.map(|point| to_face.apply(point));
        let view = photo.view();
        let damage = detail::damage(view, &to_face.inverse(), self.size);
        let is_dotted = *dotted && damage > 0.0;
        let damage = if is_dotted { detail::NOTHING_KEPT } else { damage };
        // A larger result needs more than a sharp face.
        if is_found(face) && damage == 0.0 && self.options.scale == 1 {
            let faces = [crop, restored];
            let [before, after] =
                surface.histograms(faces, self.size, Shape::Oval(&landmarks)).await?;
            if detail::is_sharp([&before, &after]) {
                return Ok(Err("it is sharp already".to_owned()));
            }
        }
        let mut restored = surface.with_colours_of(crop, restored, self.size).await?;
        if let Some(tones) = tones(view, to_face, self.size) {
            restored = surface.toned(&restored, &tones).await?;
        }
        let parsed = match (&mut self.parser, self.options.mask) {
            (Some(parser), BlendMask::Face) => {
                let seen = surface.pixels(&restored).await?;
                Some(parser.parse_async(&seen, self.size).await?)
            }
            _ => None,
        };
        let shape = match (&parsed, self.options.mask) {
            (Some(face), _) => Shape::Parsed(face),
            (None, BlendMask::Square) => Shape::Square,
            (None, BlendMask::Face | BlendMask::Oval) => Shape::Oval(&landmarks),
        };
        let to_photo = to_face.inverse().enlarged(self.options.scale);
        let PhotoOptions { strength, grain, scale, .. } = self.options;
        // Dots are no grain.
        let grain = if is_dotted { 0.0 } else { grain };
        let factor = scale;
        let place = Place { to_photo: &to_photo, factor, shape, crop, damage, strength, grain };
        surface.paste(&restored, self.size, place).await?;
        Ok(Ok((restored, to_photo)))
    }
}

/// Whether a detector has found it. Who gives a face, or its box, has looked at it.
fn is_found(face: &Face) -> bool {
    face.score.is_some()
}

pub(super) fn canvas(photo: &Picture) -> Canvas {
    let pixels = photo.rgb.as_chunks().0.to_vec();
    Canvas { pixels, height: photo.height, width: photo.width }
}
