//! The rates of a device, as far as predictions need them.

/// What a device does in a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// Operations by cooperative matrices, two per product; `None` without them.
    pub matrix: Option<f64>,
    /// f32 operations, two per fused multiply-add.
    pub f32: f64,
    /// Bytes from and to memory.
    pub memory: f64,
    /// Bytes that kernels gather into workgroup memory, from whichever cache.
    pub staging: f64,
    /// Bytes from workgroup memory.
    pub workgroup: f64,
    /// Seconds from the start of one launch to that of the next, when they do nothing.
    pub launch: f64,
    /// Multiprocessors, compute units: what a workgroup occupies one of.
    pub units: f64,
    /// Seconds of a load on whose value the next one waits, with what is computed around it.
    pub latency: f64,
}

/// Bytes gathered over bytes from workgroup memory: fitted on the five layers of an H200, in f16.
const STAGING_PER_WORKGROUP: f64 = 4.65 / 32.0;

/// Seconds for each of the channels that one invocation reads in turn: 225 µs for 224 channels of a
/// 1×1 convolution to RGB, on an H200.
const LATENCY: f64 = 0.95e-6;

/// f32 operations per second of one unit of an H200.
const UNIT_F32: f64 = 62.5e12 / 132.0;

/// Seconds of the host for a run: 90 dispatches are encoded before the first convolution starts,
/// submissions, waking.
const HOST: f64 = 0.5e-3;
/// Bytes per second of a result on its way into the host's memory: 1.5 ms for 12.6 MB.
const LINK: f64 = 8.4e9;

impl Rates {
    /// Seconds that the host adds to a run with a result of so many bytes, on the machine of the H200.
    pub fn host(bytes: usize) -> f64 {
        HOST + bytes as f64 / LINK
    }

    /// NVIDIA H200, driver 580.159.04: the probes of 27 November 2026. `staging` and `latency` are
    /// fitted.
    pub const H200: Self = Self {
        matrix: Some(612e12),
        f32: 62.5e12,
        memory: 4.1e12,
        staging: STAGING_PER_WORKGROUP * 32e12,
        workgroup: 32e12,
        launch: 1.5e-6,
        units: 132.0,
        latency: LATENCY,
    };

    /// NVIDIA H100 (80 GB HBM3), which differs by its memory alone: 3.35 TB/s by its data sheet, of
    /// which as large a share as of the H200's 4.8 is taken to be reached.
    pub const H100: Self = Self { memory: 3.35e12 * 4.1 / 4.8, ..Self::H200 };

    /// Of a device that is known by its name; others are predicted when they were probed.
    pub fn known(device: &str) -> Option<Self> {
        let known = [("H200", Self::H200), ("H100", Self::H100)];
        known.into_iter().find(|(name, _)| device.contains(name)).map(|(_, rates)| rates)
    }

    /// Of a device that was probed; `None` where a rate is none. Its units are taken to be as fast as
    /// an H200's.
    pub fn probed([f32, memory, workgroup, launch]: [f64; 4], matrix: Option<f64>) -> Option<Self> {
        let units = (f32 / UNIT_F32).max(1.0);
        let sound = [f32, memory, workgroup, launch, matrix.unwrap_or(1.0)];
        sound.iter().all(|rate| rate.is_finite() && *rate > 0.0).then_some(Self {
            matrix,
            f32,
            memory,
            staging: STAGING_PER_WORKGROUP * workgroup,
            workgroup,
            launch,
            units,
            latency: LATENCY,
        })
    }
}
