//! Everything that can be wrong with a checkpoint, each with its place and what to do about it.

use std::{fmt, path::PathBuf};

use crate::Kind;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A position in the file, or in the pickle inside a zip file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the offset counts in: `"the file"` or `"data.pkl"`.
    pub stream: &'static str,
    /// Bytes from the start of the stream.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} of {}", self.offset, self.stream)
    }
}

/// What to do about a name that a pickle asks for.
fn about_foreign(module: &str, name: &str) -> &'static str {
    let name = if module.starts_with("torch") { name } else { "" };
    match name {
        "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => {
            "It holds a sparse tensor: save `tensor.to_dense()` in its place"
        }
        "_rebuild_qtensor" => {
            "It holds a quantised tensor: save `tensor.dequantize()` in its place"
        }
        "_rebuild_meta_tensor_no_storage" => {
            "It holds a tensor without numbers: load the model's weights before you save it"
        }
        "ComplexFloatStorage" | "ComplexDoubleStorage" | "ComplexHalfStorage" => {
            "It holds complex numbers, which no network here has"
        }
        _ => {
            "If you know why it is there, `pentimento convert --skip-unknown` drops such objects \
             and keeps the tensors"
        }
    }
}

/// Why a checkpoint could not be read or converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to open or map the file.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// [`crate::Convert::cancelled`] was set.
    #[error("cancelled")]
    Cancelled,

    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The output is there already.
    #[error("{} is there already: choose another output, or replace it with --force", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },

    /// The output would be the file that is read.
    #[error("{} is the input itself: choose another output", path.display())]
    SameFile {
        /// The output.
        path: PathBuf,
    },

    /// A folder's files are not one checkpoint.
    #[error("the folder {}: {reason}", path.display())]
    Shards {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A shard of a checkpoint could not be read.
    #[error("{}: {error}", path.display())]
    Shard {
        /// The shard's file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<Error>,
    },

    /// The architecture is not the one that was named.
    #[error("these are tensors of {found}, not of {named}")]
    Architecture {
        /// What was named.
        named: String,
        /// What was recognised.
        found: String,
    },

    /// The file is something else, by its first bytes.
    #[error("this is {kind}, not a checkpoint: {}", kind.advice())]
    NotACheckpoint {
        /// What the file is.
        kind: Kind,
    },

    /// The file ends too early.
    #[error(
        "{what} at {at} takes {needed} bytes and {left} are left: the file is cut short or \
         damaged, fetch it again"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        at: Place,
        /// Bytes it takes.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },

    /// A bound of [`crate::Limits`] was reached.
    #[error(
        "{what} needs {value}, the limit is {limit}: if you trust the file, \
         `pentimento convert --trust` allows 64 times as much (`Limits::{option}`)"
    )]
    Limit {
        /// What asks for too much.
        what: String,
        /// How much it asks for.
        value: u64,
        /// How much is allowed.
        limit: u64,
        /// The field of [`crate::Limits`].
        option: &'static str,
    },

    /// The zip structure contradicts itself or uses a feature that PyTorch does not.
    #[error("the zip file is not sound: {reason}")]
    Zip {
        /// What is wrong, with the entry or offset concerned.
        reason: String,
    },

    /// A zip entry's bytes are not those that were saved.
    #[error(
        "the checksum of {entry} is {found:08x}, recorded is {recorded:08x}: the file is \
         damaged, fetch it again; `pentimento convert --no-checksums` takes it as it is \
         (`Options::verify_checksums`)"
    )]
    Checksum {
        /// Name of the entry.
        entry: String,
        /// CRC-32 in the zip directory.
        recorded: u32,
        /// CRC-32 of the bytes.
        found: u32,
    },

    /// The zip file holds something other than a checkpoint.
    #[error("the zip file is not a PyTorch checkpoint: {reason}")]
    NotATorchZip {
        /// What it looks like instead.
        reason: String,
    },

    /// The legacy stream contradicts itself.
    #[error("the legacy checkpoint is not sound: {reason}")]
    Legacy {
        /// What is wrong.
        reason: String,
    },

    /// The safetensors header contradicts itself or the file.
    #[error("the safetensors file is not sound: {reason}")]
    Safetensors {
        /// What is wrong.
        reason: String,
    },

    /// The ONNX file contradicts itself, or says what cannot be.
    #[error("the ONNX file is not sound: {reason}")]
    Onnx {
        /// What is wrong.
        reason: String,
    },

    /// The ncnn model contradicts itself, or says what cannot be.
    #[error("the ncnn model is not sound: {reason}")]
    Ncnn {
        /// What is wrong.
        reason: String,
    },

    /// A network without names is none of those that are known by their structure.
    #[error(
        "the network of this {format} file is not known: {what}. Bring the .pth or .safetensors file \
         that it was made from"
    )]
    Structure {
        /// The format of the file.
        format: &'static str,
        /// What the network is, and where it differs from the known one that is most like it.
        what: String,
    },

    /// A tensor's elements are of a type that no network of the engine has.
    #[error(
        "the tensor {name:?} has the type {dtype}, which is not read: save it again as \
         `tensor.float()`"
    )]
    Dtype {
        /// The tensor's name.
        name: String,
        /// The type, as the file names it.
        dtype: String,
    },

    /// A tensor's name cannot be used.
    #[error("the tensor name {name:?} {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The legacy checkpoint was written on a big-endian machine.
    #[error(
        "the checkpoint was written on a big-endian machine: save it again on a little-endian one"
    )]
    BigEndian,

    /// The pickle is malformed.
    #[error("the pickle is not sound at {at}: {reason}")]
    Pickle {
        /// Where.
        at: Place,
        /// What is wrong.
        reason: String,
    },

    /// The pickle uses an operation that weights never need.
    #[error(
        "the pickle uses the operation {opcode:#04x} ({name}) at {at}, which no checkpoint \
         needs: save it again with torch.save and protocol 2"
    )]
    Opcode {
        /// The operation's byte.
        opcode: u8,
        /// The operation's name in Python's `pickletools`, or `unknown`.
        name: &'static str,
        /// Where.
        at: Place,
    },

    /// The pickle names a function or class that weights never need. Nothing was executed.
    #[error(
        "the pickle asks Python for {module:?}.{name:?} at {at}, which weights do not need; \
         nothing was executed. {}",
        about_foreign(module, name)
    )]
    ForeignGlobal {
        /// Python module.
        module: String,
        /// Name in the module.
        name: String,
        /// Where.
        at: Place,
    },

    /// A storage is declared in a way that does not hold.
    #[error("the storage {key:?} is not sound: {reason}")]
    Storage {
        /// The storage's key.
        key: String,
        /// What is wrong.
        reason: String,
    },

    /// A tensor does not fit its storage.
    #[error("the tensor {name:?} is not sound: {reason}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// Two entries have the same name.
    #[error("{place} holds the name {name:?} twice: it is not clear which one is meant")]
    DuplicateName {
        /// The repeated name.
        name: String,
        /// Where it is repeated.
        place: String,
    },

    /// The requested container is not in the file.
    #[error("no weights under {key:?}; the file offers {}", listed(candidates))]
    NoSuchContainer {
        /// What was asked for.
        key: String,
        /// What there is.
        candidates: Vec<String>,
    },

    /// Several entries hold weights and none has a known name.
    #[error(
        "several entries hold weights ({}): name one with `pentimento convert --key`",
        listed(candidates)
    )]
    AmbiguousContainer {
        /// The entries.
        candidates: Vec<String>,
    },

    /// The file holds no named tensors.
    #[error("the checkpoint holds {found}, no dictionary of tensors: save `model.state_dict()`")]
    NoTensors {
        /// What it holds instead.
        found: String,
    },
}

/// `"a", "b"`, at most ten of them.
fn listed(names: &[String]) -> String {
    let quoted = |name: &String| match name.as_str() {
        "" => "the top level (\"\")".into(),
        name => format!("{name:?}"),
    };
    let mut list = names.iter().take(10).map(quoted).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => list.push_str("nothing"),
        1..=10 => {}
        more => list.push_str(&format!(" and {} more", more - 10)),
    }
    list
}

/// At most 100 characters of an untrusted text, so that no message grows with the file, and none
/// that a terminal would obey.
pub fn short(text: &str) -> String {
    const LENGTH: usize = 100;
    let shown = |c: char| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c };
    let end = text.chars().nth(LENGTH).map(|_| '…');
    text.chars().take(LENGTH).map(shown).chain(end).collect()
}

/// Whether a terminal obeys the character or lets it change how the text around it reads: control
/// characters, and those that turn the direction of writing.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
