//! A device's peak rates, measured by the kernels in `kernels/probes`.

use std::time::Duration;

use wgpu::BufferUsages as Usage;

use super::Device;
use super::Shader;
use super::builder::{Call, grid, wgsl};
use super::call::{Bound, Calls};
use super::launch::Launch;
use super::memory::Buffer;
use super::params::Params;
use super::profile::time_passes;
use crate::plan::Cooperative;
use crate::tensor::Dtype;
use crate::{Error, Result};

/// A probe's work grows until it takes this long: clocks and caches have settled by then.
const LONG_ENOUGH: Duration = Duration::from_millis(20);
/// Runs of which the best counts: a peak is what can be reached.
const RUNS: usize = 5;
/// Invocations of a workgroup, where the probe does not say.
const WORKGROUP: usize = 64;
/// Independent sums of a subgroup of cooperative matrices.
const MATRICES: usize = 4;
/// Repetitions of a probe's innermost lines. Software drivers end loops after 65,535 rounds.
const UNROLL: usize = 8;
const ROUNDS: usize = 512;
/// Four-vectors of workgroup memory: 8 KiB.
const VECTORS: usize = 512;
/// Four-vectors that one invocation copies.
const STEPS: usize = 4;
/// Bytes that are copied at most, on a GPU far more than its caches.
const COPIED: usize = 256 << 20;
/// Launches that do nothing.
const LAUNCHES: usize = 1000;
/// The most workgroups of a probe.
const MAX_WORKGROUPS: usize = 1 << 18;

/// Chains of an invocation that are tried.
const CHAINS: [usize; 3] = [2, 4, 8];

/// `x = a·x + b` goes to a half.
const FACTORS: [f32; 2] = [0.75, 0.125];

impl Device {
    /// Operations per second in `dtype`, two per fused multiply-add.
    ///
    /// # Errors
    /// When the device fails, or computes something else.
    pub fn probe_fma(&self, dtype: Dtype) -> Result<f64> {
        let mut best = 0.0f64;
        // Few chains leave units idle, many leave the registers: which number is best is the
        // device's affair.
        for chains in CHAINS {
            let (seconds, groups, y) =
                self.grown(|groups| fma(dtype, chains, groups), WORKGROUP)?;
            let expected = 0.5 * (4 * chains) as f32;
            check("probes/fma", &y, expected, if dtype == Dtype::F16 { 1e-2 } else { 1e-4 })?;
            let operations = 2 * 4 * chains * UNROLL * ROUNDS * WORKGROUP * groups;
            best = best.max(operations as f64 / seconds);
        }
        Ok(best)
    }

    /// Operations per second of cooperative matrices with f16 factors and f32 sums; `None` where
    /// the device has none.
    ///
    /// # Errors
    /// As [`Device::probe_fma`].
    pub fn probe_cooperative(&self) -> Result<Option<f64>> {
        let Some(matrices) = self.target(Dtype::F16).cooperative else { return Ok(None) };
        let Cooperative { side, lanes, .. } = matrices;
        let (seconds, groups, y) = self.grown(|groups| cooperative(matrices, groups), lanes)?;
        let sum = ROUNDS * UNROLL * side * side * side * MATRICES;
        check("probes/cooperative", &y, sum as f32, 1e-5)?;
        Ok(Some((2 * sum * groups) as f64 / seconds))
    }

    /// Bytes per second that invocations read from workgroup memory.
    ///
    /// # Errors
    /// As [`Device::probe_fma`].
    pub fn probe_workgroup(&self) -> Result<f64> {
        let (seconds, groups, y) = self.grown(workgroup_bandwidth, WORKGROUP)?;
        check("probes/workgroup_bandwidth", &y, (4 * UNROLL * ROUNDS) as f32, 1e-6)?;
        Ok((16 * UNROLL * ROUNDS * WORKGROUP * groups) as f64 / seconds)
    }

