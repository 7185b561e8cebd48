//! Whether a driver computes rightly. The first time that it is to run a kernel, the kernel's smallest
//! step is computed on the CPU, too. A kernel that differs is left to another one for the same work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::check::{self, Oracle};
use crate::engine::Notes;
use crate::gpu;
use crate::graph::Op;
use crate::plan::Plan;
use crate::tensor::Dtype;
use crate::{Error, Result};

/// Largest relative L2 error of a kernel that is right, in f32 and in f16. A wrong one is off by far
/// more: it leaves parts out, or reads others.
const TOLERANCE: [f64; 2] = [1e-3, 5e-2];
/// What a driver gets wrong once may have been an accident.
const TRIES: usize = 2;
/// On random inputs the results of large weights may exceed f16: then the inputs get this factor.
const SMALLER: f32 = 1.0 / 64.0;

/// `plan` with kernels only that `device` computes rightly, by what `folder` holds and by trying the
/// rest. What was replaced goes to `notes`.
///
/// # Errors
/// [`Error::Device`] when a step has no kernel that is right; as [`gpu::Executor::new`] and
/// [`gpu::Executor::run`].
pub async fn verified(
    device: &gpu::Device,
    mut plan: Plan,
    folder: &Path,
    notes: &Notes,
) -> Result<Plan> {
    let mut verdicts = gpu::verdicts(device, folder);
    let mut refused: BTreeSet<(usize, &'static str)> = BTreeSet::new();
    loop {
        let kernels = gpu::fingerprints(device, &plan)?;
        let mut smallest: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, kernel) in kernels.iter().enumerate() {
            if verdicts.get(kernel).is_some() || !is_comparable(&plan.steps[index].op) {
                continue;
            }
            let work = |index: usize| {
                let step = &plan.steps[index];
                (plan.multiply_adds(step), step.output.shape.len())
            };
            let least = smallest.entry(kernel).or_insert(index);
            if work(index) < work(*least) {
                *least = index;
            }
        }
        let news = !smallest.is_empty();
        for (kernel, index) in smallest {
            verdicts.note(kernel, is_right(device, &plan, index).await?);
        }
        if news {
            verdicts.keep();
        }
        let is_wrong = |index: &usize| verdicts.get(&kernels[*index]) == Some(false);
        let wrong: Vec<usize> = (0..kernels.len()).filter(is_wrong).collect();
        if wrong.is_empty() {
            return Ok(plan);
        }
        for index in wrong {
            let name = plan.steps[index].variant.name();
            refused.insert((index, name));
            let Some(other) = replace(&mut plan, index, &refused)? else {
                return Err(Error::Device(format!(
                    "{} computes the kernel {name} wrongly; update its driver, or use the precision \
                     f32 or the CPU",
                    device.info()
                )));
            };
            notes.add(format!(
                "{} computes the kernel {name} wrongly; {other} takes its place",
                device.info()
            ));
        }
    }
}

/// Whether values may be random and rounding changes the result by little.
fn is_comparable(op: &Op) -> bool {
    !matches!(op, Op::ArgMax(_) | Op::Embedding(_))
}

/// Gives step `index` another kernel than those that were refused; its name.
fn replace(
    plan: &mut Plan,
    index: usize,
    refused: &BTreeSet<(usize, &'static str)>,
) -> Result<Option<&'static str>> {
    let names = plan.candidates(index)?.into_iter().map(|variant| variant.name());
    let others: Vec<_> = names.filter(|name| !refused.contains(&(index, *name))).collect();
    for name in others {
        if plan.force(index, name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

async fn is_right(device: &gpu::Device, plan: &Plan, index: usize) -> Result<bool> {
    let single = Arc::new(plan.isolated(index, 1));
    let mut inputs = check::inputs(&single);
    let tolerance = TOLERANCE[usize::from(plan.target.dtype == Dtype::F16)];
    let mut executor = gpu::Executor::new(device, single.clone()).await?;
    for _ in 0..TRIES {
        let given: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let error = match executor.run(&given).await {
            Ok(outputs) => {
                let check = check::against(Oracle::Cpu, &single, &given, &outputs[0], tolerance)?;
                if check.holds() {
                    return Ok(true);
                }
                check.error.unwrap_or(f64::INFINITY)
            }
            Err(Error::NonFinite { .. }) => {
                inputs.iter_mut().flatten().for_each(|v| *v *= SMALLER);
                f64::INFINITY
            }
            Err(error) => return Err(error),
        };
        log::warn!("{}: a relative error of {error:.1e}", plan.steps[index].variant);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Conv2d, Graph, Param};
    use crate::tensor::Shape;

    /// What is right is found once, and a damaged file counts as none.
    #[test]
    fn what_was_found_is_kept() {
        let options = gpu::DeviceOptions { selector: None, allow_software: true };
        let Ok(device) = gpu::Device::open_blocking(&options) else {
            crate::skipped::skip("what GPUs compute: there is none");
            return;
        };
        let mut graph = Graph::new();
        let x = graph.add_input("x", Shape::new(1, 3, 20, 30));
        let weight: Vec<f32> = (0..5 * 27).map(|i| (i % 11) as f32 * 0.1 - 0.5).collect();
        let weight = graph.add_param(Param::from_values("w", vec![5, 3, 3, 3], &weight));
        let y = graph.add(Conv2d::same(weight, 3), &[x]).unwrap();
        graph.set_output(y);
        let plan = Plan::new(Arc::new(graph), device.target(Dtype::F32)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes::default();
        let verify = || {
            let before = device.counters().buffers_created;
            let work = verified(&device, plan.clone(), folder.path(), &notes);
            let plan = crate::blocking::block_on(work).unwrap();
            (plan.steps[0].variant.clone(), device.counters().buffers_created > before)
        };
        let variant = plan.steps[0].variant.clone();
        assert_eq!(verify(), (variant.clone(), true), "tried");
        assert_eq!(verify(), (variant.clone(), false), "known");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::write(file.unwrap().path(), "{\"a\": 1}").unwrap();
        }
        assert_eq!(verify(), (variant, true), "tried again");
    }
}
