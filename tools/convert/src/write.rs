//! Writes a safetensors file: under a temporary name, one piece after the other, then renamed.
//!
//! The crate `safetensors` writes one too, but metadata in a random order, so that no two files were
//! the same, and each tensor in one piece that cannot fail to be read.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, ErrorKind, Seek, Write},
    path::{Path, PathBuf},
};

use safetensors::tensor::TensorInfo;
use serde::{Serializer, ser::SerializeMap};
use tempfile::TempPath;

use crate::{
    blob::PIECE,
    dtype::Dtype,
    error::{Error, Result},
};

/// A tensor's line in the header.
pub(crate) struct Line<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    pub shape: &'a [usize],
    /// Length of its data.
    pub bytes: usize,
}

/// The first bytes of a file with these metadata, and with these tensors in this order: the length
/// of the header as 8 bytes, and the header, padded with spaces so that data start at a multiple of
/// 8 bytes.
pub(crate) fn header(metadata: &BTreeMap<&str, String>, lines: &[Line<'_>]) -> Result<Vec<u8>> {
    let mut out = vec![0; 8];
    let mut end = 0_usize;
    let written = (|| {
        let mut json = serde_json::Serializer::new(&mut out);
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("__metadata__", metadata)?;
        for Line { name, dtype, shape, bytes } in lines {
            let start = end;
            end = end.saturating_add(*bytes);
            let (dtype, shape) = (dtype.safetensors(), shape.to_vec());
            let info = TensorInfo { dtype, shape, data_offsets: (start, end) };
            map.serialize_entry(name, &info)?;
        }
        map.end()
    })();
    written.map_err(|e| Error::Safetensors { reason: e.to_string() })?;
    out.resize(out.len().next_multiple_of(8), b' ');
    let length = (out.len() - 8) as u64;
    if let Some(first) = out.first_chunk_mut() {
        *first = length.to_le_bytes();
    }
    Ok(out)
}

/// A file that appears under its name whole or not at all.
pub(crate) struct Output {
    // Apart from the temporary name, which tempfile's own file would add to each error.
    file: BufWriter<File>,
    unfinished: TempPath,
    path: PathBuf,
    overwrite: bool,
}

impl Output {
    /// Begins a file that will be `path`; its folder must exist.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let io = |source| Error::Write { path: path.into(), source };
        if path.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        // Nothing takes the place of a device or a pipe.
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(io(std::io::Error::other("it is a device or a pipe, not a file")));
        }
        if !overwrite && path.exists() {
            return Err(Error::Exists { path: path.into() });
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut options = tempfile::Builder::new();
        options.prefix(".pentimento-");
        // Opened here: tempfile's own message would name the temporary file, and its permissions are
        // "owner only", where other new files have what the umask leaves.
        let new = |name: &Path| File::options().read(true).write(true).create_new(true).open(name);
        let (file, unfinished) = options.make_in(folder, new).map_err(io)?.into_parts();
        let file = BufWriter::with_capacity(PIECE, file);
        Ok(Self { file, unfinished, path: path.into(), overwrite })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| self.error(e))
    }

    /// Writes `head` again, over the bytes at the start, and gives the file its name.
    pub fn finish(mut self, head: &[u8]) -> Result<()> {
        let rewound = self.file.rewind().and_then(|()| self.file.write_all(head));
        rewound.and_then(|()| self.file.flush()).map_err(|e| self.error(e))?;
        let Self { file, unfinished, path, overwrite } = self;
        let io = |source| Error::Write { path: path.clone(), source };
        let file = file.into_inner().map_err(|e| io(e.into_error()))?;
        // Otherwise the name may reach the disk first, and a loss of power leaves an empty file of
        // that name. Some file systems have no such call.
        match file.sync_all() {
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {}
            result => result.map_err(io)?,
        }
        if overwrite {
            unfinished.persist(&path).map_err(|e| io(e.error))?;
        } else {
            // The check at the start told this in time; another program may have come between.
            unfinished.persist_noclobber(&path).map_err(|e| match e.error.kind() {
                std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
                _ => io(e.error),
            })?;
        }
        Ok(())
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}