    /// Bytes per second that are read from and written to memory.
    ///
    /// # Errors
    /// As [`Device::probe_fma`].
    pub fn probe_storage(&self) -> Result<f64> {
        crate::blocking::block_on(async {
            let calls = Calls { device: self.clone() };
            let limit = self.info().max_binding.min(self.info().max_buffer);
            let chunk = WORKGROUP * STEPS * 16;
            let bytes = usize::try_from(limit).unwrap_or(COPIED).min(COPIED) / chunk * chunk;
            let x = calls.allocate("probe", bytes, Usage::STORAGE | Usage::COPY_DST).await?;
            let usage = Usage::STORAGE | Usage::COPY_SRC;
            let y = calls.allocate("probe", bytes, usage).await?;
            let call = storage_bandwidth(bytes / 16, bytes / chunk);
            let bound = calls.bind(&call, &[&x, &y]).await?;
            let seconds = self.best(&bound, RUNS).await?;
            let last = self.tail(&calls, &y).await?;
            check("probes/storage_bandwidth", &last, 1.0, 0.0)?;
            Ok(2.0 * bytes as f64 / seconds)
        })
    }

    /// Seconds of a launch that does nothing, among many.
    ///
    /// # Errors
    /// As [`Device::probe_fma`].
    pub fn probe_launch(&self) -> Result<f64> {
        crate::blocking::block_on(async {
            let calls = Calls { device: self.clone() };
            let y = calls.allocate("probe", 4, Usage::STORAGE | Usage::COPY_SRC).await?;
            let bound = calls.bind(&launch(), &[&y]).await?;
            let launches: Vec<Launch> = vec![bound.launch.clone(); LAUNCHES];
            let mut best = f64::INFINITY;
            for _ in 0..=RUNS {
                let [[_, time]] =
                    time_passes(self, &[&launches], std::slice::from_ref(&(0..1))).await?[..]
                else {
                    return Err(Error::Internal("one pass, one time".to_owned()));
                };
                best = best.min(time.as_secs_f64() / LAUNCHES as f64);
            }
            Ok(best)
        })
    }

    /// Runs a probe that writes a value per invocation on more and more workgroups, until it takes
    /// long enough: seconds, workgroups and the first values.
    fn grown(
        &self,
        probe: impl Fn(usize) -> Call,
        workgroup: usize,
    ) -> Result<(f64, usize, Vec<f32>)> {
        crate::blocking::block_on(async {
            let calls = Calls { device: self.clone() };
            let mut groups = 64;
            loop {
                let usage = Usage::STORAGE | Usage::COPY_SRC;
                let y = calls.allocate("probe", groups * workgroup * 4, usage).await?;
                let bound = calls.bind(&probe(groups), &[&y]).await?;
                let seconds = self.best(&bound, 1).await?;
                if seconds < LONG_ENOUGH.as_secs_f64() && groups < MAX_WORKGROUPS {
                    let missing = LONG_ENOUGH.as_secs_f64() / seconds.max(1e-6);
                    groups = ((groups as f64 * missing.clamp(2.0, 64.0)) as usize)
                        .next_power_of_two()
                        .min(MAX_WORKGROUPS);
                    continue;
                }
                let seconds = seconds.min(self.best(&bound, RUNS).await?);
                return Ok((seconds, groups, self.tail(&calls, &y).await?));
            }
        })
    }

    /// The shortest of `runs`, after one that does not count.
    async fn best(&self, bound: &Bound, runs: usize) -> Result<f64> {
        let passes = vec![std::slice::from_ref(&bound.launch); runs + 1];
        let alone: Vec<_> = (0..passes.len()).map(|pass| pass..pass + 1).collect();
        let times = time_passes(self, &passes, &alone).await?;
        let seconds = times[1..].iter().map(|[_, time]| time.as_secs_f64());
        Ok(seconds.fold(f64::INFINITY, f64::min))
    }

