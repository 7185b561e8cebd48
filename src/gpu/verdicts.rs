//! Which kernels a driver was seen to compute rightly, and which wrongly: found once, kept on disk.

use std::path::Path;

use super::kept::{self, Table};
use super::{Device, ops};
use crate::Result;
use crate::plan::Plan;

/// Whether kernels are right, by the hash of a step's kernels: what `folder` holds of `device`.
pub fn verdicts(device: &Device, folder: &Path) -> Table<bool> {
    Table::open(device, folder, "kernels")
}

/// Of every step of `plan` a hash of the text of its kernels, by which [`verdicts`] are kept.
///
/// # Errors
/// When a step has no kernel.
pub fn fingerprints(device: &Device, plan: &Plan) -> Result<Vec<String>> {
    let of = |step| {
        let mut all = Vec::new();
        for dispatch in ops::record(step, plan)? {
            all.extend(device.inner.pipelines.text_hash(&dispatch.shader)?.to_le_bytes());
        }
        Ok(format!("{:016x}", kept::hash(&all)))
    };
    plan.steps.iter().map(of).collect()
}
