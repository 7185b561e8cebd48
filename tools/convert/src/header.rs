//! The header of a safetensors file: read entry by entry, so that a limit ends the reading before
//! the entries take memory.
//!
//! Format: 8 bytes with the header's length, little-endian; one JSON object of that length, padded
//! with spaces, whose `__metadata__` holds texts and whose other entries are tensors; their data,
//! which follow each other without a gap and end with the file.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Range,
};

use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
    },
};

use crate::{
    dtype::Dtype,
    error::{Error, Result, short},
    options::Limits,
    tensor::MAX_DIMS,
};

/// A tensor as the header declares it.
pub(crate) struct Line {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
}

/// What the header of `file` says, its tensors in the order of their data.
pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<(BTreeMap<String, String>, Vec<Line>)> {
    let json = json(file, limits)?;
    let mut header = Header { limits, refused: None, metadata: BTreeMap::new(), lines: Vec::new() };
    let mut parser = serde_json::Deserializer::from_slice(json);
    let parsed = parser.deserialize_map(&mut header).and_then(|()| parser.end());
    if let Err(error) = parsed {
        // The parser quotes the file.
        return Err(header.refused.unwrap_or_else(|| unsound(short(&error.to_string()))));
    }
    let Header { metadata, lines, .. } = header;
    let lines = placed(lines, 8 + json.len(), file.len())?;
    Ok((metadata, lines))
}

/// The bytes of the JSON object.
fn json<'f>(file: &'f [u8], limits: &Limits) -> Result<&'f [u8]> {
    let Some(length) = file.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return Err(unsound("it ends before its header".into()));
    };
    let rest = file.get(8..).unwrap_or_default();
    let json = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let Some(json) = json else {
        return Err(unsound(format!(
            "its header takes {length} bytes and {} are left: the file is cut short, fetch it \
             again",
            rest.len()
        )));
    };
    let limit = limits.header_bytes as u64;
    if length > limit {
        let what = "the header".into();
        return Err(Error::Limit { what, value: length, limit, option: "header_bytes" });
    }
    Ok(json)
}

/// A tensor before its place is checked.
struct Found {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    offsets: [u64; 2],
}

/// Sorts tensors by their place, and refuses gaps, overlaps, and lengths that are not their shape's.
fn placed(mut found: Vec<Found>, start: usize, file: usize) -> Result<Vec<Line>> {
    found.sort_by_key(|found| found.offsets);
    let mut end = 0_u64;
    let mut lines = Vec::with_capacity(found.len());
    for Found { name, dtype, shape, offsets } in found {
        let wrong = |reason: String| Error::Tensor { name: short(&name), reason };
        let sizes = || shape.iter().map(|&d| d as u64);
        // Zeros left out, so that [2^40, 2^40, 0] does not get through either.
        let extent = sizes().try_fold(1_u64, |n, d| n.checked_mul(d.max(1)));
        let extent = extent.filter(|&n| n <= isize::MAX as u64);
        let extent = extent.ok_or_else(|| wrong("its element count overflows".into()))?;
        let numel = if shape.contains(&0) { 0 } else { extent };
        let [from, to] = offsets;
        if from != end {
            return Err(wrong(format!("its data start at {from}, those before it end at {end}")));
        }
        if numel.checked_mul(dtype.size() as u64) != to.checked_sub(from) {
            return Err(wrong(format!(
                "its data, {from} to {to}, are not those of {shape:?} of {dtype}"
            )));
        }
        end = to;
        let place = |offset: u64| {
            let offset = usize::try_from(offset).ok()?;
            offset.checked_add(start).filter(|&place| place <= file)
        };
        let (Some(first), Some(last)) = (place(from), place(to)) else {
            return Err(unsound(format!(
                "its tensors take {to} bytes and {} are left: the file is cut short, fetch it \
                 again",
                file.saturating_sub(start)
            )));
        };
        lines.push(Line { name, dtype, shape, bytes: first..last });
    }
    match lines.last().map_or(start, |line| line.bytes.end) {
        last if last == file => Ok(lines),
        last => Err(unsound(format!("{} bytes follow its last tensor", file - last))),
    }
}

fn unsound(reason: String) -> Error {
    Error::Safetensors { reason }
}

/// The header's entries so far.
struct Header<'l> {
    limits: &'l Limits,
    /// Why the reading was ended, where the parser's error does not say it.
    refused: Option<Error>,
    metadata: BTreeMap<String, String>,
    lines: Vec<Found>,
}

impl Header<'_> {
    /// Ends the reading with `error`.
    fn refuse<E: serde::de::Error>(&mut self, error: Error) -> E {
        let told = E::custom(&error);
        self.refused.get_or_insert(error);
        told
    }

    fn limit<E: serde::de::Error>(&mut self, what: &str, limit: usize, option: &'static str) -> E {
        let (value, limit) = (limit as u64 + 1, limit as u64);
        self.refuse(Error::Limit { what: what.into(), value, limit, option })
    }

    fn repeated<E: serde::de::Error>(&mut self, name: &str, place: &str) -> E {
        self.refuse(Error::DuplicateName { name: short(name), place: place.into() })
    }
}

impl<'de> Visitor<'de> for &mut Header<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(self.repeated(&name, "the header"));
            }
            if name == "__metadata__" {
                map.next_value_seed(Texts(self))?;
                continue;
            }
            if self.lines.len() >= self.limits.tensors {
                return Err(self.limit("the list of tensors", self.limits.tensors, "tensors"));
            }
            let info: Info = map.next_value()?;
            let Some(dtype) = Dtype::of_safetensors(&info.dtype) else {
                let (name, dtype) = (short(&name), short(&info.dtype));
                return Err(self.refuse(Error::Dtype { name, dtype }));
            };
            self.lines.push(Found { name, dtype, shape: info.shape.0, offsets: info.data_offsets });
        }
        Ok(())
    }
}

/// `__metadata__`: texts, none twice.
struct Texts<'h, 'l>(&'h mut Header<'l>);

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let Self(header) = self;
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if header.metadata.len() >= header.limits.metadata {
                return Err(header.limit("the metadata", header.limits.metadata, "metadata"));
            }
            if header.metadata.contains_key(&key) {
                return Err(header.repeated(&key, "the metadata"));
            }
            header.metadata.insert(key, value);
        }
        Ok(())
    }
}

/// A tensor's entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    shape: Dims,
    data_offsets: [u64; 2],
}

/// At most [`MAX_DIMS`] dimensions; more are not kept.
struct Dims(Vec<usize>);

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Dims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Dims, A::Error> {
                let mut dims = Vec::new();
                while dims.len() < MAX_DIMS {
                    match seq.next_element()? {
                        Some(size) => dims.push(size),
                        None => return Ok(Dims(dims)),
                    }
                }
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(Dims(dims)),
                    Some(_) => Err(A::Error::custom(format!("more than {MAX_DIMS} dimensions"))),
                }
            }
        }
        deserializer.deserialize_seq(Sizes)
    }
}
