//! Safetensors files as input: to give them another type or other names.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
};

use safetensors::SafeTensors;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::{
    Format,
    blob::Blob,
    contents::{Contents, Entry},
    dtype::Dtype,
    error::{Error, Result, short},
    names,
    options::Options,
    tensor::Layout,
};

/// The bytes of each tensor, by the name that the file gives it.
pub(crate) struct Parts {
    file: Blob,
    ranges: HashMap<String, Range<usize>>,
}

impl Parts {
    /// The bytes of a tensor.
    pub fn storage(&self, name: &str) -> Result<Blob> {
        let range = self.ranges.get(name).cloned();
        range.and_then(|range| self.file.slice(range)).ok_or_else(|| Error::Storage {
            key: short(name),
            reason: "it lies outside the file".into(),
        })
    }
}

/// What the safetensors file `file` holds.
pub(crate) fn read(file: &Blob, options: &Options) -> Result<(Contents, Parts)> {
    let bytes = file.bytes();
    let limit = options.limits.header_bytes as u64;
    let header = match bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length)) {
        Some(value) if value > limit && value <= bytes.len() as u64 => {
            let what = "the header".into();
            return Err(Error::Limit { what, value, limit, option: "header_bytes" });
        }
        Some(length) => 8..usize::try_from(length).unwrap_or(usize::MAX).saturating_add(8),
        None => 8..8,
    };
    let bad = |reason: String| Error::Safetensors { reason };
    // The parser quotes the file.
    let (length, parsed) =
        SafeTensors::read_metadata(bytes).map_err(|e| bad(short(&e.to_string())))?;
    let header = bytes.get(header).unwrap_or_default();
    if let Some(name) = repeated(header).map_err(|e| bad(short(&e.to_string())))? {
        return Err(Error::DuplicateName { name: short(&name), place: "the header".into() });
    }
    let stored = parsed.offset_keys();
    let mut found: Vec<&str> = stored.iter().map(String::as_str).collect();
    let stripped = names::strip(&mut found);
    names::check(&found, "the header", options)?;
    let mut ranges = HashMap::new();
    let mut tensors = Vec::new();
    for (key, name) in stored.iter().zip(found) {
        let Some(info) = parsed.info(key) else { continue };
        let dtype = Dtype::of_safetensors(info.dtype)
            .ok_or_else(|| Error::Dtype { name: short(name), dtype: info.dtype.to_string() })?;
        let layout = Layout::dense(&info.shape)
            .map_err(|reason| Error::Tensor { name: short(name), reason })?;
        let (start, end) = info.data_offsets;
        // In the file: `read_metadata` compared the last offset with its length.
        ranges.insert(key.clone(), 8 + length + start..8 + length + end);
        tensors.push(Entry::new(name.to_string(), dtype, layout, key.clone()));
    }
    let contents = Contents {
        format: Format::Safetensors,
        container: None,
        candidates: vec![String::new()],
        stripped,
        dropped: Vec::new(),
        metadata: parsed.metadata().clone().unwrap_or_default().into_iter().collect(),
        tensors,
    };
    if contents.tensors.is_empty() {
        return Err(Error::NoTensors { found: "an empty header".into() });
    }
    Ok((contents, Parts { file: file.clone(), ranges }))
}

/// A name that the header holds twice: readers differ in which one they take.
fn repeated(header: &[u8]) -> serde_json::Result<Option<String>> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(
            self,
            mut map: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut seen = HashSet::new();
            let mut repeated = None;
            while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                if !seen.contains(&name) {
                    seen.insert(name);
                } else {
                    repeated = Some(name);
                }
            }
            Ok(repeated)
        }
    }
    serde_json::Deserializer::from_slice(header).deserialize_map(Names)
}
