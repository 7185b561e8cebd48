//! What a device reaches at most, and how near a kernel comes to it (Williams, Waterman, Patterson
//! 2009): a kernel takes at least as long as its arithmetic at the arithmetic peak, as its traffic
//! at the bandwidth of memory, and as its launches.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cpu;
use crate::engine::{Device, Engine};
use crate::plan::{Rates, Work};
use crate::tensor::Dtype;

/// Measured by the probes; `None` where the device lacks it or nobody measured.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Peaks {
    /// f32 operations per second, two per fused multiply-add.
    pub f32: Option<f64>,
    /// f16 operations per second.
    pub f16: Option<f64>,
    /// Operations per second of cooperative matrices, f16 with f32 sums.
    pub cooperative: Option<f64>,
    /// Bytes per second that come from and go to memory.
    pub memory: Option<f64>,
    /// Bytes per second that come from workgroup memory; on the CPU, from the first-level cache.
    pub workgroup: Option<f64>,
    /// Seconds that one launch takes at least.
    pub launch: Option<f64>,
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Arithmetic in f32.
    F32,
    /// Arithmetic in f16.
    F16,
    /// Cooperative matrices.
    Cooperative,
    /// Memory bandwidth.
    Memory,
    /// Starting work.
    Launch,
    /// No peaks were measured.
    Unknown,
}

impl Limit {
    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::F32 => "f32",
            Limit::F16 => "f16",
            Limit::Cooperative => "coop",
            Limit::Memory => "memory",
            Limit::Launch => "launch",
            Limit::Unknown => "-",
        }
    }
}

/// Where a kernel stands under its roof.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Roof {
    /// What binds it.
    pub limit: Limit,
    /// The shortest possible time over the measured one. More than 1 where a transform saves
    /// arithmetic or a cache saves traffic.
    pub fraction: f64,
}

impl Peaks {
    /// Runs the probes on the engine's device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn measure(engine: &Engine) -> Result<Self> {
        let Device::Gpu(device) = engine.handle() else {
            return Ok(Self {
                f32: Some(cpu::probe::fma()),
                memory: Some(cpu::probe::memory()),
                workgroup: Some(cpu::probe::near_memory()),
                ..Self::default()
            });
        };
        let half = device.info().f16;
        Ok(Self {
            f32: Some(device.probe_fma(Dtype::F32)?),
            f16: half.then(|| device.probe_fma(Dtype::F16)).transpose()?,
            cooperative: device.probe_cooperative()?,
            memory: Some(device.probe_storage()?),
            workgroup: Some(device.probe_workgroup()?),
            launch: Some(device.probe_launch()?),
        })
    }

    /// By which times are predicted; `None` where a probe is missing.
    pub fn rates(&self) -> Option<Rates> {
        Rates::probed([self.f32?, self.memory?, self.workgroup?, self.launch?], self.cooperative)
    }

    /// The arithmetic peak for `dtype`: the best that the device offers for it.
    fn arithmetic(&self, dtype: Dtype) -> Option<(Limit, f64)> {
        let f32 = self.f32.map(|peak| (Limit::F32, peak));
        let half = [(Limit::F16, self.f16), (Limit::Cooperative, self.cooperative)];
        let half = half.into_iter().filter_map(|(limit, peak)| Some((limit, peak?)));
        match dtype {
            Dtype::F32 => f32,
            Dtype::F16 => half.chain(f32).max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }

    /// The shortest time for `work` in `dtype` with so many launches, and what binds it.
    pub fn shortest(&self, work: Work, dtype: Dtype, launches: usize) -> Option<(Limit, f64)> {
        let flops = 2.0 * work.multiply_adds as f64;
        let arithmetic = self.arithmetic(dtype).map(|(limit, peak)| (limit, flops / peak));
        let memory = self.memory.map(|peak| (Limit::Memory, work.bytes as f64 / peak));
        let launch = self.launch.map(|time| (Limit::Launch, time * launches as f64));
        let all = [arithmetic, memory, launch].into_iter().flatten();
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Where `work` stands that took `seconds`.
    pub fn roof(&self, work: Work, dtype: Dtype, launches: usize, seconds: f64) -> Roof {
        match self.shortest(work, dtype, launches) {
            Some((limit, shortest)) => {
                Roof { limit, fraction: shortest / seconds.max(f64::MIN_POSITIVE) }
            }
            None => Roof { limit: Limit::Unknown, fraction: 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_the_shortest_times_binds() {
        let peaks = Peaks {
            f32: Some(1e12),
            f16: Some(2e12),
            cooperative: Some(8e12),
            memory: Some(1e11),
            launch: Some(1e-5),
            ..Peaks::default()
        };
        let work = |multiply_adds, bytes| Work { multiply_adds, bytes };
        let compute = peaks.roof(work(500_000_000, 1000), Dtype::F32, 1, 2e-3);
        assert_eq!(compute.limit, Limit::F32);
        assert!((compute.fraction - 0.5).abs() < 1e-9);
        let half = peaks.roof(work(500_000_000, 1000), Dtype::F16, 1, 1e-3);
        assert_eq!(half.limit, Limit::Cooperative);
        assert_eq!(peaks.roof(work(10, 100_000_000), Dtype::F32, 1, 1.0).limit, Limit::Memory);
        let started = peaks.roof(work(10, 10), Dtype::F32, 3, 6e-5);
        assert_eq!(started.limit, Limit::Launch);
        assert!((started.fraction - 0.5).abs() < 1e-9);
        assert_eq!(Peaks::default().roof(work(1, 1), Dtype::F32, 1, 1.0).limit, Limit::Unknown);
    }
}
