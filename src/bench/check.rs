//! Every result that is timed is compared with the CPU twin in the same run.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::weights::noise;
use crate::cpu;
use crate::error::Result;
use crate::graph::Op;
use crate::graph::ops::Embedding;
use crate::plan::Plan;

/// Multiply-adds that a twin computes in about a tenth of a second on one core.
const TWIN_WORK: u64 = 40_000_000;
/// Multiply-adds of a twin for steps whose channels cannot be taken apart.
const WHOLE_TWIN_WORK: u64 = 2_000_000_000;

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

/// Compares `actual`, the first output of a plan of a single step on `inputs`, with the twin: whole
/// where it takes little time, otherwise some of its channels.
///
/// # Errors
/// When the twin cannot run.
pub fn against_twin(
    plan: &Plan,
    inputs: &[&[f32]],
    actual: &[f32],
    tolerance: f64,
) -> Result<Check> {
    let plan = plan.for_cpu()?;
    let work = plan.multiply_adds(&plan.steps[0]);
    let shape = plan.steps[0].output.shape;
    let some = channels(&plan, work, shape.c);
    let restricted = some.clone().and_then(|some| plan.restricted(0, some));
    match (restricted, some) {
        (Some(plan), Some(some)) => {
            let expected = twin(plan, inputs)?;
            let sample = |n: usize| {
                let first = n * shape.sample();
                &actual[first + some.start * shape.plane()..first + some.end * shape.plane()]
            };
            let actual: Vec<f32> = (0..shape.n).flat_map(sample).copied().collect();
            // The output is read as a whole; the channels that were not computed are left out.
            let part = |n: usize| {
                let first = n * shape.sample();
                &expected[first + some.start * shape.plane()..first + some.end * shape.plane()]
            };
            let expected: Vec<f32> = (0..shape.n).flat_map(part).copied().collect();
            let against = format!("twin, {} of {} channels", some.len(), shape.c);
            Ok(Check::of(against, &actual, &expected, tolerance))
        }
        _ if work > WHOLE_TWIN_WORK => Ok(Check::none("the twin would take too long")),
        _ => Ok(Check::of("twin".to_owned(), actual, &twin(plan, inputs)?, tolerance)),
    }
}

/// The channels that the twin computes of a step of so much work; `None`: all of them.
fn channels(plan: &Plan, work: u64, all: usize) -> Option<Range<usize>> {
    let count = (TWIN_WORK * all as u64 / work.max(1)).max(1) as usize;
    let first = plan.steps[0].epilogue.sft.map_or(all / 3, |sft| sft.first_channel);
    (count < all).then(|| first..(first + count).min(all))
}

fn twin(plan: Plan, inputs: &[&[f32]]) -> Result<Vec<f32>> {
    let outputs = cpu::Executor::reference(Arc::new(plan))?.run(inputs)?;
    Ok(outputs.into_iter().next().unwrap_or_default())
}
