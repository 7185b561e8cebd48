//! How long a plan keeps a device whose rates nobody measured, from its workgroups alone.

use super::Counts;
use crate::plan::Plan;

impl Plan {
    /// Multiply-adds of all steps, each over the share of `units` units that have a workgroup: with twice
    /// the pictures, a step that fills the device takes twice as much, and one that leaves half of it idle
    /// as much as before. `None` for the CPU.
    pub fn occupied(&self, units: f64) -> Option<f64> {
        let step = |step| {
            let busy = (Counts::of(step, self)?.workgroups / units).clamp(1.0 / units, 1.0);
            Some(self.multiply_adds(step) as f64 / busy)
        };
        self.steps.iter().map(step).sum()
    }
}
