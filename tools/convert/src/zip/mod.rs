//! A zip file whose structure is checked before any entry is handed out.
//!
//! Only what PyTorch and common zip programs write is accepted: entries stored or deflated, 64-bit
//! extensions, no encryption, one volume. Directory and local headers must agree, names must be
//! unique, and no two entries may share bytes. Source: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.

mod directory;

use std::{
    collections::HashMap,
    io::{Read, Write},
    ops::Range,
};

use crate::{
    blob::{Blob, PIECE},
    error::{Error, Result, short},
    options::Options,
};

/// Deflate cannot do better: a match of 258 bytes takes at least 2 bits.
const DEFLATE_MAX_RATIO: u64 = 1032;

/// One entry of the directory.
struct Entry {
    deflated: bool,
    crc: u32,
    /// Bytes in the file.
    data: Range<usize>,
    /// Bytes after inflation.
    size: u64,
}

/// A zip file whose structure has been checked.
pub(crate) struct Zip {
    blob: Blob,
    entries: HashMap<String, Entry>,
    /// Bytes that may still be inflated.
    budget: u64,
    verify: bool,
    /// Whether large inflated entries go to a temporary file instead of memory.
    memory_map: bool,
}

impl Zip {
    pub fn open(blob: Blob, options: &Options) -> Result<Self> {
        let entries = directory::read(&blob, &options.limits)?;
        let budget = options.limits.expansion(blob.len());
        let Options { verify_checksums, memory_map, .. } = *options;
        let verify = verify_checksums && has_checksums(&entries);
        Ok(Self { entries, budget, verify, memory_map, blob })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Size of an entry after inflation.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.size)
    }

    /// The bytes of an entry: of the file if it is stored, a copy if it is deflated.
    pub fn read(&mut self, name: &str) -> Result<Option<Blob>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let outside = || zip(format!("the entry {:?} lies outside the file", short(name)));
        let stored = self.blob.slice(entry.data.clone()).ok_or_else(outside)?;
        let blob = if entry.deflated {
            if entry.size > self.budget {
                let (what, limit) = (format!("inflating {:?}", short(name)), self.budget);
                return Err(Error::Limit {
                    what,
                    value: entry.size,
                    limit,
                    option: "expansion_ratio",
                });
            }
            self.budget -= entry.size;
            let inflated = if self.memory_map && entry.size > PIECE as u64 {
                Blob::temporary(|file| inflate(stored.bytes(), entry.size, name, file))?
            } else {
                let mut bytes = Vec::new();
                inflate(stored.bytes(), entry.size, name, &mut bytes)?;
                Blob::from_vec(bytes)
            };
            stored.release(0..stored.len());
            inflated
        } else {
            stored
        };
        if self.verify {
            let mut crc = flate2::Crc::new();
            blob.pieces(|piece| {
                crc.update(piece);
                Ok(())
            })?;
            if crc.sum() != entry.crc {
                return Err(Error::Checksum {
                    entry: short(name),
                    recorded: entry.crc,
                    found: crc.sum(),
                });
            }
        }
        Ok(Some(blob))
    }
}

/// Whether any entry with bytes has a checksum: `torch.serialization.set_crc32_options(False)` leaves
/// 0 in all of them.
fn has_checksums(entries: &HashMap<String, Entry>) -> bool {
    entries.values().any(|entry| entry.crc != 0)
}

/// Inflates to exactly `size` bytes, never writing more than one byte over.
fn inflate(deflated: &[u8], size: u64, name: &str, out: &mut impl Write) -> Result<()> {
    let failed =
        |reason: String| zip(format!("the entry {:?} does not inflate: {reason}", short(name)));
    if size > (deflated.len() as u64).saturating_mul(DEFLATE_MAX_RATIO) {
        return Err(failed(format!("{} bytes cannot hold {size}", deflated.len())));
    }
    let mut decoder = flate2::read::DeflateDecoder::new(deflated).take(size.saturating_add(1));
    let written = std::io::copy(&mut decoder, out).map_err(|e| failed(e.to_string()))?;
    if written != size {
        return Err(failed(format!("its size is not the recorded {size} bytes")));
    }
    if decoder.into_inner().total_in() != deflated.len() as u64 {
        return Err(failed("its data end early".into()));
    }
    Ok(())
}

fn zip(reason: String) -> Error {
    Error::Zip { reason }
}
