//! Which kernels a driver was seen to compute rightly, and which wrongly: found once, kept on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Device, kept, ops, shader};
use crate::Result;
use crate::plan::Plan;

/// Larger files than this are none of ours.
const MAX_BYTES: u64 = 1 << 20;

/// What is known of the kernels of one device and driver.
#[derive(Debug)]
pub struct Verdicts {
    path: PathBuf,
    /// By the hash of a step's kernels; whether they are right.
    known: BTreeMap<String, bool>,
}

impl Verdicts {
    /// What `folder` holds of `device`. A file that is damaged counts as none.
    pub fn open(device: &Device, folder: &Path) -> Self {
        let name = format!("{} {}", device.info(), env!("CARGO_PKG_VERSION"));
        let path = folder.join(format!("kernels-{:016x}.json", kept::hash(name.as_bytes())));
        let bytes = kept::read(&path, MAX_BYTES).unwrap_or_default();
        Self { path, known: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// What is known of these kernels.
    pub fn of(&self, kernels: &str) -> Option<bool> {
        self.known.get(kernels).copied()
    }

    /// Notes whether these kernels are right.
    pub fn note(&mut self, kernels: &str, right: bool) {
        self.known.insert(kernels.to_owned(), right);
    }

    /// Keeps what was noted. That it cannot be written is only logged.
    pub fn keep(&self) {
        if let Ok(text) = serde_json::to_vec_pretty(&self.known) {
            kept::write(&self.path, &[&text]);
        }
    }
}

/// Of every step of `plan` a hash of the text of its kernels, by which [`Verdicts`] knows them.
///
/// # Errors
/// When a step has no kernel.
pub fn fingerprints(device: &Device, plan: &Plan) -> Result<Vec<String>> {
    let files = device.inner.pipelines.files();
    let mut texts: BTreeMap<super::Shader, u64> = BTreeMap::new();
    let of = |step| {
        let mut all = Vec::new();
        for dispatch in ops::record(step, plan)? {
            let hash = match texts.get(&dispatch.shader) {
                Some(&hash) => hash,
                None => {
                    let hash = kept::hash(shader::expand(files, &dispatch.shader)?.code.as_bytes());
                    texts.insert(dispatch.shader, hash);
                    hash
                }
            };
            all.extend(hash.to_le_bytes());
        }
        Ok(format!("{:016x}", kept::hash(&all)))
    };
    plan.steps.iter().map(of).collect()
}
