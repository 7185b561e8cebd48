//! Two runs side by side.

use super::report::{Report, Row};
use super::stats::Timing;

/// A change is one when it exceeds this many deviations of both medians …
const DEVIATIONS: f64 = 3.0;
/// … and this part of the old time: what the same program shows from run to run.
const SMALLEST: f64 = 0.05;

/// What became of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It takes less time.
    Faster,
    /// It takes more.
    Slower,
    /// Nothing that exceeds the noise.
    Same,
}

/// A case in both runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Change<'r> {
    /// The new run's.
    pub row: &'r Row,
    /// The old time.
    pub old: Timing,
    /// New time over old time.
    pub ratio: f64,
    /// The deviation of the ratio.
    pub noise: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// A run compared with an earlier one.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison<'r> {
    /// Cases that both have, in the new run's order.
    pub changes: Vec<Change<'r>>,
    /// Cases that only the new run has.
    pub added: Vec<&'r str>,
    /// Why the two may not be comparable: another device, precision or clock.
    pub warnings: Vec<String>,
}

impl<'r> Comparison<'r> {
    /// `new` against `old`.
    pub fn new(old: &Report, new: &'r Report) -> Self {
        let (mut changes, mut added) = (Vec::new(), Vec::new());
        for row in &new.rows {
            let before = old.rows.iter().find(|o| o.kind == row.kind && o.name == row.name);
            match before {
                Some(before) => changes.push(Change::of(row, before.time)),
                None => added.push(row.name.as_str()),
            }
        }
        let (a, b) = (&old.machine, &new.machine);
        let facts = [
            ("processor", &a.processor, &b.processor),
            ("device", &a.device, &b.device),
            ("driver", &a.driver, &b.driver),
            ("precision", &a.precision, &b.precision),
        ];
        let differ = facts.into_iter().filter(|(_, a, b)| a != b);
        let warnings = differ.map(|(what, a, b)| format!("another {what}: {a}, now {b}")).collect();
        Self { changes, added, warnings }
    }

    /// Whether any case is slower.
    pub fn is_slower(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Slower)
    }
}

impl<'r> Change<'r> {
    fn of(row: &'r Row, old: Timing) -> Self {
        let new = row.time;
        let relative = |t: &Timing| t.error() / t.median.max(f64::MIN_POSITIVE);
        let ratio = new.median / old.median.max(f64::MIN_POSITIVE);
        let noise = ratio * relative(&new).hypot(relative(&old));
        let certain = (ratio - 1.0).abs() > (DEVIATIONS * noise).max(SMALLEST);
        let verdict = match certain {
            true if ratio > 1.0 => Verdict::Slower,
            true => Verdict::Faster,
            false => Verdict::Same,
        };
        Self { row, old, ratio, noise, verdict }
    }
}
