//! An opened GPU: handles, faults, pipelines and counters.

use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{self, AdapterInfo, DeviceOptions};
use super::builder::MAX_STORAGE_BINDINGS;
use super::files::Files;
use super::memory::{Allocator, Counters};
use super::pipelines::Pipelines;
use crate::plan::{Backend, Cooperative, Rates, Target};
use crate::tensor::Dtype;
use crate::wall::panic_of_future_caught;
use crate::{Error, Result};

/// Used when present, never required.
const FEATURES: wgpu::Features = wgpu::Features::SHADER_F16
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::PIPELINE_CACHE);

/// Workgroup memory and invocations that every kernel gets along with (WebGPU's default limits).
const WORKGROUP_MEMORY: u32 = 16 << 10;
const INVOCATIONS: u32 = 256;

/// An opened GPU. Clones share it and its compiled pipelines.
#[derive(Clone, Debug)]
pub struct Device {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub raw: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: AdapterInfo,
    pub allocator: Arc<Allocator>,
    pub pipelines: Pipelines,
    faults: Arc<Mutex<Faults>>,
}

/// What went wrong since somebody asked.
#[derive(Debug, Default)]
struct Faults {
    lost: Option<String>,
    error: Option<String>,
}

/// Every feature of `adapter` that is used, and all its limits.
pub fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        label: Some("pentimento"),
        required_features: adapter.features() & FEATURES,
        required_limits: adapter.limits(),
        ..Default::default()
    }
}

/// The last line of what wgpu says: the cause.
pub(super) fn cause(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next_back().unwrap_or("the driver gives no reason").to_owned()
}

impl Device {
    /// Opens the device that `options` ask for.
    ///
    /// Mesa's software driver computes 512 bits at a time only when `LP_NATIVE_VECTOR_WIDTH=512` is
    /// in the environment; it is left to the user, because a process with threads cannot change
    /// its environment safely.
    ///
    /// # Errors
    /// [`Error::Device`] says which devices there are, or why the driver refused.
    pub async fn open(options: &DeviceOptions) -> Result<Self> {
        let mut adapters = adapter::enumerate().await;
        let chosen = adapter::choose(&adapter::infos(&adapters), options);
        if chosen.is_err() && options.selector.is_some() {
            // OpenGL beside native interfaces is not listed, but there for who names it.
            let mut others = adapter::enumerate_of(wgpu::Backends::GL).await;
            if let Ok(index) = adapter::choose(&adapter::infos(&others), options) {
                return Self::request(others.swap_remove(index)).await;
            }
        }
        Self::request(adapters.swap_remove(chosen?)).await
    }

    /// Opens the best GPU; `None` where there is no real one.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver refuses.
    pub async fn open_best() -> Result<Option<Self>> {
        let mut adapters = adapter::enumerate().await;
        let Some(index) = adapter::best(&adapter::infos(&adapters)) else { return Ok(None) };
        Self::request(adapters.swap_remove(index)).await.map(Some)
    }

    async fn request((adapter, info): (wgpu::Adapter, AdapterInfo)) -> Result<Self> {
        let mut wanted = descriptor(&adapter);
        if info.cooperative.is_some() {
            wanted.required_features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: asks that one knows of undefined behaviour in unfinished parts of wgpu. Of
            // them only cooperative matrices are used, by one kernel, which keeps to the rules of
            // their SPIR-V extension: matrices lie inside of their arrays, at strides of whole
            // words, and whole subgroups execute every operation.
            wanted.experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        // wgpu panics where its own first kernels are refused.
        let request = async { adapter.request_device(&wanted).await };
        let opened = match panic_of_future_caught(request).await {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(panic) => Err(cause(&panic)),
        };
        let (device, queue) =
            opened.map_err(|why| Error::Device(format!("cannot open {info}: {why}")))?;
        Ok(Self::own(device, queue, info))
    }

    /// [`open`](Self::open) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_blocking(options: &DeviceOptions) -> Result<Self> {
        crate::blocking::block_on(Self::open(options))
    }

