//! Reads PyTorch checkpoints as data: nothing in the file is executed, and no number in it is
//! believed before it was checked.
//!
//! Both formats of `torch.save` are read: the zip format since PyTorch 1.6 and the legacy stream
//! before it. Tensors stay in the mapped file until they are asked for.
//!
//! ```no_run
//! use pentimento_convert::{Options, open};
//!
//! let checkpoint = open("GFPGANv1.4.pth".as_ref(), &Options::default())?;
//! for tensor in &checkpoint.tensors {
//!     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
//!     let values: Vec<f32> = tensor.to_f32();
//! }
//! # Ok::<(), pentimento_convert::Error>(())
//! ```

#![deny(missing_docs, unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod archive;
mod blob;
mod cursor;
mod detect;
mod dtype;
mod error;
mod legacy;
mod opcode;
mod options;
mod pickle;
mod state_dict;
mod tensor;
mod torch;
mod value;
mod zip;

use std::path::Path;

pub use detect::{DETECT_BYTES, Kind, detect};
pub use dtype::Dtype;
pub use error::{Error, Place, Result};
pub use options::{Limits, Options};
pub use state_dict::CONTAINERS;
pub use tensor::Tensor;

use archive::Archive;
use blob::Blob;
use legacy::Legacy;
use pickle::Pickle;
use torch::{Storage, TensorDecl};

/// The two formats of `torch.save`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip file, since PyTorch 1.6.
    Zip,
    /// A stream of pickles and storages, before.
    Legacy,
}

/// The weights of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// How the file is laid out.
    pub format: Format,
    /// Top-level entry that the weights were found under, such as `params_ema`; `None` if they lie
    /// at the top.
    pub container: Option<String>,
    /// Every place of the file that holds tensors, the preferred first; "" is the top. More than
    /// one means that [`Options::key`] would give other weights.
    pub candidates: Vec<String>,
    /// What was left out: optimizer state, counters, other networks' weights, each with its type.
    pub dropped: Vec<String>,
    /// The weights, in the order of the file. Names are unique.
    pub tensors: Vec<Tensor>,
}

impl Checkpoint {
    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

/// Reads the checkpoint in a file.
///
/// # Errors
///
/// Every [`Error`]: the file cannot be read, is something else, is damaged, asks for more than the
/// limits allow, names a class that weights do not need, or holds no weights.
pub fn open(path: &Path, options: &Options) -> Result<Checkpoint> {
    read(Blob::open(path, options.memory_map)?, options)
}

/// Reads the checkpoint in memory; the tensors keep the bytes.
///
/// # Errors
///
/// As [`open`], but [`Error::Io`].
pub fn from_bytes(bytes: Vec<u8>, options: &Options) -> Result<Checkpoint> {
    read(Blob::from_vec(bytes), options)
}

fn read(file: Blob, options: &Options) -> Result<Checkpoint> {
    let bytes = file.bytes();
    match detect(bytes.get(..DETECT_BYTES).unwrap_or(bytes)) {
        Kind::Zip => {
            let (mut archive, data) = Archive::open(file.clone(), options)?;
            let pickle = pickle::read(data.bytes(), Archive::PICKLE, options)?;
            if pickle.length != data.len() {
                let at = Place { offset: pickle.length as u64, ..Archive::PICKLE };
                return Err(Error::Pickle { at, reason: "something follows its end".into() });
            }
            torch::storages(&pickle)?;
            assemble(Format::Zip, &pickle, file.len(), options, |key, storage| {
                archive.storage(key, storage)
            })
        }
        Kind::Legacy => {
            let legacy = Legacy::read(&file, bytes, options)?;
            assemble(Format::Legacy, &legacy.pickle, file.len(), options, |key, _| {
                legacy.storage(key)
            })
        }
        kind => Err(Error::NotACheckpoint { kind }),
    }
}

/// Chooses the weights and gives each tensor its bytes.
fn assemble(
    format: Format,
    pickle: &Pickle<'_>,
    file_bytes: usize,
    options: &Options,
    mut storage: impl FnMut(&str, Storage) -> Result<Blob>,
) -> Result<Checkpoint> {
    let chosen = state_dict::select(&pickle.values, pickle.root, options)?;
    let limit = options.limits.expansion(file_bytes);
    let mut total = 0_u64;
    let mut tensors = Vec::new();
    for (name, id) in chosen.entries {
        let Some(TensorDecl { key, storage: declared, layout }) =
            TensorDecl::read(&pickle.values, &name, id)?
        else {
            continue;
        };
        let bytes = (layout.numel() as u64).saturating_mul(declared.dtype.size() as u64);
        total = total.saturating_add(bytes);
        if total > limit {
            let what = format!("the tensors up to {:?}", error::short(&name));
            return Err(Error::Limit { what, value: total, limit, option: "expansion_ratio" });
        }
        let blob = storage(key, declared)?;
        let outside = || Error::Tensor {
            name: error::short(&name),
            reason: "it reaches past its storage".into(),
        };
        tensors.push(Tensor::new(name.clone(), declared.dtype, layout, blob).ok_or_else(outside)?);
    }
    Ok(Checkpoint {
        format,
        container: chosen.container,
        candidates: chosen.candidates,
        dropped: chosen.dropped,
        tensors,
    })
}
