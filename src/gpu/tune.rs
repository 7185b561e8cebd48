//! Which tile of a kernel's family is the fastest here: tried once per shape, device and driver,
//! and kept on disk. All tiles of a family add in the same order, so that the choice changes the
//! time and no bit of the result.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::kept::Table;
use super::{Device, Executor};
use crate::Result;
use crate::control::Instant;
use crate::graph::Conv2d;
use crate::plan::{Convolution, Plan, Step, Variant};

/// How long the tiles of one network are tried, compilation apart.
const BUDGET: Duration = Duration::from_secs(1);

/// Rounds over all tiles at most; the least of each one's times counts.
const ROUNDS: usize = 5;

/// Chooses the tiles of `plan`'s steps by what `folder` holds, and tries those that it does not.
/// Without timestamps, or where no kernel of the plan has a choice, nothing changes.
///
/// # Errors
/// As [`Executor::new`] and [`Executor::profile`].
pub async fn tune(device: &Device, plan: &mut Plan, folder: &Path) -> Result<()> {
    let mut known = table(device, folder);
    let mut trials: BTreeMap<String, (Step, Vec<Variant>)> = BTreeMap::new();
    for index in 0..plan.steps.len() {
        let step = &plan.steps[index];
        let variants = alternatives(plan, index)?;
        let key = key(step, plan);
        if variants.len() > 1 && known.get(&key).is_none_or(|tile| tile >= variants.len()) {
            trials.entry(key).or_insert_with(|| (step.clone(), variants));
        }
    }
    if !trials.is_empty() && device.info().timestamps {
        for (key, tile) in fastest(device, plan, &trials).await? {
            known.note(&key, tile);
        }
        known.keep();
    }
    for index in 0..plan.steps.len() {
        let chosen = known.get(&key(&plan.steps[index], plan));
        let mut variants = alternatives(plan, index)?;
        if let Some(tile) = chosen.filter(|&tile| tile < variants.len()) {
            plan.steps[index].variant = variants.swap_remove(tile);
        }
    }
    Ok(())
}

/// The candidates of the kernel that step `index` has: they add in one order.
fn alternatives(plan: &Plan, index: usize) -> Result<Vec<Variant>> {
    let mut candidates = plan.candidates(index)?;
    candidates.retain(|variant| variant.name() == plan.steps[index].variant.name());
    Ok(candidates)
}

/// The quickest variant of each trial. One executor tries all, so that memory is taken and weights
/// are uploaded once.
async fn fastest(
    device: &Device,
    plan: &Plan,
    trials: &BTreeMap<String, (Step, Vec<Variant>)>,
) -> Result<Vec<(String, usize)>> {
    let mut candidates = Vec::new();
    let mut steps = Vec::new();
    for (key, (step, variants)) in trials {
        for (tile, variant) in variants.iter().enumerate() {
            candidates.push((key, tile));
            steps.push(Step { variant: variant.clone(), ..step.clone() });
        }
    }
    let trial = Plan { steps, ..plan.clone() };
    let mut executor = Executor::new(device, Arc::new(trial)).await?;
    let mut least = vec![Duration::MAX; candidates.len()];
    let start = Instant::now();
    for round in 0..=ROUNDS {
        let times = executor.profile().await?;
        // The first round also wakes the device and loads its caches.
        if round > 0 || start.elapsed() > BUDGET {
            for time in times {
                least[time.step] = least[time.step].min(time.time);
            }
        }
        if start.elapsed() > BUDGET {
            break;
        }
    }
    let mut best: BTreeMap<&String, (Duration, usize)> = BTreeMap::new();
    for (&(key, tile), &time) in candidates.iter().zip(&least) {
        let entry = best.entry(key).or_insert((time, tile));
        *entry = (*entry).min((time, tile));
    }
    Ok(best.into_iter().map(|(key, (_, tile))| (key.clone(), tile)).collect())
}

/// What makes two steps take the same time: kernel, shapes, geometry, and how numbers are stored.
fn key(step: &Step, plan: &Plan) -> String {
    let (x, y) = (step.input_shape(), step.output.shape);
    let taps = step.op.params().into_iter().map(|id| &plan.graph.param(id).dims[..]);
    let taps = taps.collect::<Vec<_>>();
    let geometry = match step.convolution() {
        Ok(Convolution { conv: Conv2d { stride, dilation, .. }, style, .. }) => {
            format!("{stride} {dilation} {:?} {}", step.upsample, style.is_some())
        }
        Err(_) => String::new(),
    };
    let (op, variant) = (step.op.name(), step.variant.name());
    format!("{op} {variant} {} {x} {y} {taps:?} {geometry}", plan.target.dtype)
}

/// The tiles that were the fastest, by [`key`].
fn table(device: &Device, folder: &Path) -> Table<usize> {
    Table::open(device, folder, "tiles")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::testing::{device, param, random};
    use crate::graph::Graph;
    use crate::tensor::{Dtype, Shape};

    /// The choice is kept, and no tile changes a bit.
    #[test]
    fn tiles_of_cooperative_matrices_are_tried_once() {
        let Some(device) = device() else { return };
        let target = device.target(Dtype::F16);
        if target.cooperative.is_none() {
            crate::skipped::skip(format_args!("{} has no cooperative matrices", device.info()));
            return;
        }
        let mut graph = Graph::new();
        // More channels would share their depth, by one tile.
        let x = graph.add_input("x", Shape::new(1, 30, 9, 10));
        let weight = param(&mut graph, &[70, 30, 3, 3]);
        let y = graph.add(Conv2d::same(weight, 3), &[x]).unwrap();
        graph.set_output(y);
        let mut plan = Plan::new(Arc::new(graph), target).unwrap();
        let folder = tempfile::tempdir().unwrap();
        crate::blocking::block_on(tune(device, &mut plan, folder.path())).unwrap();
        let variants = alternatives(&plan, 0).unwrap();
        let chosen = &plan.steps[0].variant;
        assert!(variants.len() > 1 && variants.contains(chosen));

        let mut known = table(device, folder.path());
        let now = variants.iter().position(|variant| variant == chosen).unwrap();
        let other = (now + 1) % variants.len();
        known.note(&key(&plan.steps[0], &plan), other);
        known.keep();
        crate::blocking::block_on(tune(device, &mut plan, folder.path())).unwrap();
        assert_eq!(plan.steps[0].variant, variants[other]);

        let x = random(1, 30 * 90);
        let mut run = |variant: &Variant| {
            plan.steps[0].variant = variant.clone();
            let mut executor = Executor::new_blocking(device, Arc::new(plan.clone())).unwrap();
            executor.run_blocking(&[&x]).unwrap()
        };
        let first = run(&variants[0]);
        for variant in &variants {
            assert_eq!(run(variant), first, "{variant}");
        }
    }
}