    /// A device of our own: its errors and its loss are kept for [`check`](Self::check).
    fn own(raw: wgpu::Device, queue: wgpu::Queue, info: AdapterInfo) -> Self {
        let device = Self::of(raw, queue, info);
        let (raw, faults) = (&device.inner.raw, &device.inner.faults);
        let seen = Arc::clone(faults);
        raw.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut faults = seen.lock().unwrap_or_else(PoisonError::into_inner);
            faults.error.get_or_insert_with(|| error.to_string());
        }));
        let seen = Arc::clone(faults);
        raw.set_device_lost_callback(move |_, message| {
            let mut faults = seen.lock().unwrap_or_else(PoisonError::into_inner);
            faults.lost.get_or_insert(message);
        });
        device
    }

    /// A device that the embedding program opened. Its handlers for uncaptured errors and for loss
    /// stay; that it is lost is noticed when a result cannot be read. Cooperative matrices are not
    /// used: only adapters tell their sizes.
    ///
    /// # Errors
    /// [`Error::Device`] when it was opened with lower limits than every kernel gets along with.
    pub fn from_parts(raw: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        let limits = raw.limits();
        if limits.max_storage_buffers_per_shader_stage < MAX_STORAGE_BINDINGS as u32
            || limits.max_compute_workgroup_storage_size < WORKGROUP_MEMORY
            || limits.max_compute_invocations_per_workgroup < INVOCATIONS
        {
            return Err(Error::Device(
                "the device was opened with limits below WebGPU's defaults for compute shaders; \
                 open it with Engine::wgpu_descriptor"
                    .to_owned(),
            ));
        }
        let info = AdapterInfo::new(&raw.adapter_info(), raw.features(), &limits);
        Ok(Self::of(raw, queue, info))
    }

    fn of(raw: wgpu::Device, queue: wgpu::Queue, info: AdapterInfo) -> Self {
        let inner = Inner {
            raw,
            queue,
            info,
            allocator: Arc::default(),
            pipelines: Pipelines::new(Files::from_environment()),
            faults: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The adapter that was opened; features and limits are the device's.
    pub fn info(&self) -> &AdapterInfo {
        &self.inner.info
    }

    /// The device as planning sees it. Without f16 in shaders the dtype is f32.
    pub fn target(&self, dtype: Dtype) -> Target {
        let limits = self.inner.raw.limits();
        let info = &self.inner.info;
        let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let [narrowest, lanes] = info.subgroup_sizes.map(|lanes| lanes as usize);
        let matrices = info.cooperative.filter(|_| info.f16 && dtype == Dtype::F16);
        Target {
            backend: Backend::Gpu,
            dtype: if info.f16 { dtype } else { Dtype::F32 },
            max_binding: bytes(info.max_binding) / 4 * 4,
            max_buffer: bytes(info.max_buffer),
            alignment: limits.min_storage_buffer_offset_alignment as usize,
            workgroup_memory: info.workgroup_memory as usize,
            max_invocations: limits.max_compute_invocations_per_workgroup as usize,
            vector_lanes: 1,
            blocks: matrices.is_some(),
            cooperative: matrices.map(|side| Cooperative {
                side: side as usize,
                lanes,
                narrowest: narrowest.max(1),
            }),
            memory_budget: None,
            rates: Rates::known(&info.name),
        }
    }

    /// Keeps compiled kernels in `folder`, for later starts on this device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn keep_pipelines(&self, folder: &std::path::Path) {
        self.inner.pipelines.keep(&self.inner.raw, folder);
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.inner.raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Its buffers, bytes and pipelines so far.
    pub fn counters(&self) -> Counters {
        let (buffers_created, bytes_alive) = self.inner.allocator.counts();
        let pipelines_compiled = self.inner.pipelines.compiled();
        Counters { buffers_created, bytes_alive, pipelines_compiled }
    }

    /// Bytes that it has handed back since it was opened: results, and what was asked of them.
    pub fn bytes_read(&self) -> u64 {
        self.inner.allocator.bytes_read()
    }

    /// # Errors
    /// [`Error::DeviceLost`] once the device is lost, [`Error::Device`] for a failure since the
    /// last call.
    pub fn check(&self) -> Result<()> {
        let mut faults = self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = &faults.lost {
            return Err(Error::DeviceLost(message.clone()));
        }
        match faults.error.take() {
            Some(error) => Err(Error::Device(format!("the device reports: {error}"))),
            None => Ok(()),
        }
    }
}
