//! A [`Model`]: a checkpoint whose network was recognised.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::graph::Graph;
use crate::models::{self, Detection, Network, Options, Task};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;

/// A checkpoint and its network. Clones share both.
///
/// ```
/// use pentimento::{Model, Task};
///
/// let model = Model::open("weights/mmrbnet-256.safetensors")?;
/// assert_eq!(model.task(), Task::RestoreFace { size: 256 });
/// for (name, value) in model.info().parameters {
///     println!("{name}: {value}");
/// }
/// # Ok::<(), pentimento::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    checkpoint: Arc<Checkpoint>,
    network: Arc<dyn Network>,
}

/// Facts about a [`Model`].
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// Name of the architecture.
    pub architecture: &'static str,
    /// The task of its network.
    pub task: Task,
    /// Hyper-parameters and assumptions, as name and value.
    pub parameters: Vec<(&'static str, String)>,
    /// Tensors in the file.
    pub tensors: usize,
    /// Values in the file.
    pub values: usize,
}

impl ModelInfo {
    fn new(checkpoint: &Checkpoint, network: &dyn Network) -> Self {
        Self {
            architecture: network.name(),
            task: network.task(),
            parameters: network.parameters(),
            tensors: checkpoint.tensors().count(),
            values: checkpoint.tensors().map(crate::graph::Param::len).sum(),
        }
    }
}

impl Model {
    /// Opens a `.safetensors` or `.pth` file and recognises its network.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or belongs to no known architecture; when a tensor
    /// of its network is missing, or one is there that its network does not have.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Options::default())
    }

    /// Opens a file as [`Model::open`], with the choices that a file does not hold.
    ///
    /// # Errors
    /// As [`Model::open`]; [`Error::Input`](crate::Error::Input) for a choice out of its range.
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Self::from_checkpoint(Checkpoint::open(path.as_ref())?, options)
    }

    /// Opens a model from the bytes of a file: a vector, a memory map, or what `include_bytes!`
    /// yields. They are kept as long as the model and not copied, save those of a `.pth` file.
    /// `label` stands for the file's name in messages.
    ///
    /// ```
    /// use pentimento::{Model, Options};
    ///
    /// static WEIGHTS: &[u8] =
    ///     include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/mmrbnet-256.safetensors"));
    /// let model = Model::from_bytes(WEIGHTS, "built-in weights", &Options::default())?;
    /// assert_eq!(model.architecture(), "MMRB-Net");
    /// # Ok::<(), pentimento::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::open_with`].
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        label: &str,
        options: &Options,
    ) -> Result<Self> {
        Self::from_checkpoint(Checkpoint::from_bytes(bytes, label)?, options)
    }

    /// Recognises the network of a checkpoint, with the choices that the checkpoint does not hold.
    ///
    /// # Errors
    /// When it belongs to no known architecture, lacks a tensor, or holds one that its network does
    /// not have.
    #[doc(hidden)]
    pub fn from_checkpoint(checkpoint: Checkpoint, options: &Options) -> Result<Self> {
        let network = models::recognise(&checkpoint, options)?;
        models::account(&checkpoint, &*network)?;
        Ok(Self { checkpoint: Arc::new(checkpoint), network: network.into() })
    }

    /// A network of your own with its weights: `examples/custom_network.rs` builds one.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen, or one is there that the network does not read.
    #[cfg_attr(not(feature = "internals"), doc(hidden))]
    pub fn with_network(checkpoint: Checkpoint, network: impl Network + 'static) -> Result<Self> {
        models::account(&checkpoint, &network)?;
        Ok(Self { checkpoint: Arc::new(checkpoint), network: Arc::new(network) })
    }

    /// Name of the architecture.
    pub fn architecture(&self) -> &'static str {
        self.network.name()
    }

    /// The task of the network.
    pub fn task(&self) -> Task {
        self.network.task()
    }

    /// A value of the file's metadata.
    #[doc(hidden)]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.checkpoint.metadata(key)
    }

    /// How 8-bit pictures become its inputs and its outputs become pictures.
    #[doc(hidden)]
    pub fn pixels(&self) -> PixelFormat {
        self.network.pixels()
    }

    /// Names of the network's outputs, in the order of its graph's. The first is what it is for.
    pub fn outputs(&self) -> &'static [&'static str] {
        self.network.outputs()
    }

    /// The checkpoint.
    #[doc(hidden)]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Everything a person may want to know of it.
    pub fn info(&self) -> ModelInfo {
        ModelInfo::new(&self.checkpoint, &*self.network)
    }

    /// The graph for an input of `shape`: `[N, 3, H, W]`, or for a generator `[N, latent, 1, 1]`, or
    /// `[N, codes·latent, 1, 1]` with a code for each of its layers.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen, or the network does not take that shape.
    #[doc(hidden)]
    pub fn graph(&self, shape: Shape) -> Result<Graph> {
        self.network.build(&self.checkpoint, shape)
    }

    /// The candidates in a detector's outputs for a picture of shape `input`: each one whose score
    /// is above `threshold`, overlapping ones included.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) when it is not a detector or the outputs are not of such
    /// a picture.
    #[doc(hidden)]
    pub fn detections(
        &self,
        input: Shape,
        outputs: &[Vec<f32>],
        threshold: f32,
    ) -> Result<Vec<Detection>> {
        self.network.detections(input, outputs, threshold)
    }

    /// Whether the network averages over its whole input: parts of a picture then give something
    /// else than the whole.
    #[doc(hidden)]
    pub fn averages(&self) -> bool {
        self.network.averages()
    }

    /// Of a parser: which of its classes belong to the face; `None` for other networks.
    pub fn face_classes(&self) -> Option<&'static [bool]> {
        self.network.face_classes()
    }

    /// The shape of a single input of `height × width` pixels; sizes that the network fixes win.
    pub fn input_shape(&self, height: usize, width: usize) -> Shape {
        self.network.input_shape(height, width)
    }
}
