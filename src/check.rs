//! One step of a plan, compared with what the CPU computes: what is timed, and what a driver computes
//! for the first time.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cpu;
use crate::graph::Op;
use crate::graph::ops::Embedding;
use crate::plan::Plan;

/// Multiply-adds that a twin computes in about a tenth of a second on one core.
const TWIN_WORK: u64 = 40_000_000;
/// Multiply-adds that the CPU executor computes in a few milliseconds.
const CPU_WORK: u64 = 100_000_000;
/// The most multiply-adds of a step whose channels cannot be taken apart.
const WHOLE_WORK: u64 = 2_000_000_000;

/// What a result was compared with, and how far it is from it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// "twin", "twin, 4 of 512 channels", "CPU executor", or why it was not compared.
    pub against: String,
    /// Relative L2 distance; `None` where nothing was compared.
    pub error: Option<f64>,
    /// The largest that is allowed.
    pub tolerance: f64,
}

impl Check {
    /// Nothing was compared.
    pub fn none(why: &str) -> Self {
        Self { against: why.to_owned(), error: None, tolerance: 0.0 }
    }

    /// `actual` against `expected`.
    pub fn of(against: String, actual: &[f32], expected: &[f32], tolerance: f64) -> Self {
        Self { against, error: Some(relative_error(actual, expected)), tolerance }
    }

    /// Whether the result is within its tolerance, or was not compared.
    pub fn holds(&self) -> bool {
        self.error.is_none_or(|error| error <= self.tolerance)
    }
}

/// `‖a - b‖ / ‖b‖`; infinite where the numbers of values differ or one is not finite.
fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() || actual.iter().any(|v| !v.is_finite()) {
        return f64::INFINITY;
    }
    let square = |v: f64| v * v;
    let (mut difference, mut norm) = (0.0, 0.0);
    for (&a, &b) in actual.iter().zip(expected) {
        difference += square(f64::from(a) - f64::from(b));
        norm += square(f64::from(b));
    }
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// Random inputs of a plan of single steps.
pub fn inputs(plan: &Plan) -> Vec<Vec<f32>> {
    let mut inputs = Vec::new();
    for (stream, view) in (1..).zip(&plan.inputs) {
        let mut values = noise(stream, view.shape.len());
        let reader = plan.steps.iter().find(|step| step.operands.first() == Some(view));
        if let Some(Op::Embedding(Embedding(table))) = reader.map(|step| &step.op) {
            let rows = plan.graph.param(*table).dims[0];
            for v in &mut values {
                *v = (v.abs() * rows as f32) as usize as f32 % rows as f32;
            }
        }
        inputs.push(values);
    }
    inputs
}

/// Who computes what a result is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Oracle {
    /// The twins, which are plain loops.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only benchmarks ask for it"))]
    Twin,
    /// The CPU executor, which is many times as fast.
    Cpu,
}

/// Compares `actual`, the first output of a plan of a single step on `inputs`, with the twin or the
/// CPU executor: whole where it takes little time, otherwise some of its channels.
///
/// # Errors
/// When the CPU cannot run it.
pub fn against(
    oracle: Oracle,
    plan: &Plan,
    inputs: &[&[f32]],
    actual: &[f32],
    tolerance: f64,
) -> Result<Check> {
    let plan = plan.for_cpu()?;
    let work = plan.multiply_adds(&plan.steps[0]);
    let shape = plan.steps[0].output.shape;
    let (name, most) = match oracle {
        Oracle::Twin => ("twin", TWIN_WORK),
        Oracle::Cpu => ("CPU executor", CPU_WORK),
    };
    let some = channels(&plan, work, most, shape.c);
    let restricted = some.clone().and_then(|some| plan.restricted(0, some));
    match (restricted, some) {
        (Some(plan), Some(some)) => {
            let expected = expected(oracle, plan, inputs)?;
            // The outputs are read as a whole; the channels that were not computed are left out.
            let part = |values: &[f32]| -> Vec<f32> {
                let samples = values.chunks(shape.sample());
                let planes = some.start * shape.plane()..some.end * shape.plane();
                samples.flat_map(|sample| &sample[planes.clone()]).copied().collect()
            };
            let (actual, expected) = (part(actual), part(&expected));
            let against = format!("{name}, {} of {} channels", some.len(), shape.c);
            Ok(Check::of(against, &actual, &expected, tolerance))
        }
        _ if work > WHOLE_WORK => Ok(Check::none(&format!("the {name} would take too long"))),
        _ => {
            let expected = expected(oracle, plan, inputs)?;
            Ok(Check::of(name.to_owned(), actual, &expected, tolerance))
        }
    }
}

/// The channels that are computed of a step of so much work, `most` of it; `None`: all of them.
fn channels(plan: &Plan, work: u64, most: u64, all: usize) -> Option<Range<usize>> {
    let count = (most * all as u64 / work.max(1)).max(1) as usize;
    let first = plan.steps[0].epilogue.sft.map_or(all / 3, |sft| sft.first_channel);
    (count < all).then(|| first..(first + count).min(all))
}

fn expected(oracle: Oracle, plan: Plan, inputs: &[&[f32]]) -> Result<Vec<f32>> {
    let plan = Arc::new(plan);
    let mut executor = match oracle {
        Oracle::Twin => cpu::Executor::reference(plan)?,
        Oracle::Cpu => cpu::Executor::new(plan)?,
    };
    Ok(executor.run(inputs)?.into_iter().next().unwrap_or_default())
}

/// Uniform in [0, 1): element `i` of a stream of SplitMix64 (Steele, Lea, Flood 2014).
pub fn uniform(stream: u64, i: u64) -> f32 {
    let z = stream.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
}

/// `len` values uniform in [-√3, √3): mean 0 and deviation 1.
pub fn noise(stream: u64, len: usize) -> Vec<f32> {
    (0..len as u64).map(|i| 3f32.sqrt() * (2.0 * uniform(stream, i) - 1.0)).collect()
}
