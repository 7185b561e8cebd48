//! One picture through one model.

use serde::Serialize;

use super::Picture;
use super::tiles::{Tiling, Upscaler};
use crate::{Control, Engine, Error, Model, Result, Session, Task};

/// Runs pictures through a model. Keeps its session, so that the next picture (of the same size, or
/// of any size when it is tiled) costs no setup.
///
/// ```
/// use pentimento::photo::{self, Picture, Restorer};
/// use pentimento::{Engine, EngineOptions, Model};
///
/// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
/// let model = Model::open("weights/mmrbnet-256.safetensors")?;
/// let mut restorer = Restorer::new(&engine, &model);
/// let rgb = vec![128; 100 * 100 * 3];
/// let face = Picture { height: 100, width: 100, rgb, alpha: None, icc: None };
/// let restored = restorer.restore(&face)?.picture;
/// assert_eq!((restored.height, restored.width), (256, 256));
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct Restorer {
    engine: Engine,
    model: Model,
    session: Option<(usize, usize, Session)>,
    control: Option<Control>,
}

/// A result and how it came about.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The result.
    pub picture: Picture,
    /// How it was computed.
    pub tiles: TileReport,
    /// Notes for a person about it.
    pub notes: Vec<String>,
}

/// How a picture was computed that the network saw in tiles, or at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct TileReport {
    /// Height and width of what the network saw at a time.
    pub tile: [usize; 2],
    /// How often the network ran.
    pub tiles: usize,
}

/// Up to this factor between the sides, a picture passes for a square face.
const NEARLY_SQUARE: f64 = 1.1;

/// Intermediates of a tile take at most this: a desktop has it to spare, and larger tiles would
/// not be faster.
const TILE_MEMORY: usize = 2 << 30;

const TILES_ARE_SMALL: &str =
    "the memory budget allows only small tiles, whose seams may be visible; raise it";

const TILES_ARE_AVERAGED: &str = "this model averages over the picture, here over each tile; seams may be visible, raise the \
     memory budget for larger tiles";

impl Restorer {
    /// Restores with `model` on `engine`.
    pub fn new(engine: &Engine, model: &Model) -> Self {
        Self { engine: engine.clone(), model: model.clone(), session: None, control: None }
    }

    /// Lets `control` watch the following pictures, and cancel them.
    pub fn set_control(&mut self, control: Option<Control>) {
        self.control = control;
    }

    pub(super) fn control(&self) -> Option<Control> {
        self.control.clone()
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// A model that restores faces sees the picture as one aligned face, resized to the network's
    /// size; the result has that size. A model that upscales sees it in tiles; the result is
    /// `factor` times as large. Transparency is resized alongside.
    ///
    /// # Errors
    /// As [`Restorer::output_size`], [`Session::new`] and [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore(&mut self, picture: &Picture) -> Result<Restored> {
        crate::blocking::block_on(self.restore_async(picture))
    }

    /// [`Restorer::restore`] for programs with an async runtime, as [`Session::run_async`].
    ///
    /// # Errors
    /// As [`Restorer::restore`].
    pub async fn restore_async(&mut self, picture: &Picture) -> Result<Restored> {
        let [height, width] = self.output_size(picture.height, picture.width)?;
        let mut notes = Vec::new();
        let (rgb, tile, tiles) = match self.model.task() {
            Task::Upscale { factor, radius, multiple, align } => {
                let network = Upscaler { factor, radius, multiple, align };
                let sides = [picture.height, picture.width];
                let open = async |h, w| self.open_tile(h, w).await;
                let (tiling, mut session) =
                    Tiling::choose(sides[0], sides[1], network, open).await?;
                if !tiling.is_exact() {
                    notes.push(TILES_ARE_SMALL.to_owned());
                } else if tiling.count() > 1 && self.model.averages() {
                    notes.push(TILES_ARE_AVERAGED.to_owned());
                }
                let [tile_height, tile_width] = tiling.tile();
                let (mut done, count) = (0, tiling.count());
                let network = async |tile: &[u8]| {
                    session.set_control(self.control.as_ref().map(|c| c.piece(done, count)));
                    done += 1;
                    session.run_async(tile).await
                };
                let rgb = tiling.run(&picture.visible_rgb(), network).await?;
                self.session = Some((tile_height, tile_width, session));
                (rgb, tiling.tile(), tiling.count())
            }
            _ => {
                let (long, short) =
                    (picture.height.max(picture.width), picture.height.min(picture.width));
                if long as f64 > NEARLY_SQUARE * short as f64 {
                    notes.push(format!(
                        "the picture is stretched from {}×{} to {width}×{height}: this model takes \
                         it for one face, cut out square",
                        picture.width, picture.height
                    ));
                }
                // GPEN's variant for super-resolution takes a smaller face than it gives.
                let input = self.model.input_shape(height, width);
                let face = picture.resized(input.h, input.w)?;
                let mut session = self.open(height, width).await?;
                session.set_control(self.control.clone());
                let rgb = session.run_async(&face.rgb).await?;
                self.session = Some((height, width, session));
                (rgb, [height, width], 1)
            }
        };
        let alpha = picture.alpha_resized(height, width)?;
        let picture = Picture { height, width, rgb, alpha, icc: picture.icc.clone() };
        Ok(Restored { picture, tiles: TileReport { tile, tiles }, notes })
    }

    /// Height and width of the result for a picture of `height × width`.
    ///
    /// # Errors
    /// [`Error::Input`] when the model restores no pictures.
    pub fn output_size(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        match self.model.task() {
            Task::RestoreFace { size } => Ok([size, size]),
            Task::Upscale { factor, .. } => {
                Ok([height.saturating_mul(factor), width.saturating_mul(factor)])
            }
            Task::Generate { .. } => Err(Error::Input(format!(
                "{} generates pictures from nothing, it does not restore any; use another model",
                self.model.architecture()
            ))),
            Task::Parse { .. } | Task::Detect { .. } => Err(Error::Input(format!(
                "{} looks at pictures, it does not restore any; use another model",
                self.model.architecture()
            ))),
        }
    }

    /// A session for tiles of this size: as [`Self::open`], but without a budget from outside
    /// within [`TILE_MEMORY`], and on the CPU within half of what the system leaves.
    async fn open_tile(&mut self, height: usize, width: usize) -> Result<Session> {
        if self.engine.memory_budget().is_none() {
            let graph = self.model.graph(self.model.input_shape(height, width))?;
            let needed = self.engine.plan(graph)?.arena_bytes();
            let left = self.engine.memory_left().unwrap_or(usize::MAX);
            let available = TILE_MEMORY.min(left / 2);
            if needed > available {
                let hint = "use smaller tiles".to_owned();
                return Err(Error::OutOfMemory { needed, available, hint });
            }
        }
        self.open(height, width).await
    }

    /// The session for this size: the last one, or a new one in its place.
    async fn open(&mut self, height: usize, width: usize) -> Result<Session> {
        match self.session.take() {
            Some((h, w, session)) if (h, w) == (height, width) => Ok(session),
            // The old one is dropped first, so that there is room for the new one.
            _ => {
                let shape = self.model.input_shape(height, width);
                Session::prepare(&self.engine, &self.model, shape).await
            }
        }
    }
}