    /// The last values of a buffer.
    async fn tail(&self, calls: &Calls, y: &Buffer) -> Result<Vec<f32>> {
        let bytes = y.bytes().min(WORKGROUP * 4);
        let usage = Usage::COPY_SRC | Usage::COPY_DST;
        let tail = calls.allocate("probe", bytes, usage).await?;
        let mut encoder = self.encoder();
        let from = (y.bytes() - bytes) as u64;
        encoder.copy_buffer_to_buffer(&y.raw, from, &tail.raw, 0, bytes as u64);
        self.inner.queue.submit([encoder.finish()]);
        calls.read(&tail).await
    }
}

/// `groups` workgroups of a probe.
fn call(
    kernel: &'static str,
    defines: &[(&'static str, String)],
    params: Params,
    groups: usize,
    workgroup: usize,
) -> Call {
    let workgroup = ("WORKGROUP", workgroup.to_string());
    let mut defines: Vec<_> = defines.iter().cloned().chain([workgroup]).collect();
    defines.sort_unstable();
    Call { shader: Shader { kernel, defines }, params, workgroups: grid(groups) }
}

/// Rounds of a sum of products of these two.
fn factors([a, b]: [f32; 2]) -> Params {
    let mut params = Params::uints([("rounds", ROUNDS)]);
    params.float("a", a);
    params.float("b", b);
    params
}

fn fma(dtype: Dtype, chains: usize, groups: usize) -> Call {
    let defines = [
        ("CHAINS", chains.to_string()),
        ("T", wgsl(dtype).to_owned()),
        ("UNROLL", UNROLL.to_string()),
    ];
    call("probes/fma", &defines, factors(FACTORS), groups, WORKGROUP)
}

fn cooperative(Cooperative { side, lanes, .. }: Cooperative, groups: usize) -> Call {
    let defines = [
        ("CHAINS", MATRICES.to_string()),
        ("FRAGMENT", side.to_string()),
        ("T", wgsl(Dtype::F16).to_owned()),
        ("UNROLL", UNROLL.to_string()),
    ];
    // Every product of two values is one: the sums stay exact.
    call("probes/cooperative", &defines, factors([1.0, 1.0]), groups, lanes)
}

fn workgroup_bandwidth(groups: usize) -> Call {
    let defines = [("UNROLL", UNROLL.to_string()), ("VECTORS", VECTORS.to_string())];
    let params = Params::uints([("rounds", ROUNDS)]);
    call("probes/workgroup_bandwidth", &defines, params, groups, WORKGROUP)
}

fn storage_bandwidth(vectors: usize, groups: usize) -> Call {
    let defines = [("STEPS", STEPS.to_string())];
    let params = Params::uints([("vectors", vectors)]);
    call("probes/storage_bandwidth", &defines, params, groups, WORKGROUP)
}

fn launch() -> Call {
    let shader = Shader { kernel: "probes/launch", defines: Vec::new() };
    Call { shader, params: Params::uints([("write", 0)]), workgroups: [1, 1, 1] }
}

/// One of each probe, for a device with such `matrices`.
#[cfg(test)]
pub fn each(matrices: Cooperative) -> Vec<Call> {
    let mut calls: Vec<_> = (CHAINS.into_iter())
        .flat_map(|chains| [Dtype::F32, Dtype::F16].map(|dtype| fma(dtype, chains, 1)))
        .collect();
    calls.extend([cooperative(matrices, 1), workgroup_bandwidth(1)]);
    calls.extend([storage_bandwidth(1, 1), launch()]);
    calls
}

/// A probe that computes nothing measures nothing.
fn check(kernel: &str, values: &[f32], expected: f32, tolerance: f32) -> Result<()> {
    match values.iter().find(|v| v.is_nan() || (*v - expected).abs() > tolerance * expected) {
        None => Ok(()),
        Some(v) => Err(Error::Device(format!("{kernel} yields {v}, expected {expected}"))),
    }
}
