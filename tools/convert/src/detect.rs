//! What a file is, by its first bytes, so that a wrong file gets a helpful answer.

use std::fmt;

/// Bytes that [`detect`] wants to see; it works with fewer.
pub const DETECT_BYTES: usize = 512;

/// `0x1950a86a20f9469cfc6c` as a pickled `LONG1`: the first value of a legacy checkpoint.
pub(crate) const LEGACY_MAGIC: [u8; 10] =
    [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A zip file: PyTorch's format since 1.6.
    Zip,
    /// PyTorch's format before 1.6.
    Legacy,
    /// A pickle that `torch.save` did not write.
    Pickle,
    /// Safetensors.
    Safetensors,
    /// An ONNX model.
    Onnx,
    /// The list of layers of an ncnn model.
    Ncnn,
    /// A web page, usually an error or login page saved under the model's name.
    Html,
    /// A Git LFS pointer: the few lines that stand for the real file.
    GitLfs,
    /// Plain text.
    Text,
    /// A gzip stream.
    Gzip,
    /// A tar archive, PyTorch's format before 0.1.10 included.
    Tar,
    /// An HDF5 file (Keras).
    Hdf5,
    /// GGUF, the format of llama.cpp.
    Gguf,
    /// An engine of TensorRT.
    TensorRt,
    /// A TensorFlow Lite model.
    TfLite,
    /// A 7z or RAR archive.
    Packed,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

impl Kind {
    /// What to do with such a file.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Zip | Self::Legacy | Self::Safetensors | Self::Onnx | Self::Ncnn => {
                "open it as a checkpoint"
            }
            Self::Pickle => "save the model again with torch.save",
            Self::Html => "the link led to a web page, download the file itself",
            Self::GitLfs => "fetch the file itself with `git lfs pull`",
            Self::Text => "check where it came from",
            Self::Gzip => "unpack it first",
            Self::Tar => "unpack it first, or save it again if PyTorch before 0.1.10 wrote it",
            Self::Hdf5 => "convert it with the framework that wrote it",
            Self::Gguf | Self::TfLite => "fetch the original checkpoint",
            Self::TensorRt => {
                "it is compiled for one kind of GPU, bring the .pth or .onnx file that it was \
                 made from"
            }
            Self::Packed => "unpack it first",
            Self::Empty => "the download did not start, fetch it again",
            Self::Unknown => "check where it came from",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zip => "a zip file",
            Self::Legacy => "a legacy PyTorch checkpoint",
            Self::Pickle => "a plain Python pickle",
            Self::Safetensors => "a safetensors file",
            Self::Onnx => "an ONNX model",
            Self::Ncnn => "an ncnn model",
            Self::Html => "an HTML page",
            Self::GitLfs => "a Git LFS pointer",
            Self::Text => "a text",
            Self::Gzip => "a gzip file",
            Self::Tar => "a tar file",
            Self::Hdf5 => "an HDF5 file",
            Self::Gguf => "a GGUF file",
            Self::TensorRt => "a TensorRT engine",
            Self::TfLite => "a TensorFlow Lite model",
            Self::Packed => "a 7z or RAR archive",
            Self::Empty => "an empty file",
            Self::Unknown => "a file of unknown type",
        })
    }
}

/// Says what a file is from its first [`DETECT_BYTES`] bytes (or all of it, if it is shorter).
///
/// ```
/// use pentimento_convert::{detect, Kind};
/// assert_eq!(detect(b"<!DOCTYPE html>"), Kind::Html);
/// assert_eq!(detect(b"PK\x03\x04\0\0"), Kind::Zip);
/// ```
pub fn detect(first_bytes: &[u8]) -> Kind {
    let b = first_bytes;
    match b {
        [] => Kind::Empty,
        // An entry's header, or the end record of a zip file without entries.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        // Its length may begin as other kinds do: 0x80 0x05 is also how a pickle begins.
        [_, _, _, _, _, _, 0, 0, b'{', ..] => Kind::Safetensors,
        // PROTO with a protocol that Python has had.
        [0x80, 2..=5, rest @ ..] => {
            // Protocol 4 puts a frame header of 9 bytes before the magic number.
            let head = rest.get(..32).unwrap_or(rest);
            if head.windows(LEGACY_MAGIC.len()).any(|w| w == LEGACY_MAGIC) {
                Kind::Legacy
            } else {
                Kind::Pickle
            }
        }
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [0x89, b'H', b'D', b'F', ..] => Kind::Hdf5,
        [b'G', b'G', b'U', b'F', ..] => Kind::Gguf,
        [b'f' | b'p', b't', b'r', b't', ..] => Kind::TensorRt,
        // The name of a FlatBuffers schema stands behind the offset of the root.
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Kind::TfLite,
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] | [b'R', b'a', b'r', b'!', 0x1a, ..] => {
            Kind::Packed
        }
        // The version of the format, then another field of the model.
        [0x08, 1..=0x1f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => Kind::Onnx,
        // The same number as a word and as a text.
        [0xdd, 0x85, 0x76, 0x00, ..]
        | [b'7', b'7', b'6', b'7', b'5', b'1', b'7', b'\r' | b'\n', ..] => Kind::Ncnn,
        _ if b.get(257..262) == Some(b"ustar") => Kind::Tar,
        _ => text(b),
    }
}

/// The kind of a text, `Unknown` if the bytes are none.
fn text(bytes: &[u8]) -> Kind {
    // A multi-byte character may be cut at the end of what was read.
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => bytes
            .get(..e.valid_up_to())
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or_default(),
        Err(_) => return Kind::Unknown,
    };
    if valid.is_empty() || valid.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Kind::Unknown;
    }
    let start = valid.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || start.starts_with("<head")
    {
        Kind::Html
    } else if start.starts_with("version https://git-lfs") {
        Kind::GitLfs
    } else {
        Kind::Text
    }
}
