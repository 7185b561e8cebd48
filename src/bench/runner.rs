//! Runs plans on either executor and times their steps.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::engine::{Device, Engine};
use crate::plan::Plan;
use crate::{cpu, gpu};

/// Whose clock times a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Timestamps that the device writes before and after.
    Device,
    /// The host's, on the CPU executor: around the call.
    Host,
    /// The host's, on a GPU without timestamps: from the submission until the host knows that it
    /// is done, which takes longer than the kernel.
    Wait,
}

/// A plan on a device.
pub enum Runner {
    /// On the CPU executor.
    Cpu(Box<cpu::Executor>),
    /// On a GPU.
    Gpu(Box<gpu::Executor>),
}

impl Runner {
    /// Prepares `plan`, which was made for the engine's target.
    ///
    /// # Errors
    /// When the device has no room, or its driver cannot compile a kernel.
    pub fn new(engine: &Engine, plan: Plan) -> Result<Self> {
        let plan = Arc::new(plan);
        match engine.handle() {
            Device::Cpu => {
                let mut executor = cpu::Executor::new(plan)?;
                executor.watch.time_steps = true;
                Ok(Self::Cpu(Box::new(executor)))
            }
            Device::Gpu(device) => {
                Ok(Self::Gpu(Box::new(gpu::Executor::new_blocking(device, plan)?)))
            }
        }
    }

    /// Runs it on `inputs`; yields its outputs.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Cpu(executor) => executor.run(inputs),
            Self::Gpu(executor) => executor.run_blocking(inputs),
        }
    }

    /// Runs it once more: when each step began after the first one, and how long it took. A GPU
    /// works on the inputs that it has from the last [`Runner::run`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn spans(&mut self, inputs: &[&[f32]]) -> Result<Vec<[Duration; 2]>> {
        match self {
            Self::Cpu(executor) => {
                executor.run(inputs)?;
                let mut start = Duration::ZERO;
                let spans = executor.step_times.iter().map(|&time| {
                    start += time;
                    [start - time, time]
                });
                Ok(spans.collect())
            }
            Self::Gpu(executor) => {
                let steps = executor.profile_blocking()?;
                Ok(steps.iter().map(|step| [step.start, step.time]).collect())
            }
        }
    }
}

/// What times kernels on `engine`.
pub fn clock(engine: &Engine) -> Clock {
    match engine.handle() {
        Device::Cpu => Clock::Host,
        Device::Gpu(device) if device.info().timestamps => Clock::Device,
        Device::Gpu(_) => Clock::Wait,
    }
}
