//! Converts checkpoints to safetensors, and reads them, as data: nothing in the file is executed,
//! and no number in it is believed before it was checked.
//!
//! Both formats of `torch.save` are read, the zip format since PyTorch 1.6 and the legacy stream
//! before it, and safetensors, in one file or in several that an index names. A conversion holds a
//! few MiB in memory, however large the file is.
//!
//! ```no_run
//! use pentimento_convert::{Convert, Element, convert};
//!
//! let to_f16 = Convert { element: Element::F16, ..Convert::default() };
//! let output = "GFPGANv1.4.safetensors";
//! let report = convert("GFPGANv1.4.pth".as_ref(), output.as_ref(), &to_f16, &mut |_, _| {})?;
//! println!("{} tensors, SHA-256 of the source {}", report.tensors, report.source_sha256);
//! # Ok::<(), pentimento_convert::Error>(())
//! ```
//!
//! To read the tensors instead:
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
// Parts of the modules that are read with are there for writing.
#![cfg_attr(not(feature = "write"), allow(dead_code))]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod archive;
mod blob;
mod contents;
#[cfg(feature = "write")]
mod convert;
mod cursor;
mod detect;
mod dtype;
mod element;
mod error;
mod foreign;
mod header;
mod legacy;
mod names;
mod ncnn;
mod onnx;
mod opcode;
mod options;
mod pattern;
mod pickle;
mod roles;
mod safetensors;
mod source;
mod state_dict;
mod structure;
mod tensor;
mod torch;
mod value;
#[cfg(feature = "write")]
mod write;
mod zip;

use std::path::Path;

pub use contents::{Contents, Entry};
#[cfg(feature = "write")]
pub use convert::{Convert, Recognise, Recognition, Report, convert};
pub use detect::{DETECT_BYTES, Kind, detect};
pub use dtype::Dtype;
pub use element::{Element, Kept};
#[doc(hidden)]
pub use error::short;
pub use error::{Error, Place, Result};
pub use options::{Limits, Options};
pub use pattern::matches;
pub use roles::CONTAINERS;
pub use source::Source;
pub use tensor::{Elements, Tensor};

use blob::Blob;
use contents::Data;

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The zip file of `torch.save`, since PyTorch 1.6.
    Zip,
    /// The stream of pickles and storages of `torch.save`, before.
    Legacy,
    /// Safetensors.
    Safetensors,
    /// ONNX, whose network was recognised by its structure.
    Onnx,
    /// ncnn, whose network was recognised by its structure.
    Ncnn,
}

/// The weights of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// How the file is laid out.
    pub format: Format,
    /// As [`Contents::container`].
    pub container: Option<String>,
    /// As [`Contents::candidates`].
    pub candidates: Vec<String>,
    /// As [`Contents::dropped`].
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
/// Every [`Error`] but those of writing: the file cannot be read, is something else, is damaged, asks
/// for more than the limits allow, names a class that weights do not need, or holds no weights.
pub fn open(path: &Path, options: &Options) -> Result<Checkpoint> {
    let file = Blob::open(path, options.memory_map)?;
    match foreign::open(Some(path), &file, options)? {
        Some(opened) => all((opened.contents, opened.data)),
        None => all(contents::read(&file, options, false)?),
    }
}

/// Reads the checkpoint in memory; the tensors keep the bytes.
///
/// # Errors
///
/// As [`open`], but [`Error::Io`].
pub fn from_bytes(bytes: Vec<u8>, options: &Options) -> Result<Checkpoint> {
    // Without a file there is nothing to map, and nowhere to inflate to.
    let options = Options { memory_map: false, ..options.clone() };
    let file = Blob::from_vec(bytes);
    match foreign::open(None, &file, &options)? {
        Some(opened) => all((opened.contents, opened.data)),
        None => all(contents::read(&file, &options, false)?),
    }
}

/// Reads an ncnn model in memory: its list of layers (`.param`, or `.param.bin`) and its weights
/// (`.bin`).
///
/// # Errors
///
/// As [`open`], but [`Error::Io`].
pub fn from_ncnn(param: Vec<u8>, weights: Vec<u8>, options: &Options) -> Result<Checkpoint> {
    let opened = foreign::ncnn(&Blob::from_vec(param), &Blob::from_vec(weights), options)?;
    all((opened.contents, opened.data))
}

fn all((contents, mut data): (Contents, Data)) -> Result<Checkpoint> {
    let Contents { format, container, candidates, dropped, tensors: entries, .. } = contents;
    let tensors = entries.iter().map(|entry| data.tensor(entry)).collect::<Result<_>>()?;
    Ok(Checkpoint { format, container, candidates, dropped, tensors })
}
