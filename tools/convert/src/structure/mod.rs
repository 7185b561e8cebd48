//! From a network of nameless layers to tensors with the names of the architecture that it is.
//!
//! ONNX and ncnn files keep what a network computes and lose what its tensors were called: constants
//! are folded and numbered. So each architecture is recognised by its structure. Beginning with what
//! the network gives, every step is compared with the step that the architecture makes there, its
//! constants included, until the network's input is reached. Only then do the tensors get their names.
//! A relative with other wiring is refused, with the place where it differs.

mod array;
mod bisenet;
mod codeformer;
mod find;
mod gfpgan;
mod gpen;
mod graph;
mod modulated;
mod nafnet;
mod norm;
mod parsenet;
mod refuse;
mod restoreformer;
mod retinaface;
mod rrdb;
mod span;
mod srvgg;
mod vqgan;
mod yunet;

pub(crate) use array::{Array, count};
pub(crate) use graph::{Graph, Id, Op, Resize, Window};

use find::{Found, Layer, Mismatch};

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Tensors under the names of their architecture.
#[derive(Debug, Default)]
pub(crate) struct Mapped {
    pub tensors: Vec<(String, Array)>,
    /// Additions of the file around the network, and missing parts: for the report.
    pub notes: Vec<String>,
    /// Facts that the file holds and tensors do not, by name: for the metadata.
    pub facts: BTreeMap<String, String>,
}

impl Mapped {
    fn push(&mut self, name: impl Into<String>, array: Array) {
        self.tensors.push((name.into(), array));
    }

    fn fact(&mut self, name: &str, value: String) {
        self.facts.insert(name.into(), value);
    }

    /// `{name}.weight`, and `{name}.bias` where there is one.
    fn layer(&mut self, name: &str, layer: Layer) {
        self.push(format!("{name}.weight"), layer.weight);
        if let Some(bias) = layer.bias {
            self.push(format!("{name}.bias"), bias);
        }
    }
}

/// Follows one architecture from the outputs to the inputs.
type Matcher = fn(&Graph) -> Found<Mapped>;

const KNOWN: [(&str, Matcher); 12] = [
    ("RRDBNet", rrdb::find),
    ("SRVGGNetCompact", srvgg::find),
    ("YuNet", yunet::find),
    ("RetinaFace", retinaface::find),
    ("GFPGANv1Clean", gfpgan::find),
    ("GPEN", gpen::find),
    ("RestoreFormer", restoreformer::find),
    ("CodeFormer", codeformer::find),
    ("ParseNet", parsenet::find),
    ("BiSeNet", bisenet::find),
    ("SPAN", span::find),
    ("NAFNet", nafnet::find),
];

/// The tensors of the network, which came from a file of this format.
///
/// # Errors
/// [`Error::Structure`] when it is none of the known ones.
pub(crate) fn map(graph: &Graph, format: &'static str) -> Result<Mapped> {
    let mut nearest: Option<(&str, Mismatch)> = None;
    for (name, find) in KNOWN {
        match find(graph) {
            Ok(mapped) => return Ok(mapped),
            Err(miss) => {
                if nearest.as_ref().is_none_or(|(_, best)| miss.at < best.at) {
                    nearest = Some((name, miss));
                }
            }
        }
    }
    let known: Vec<&str> = KNOWN.iter().map(|&(name, _)| name).collect();
    Err(Error::Structure { format, what: refuse::describe(graph, nearest, &known) })
}
