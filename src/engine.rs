//! An [`Engine`]: the device that does the work, or the CPU.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::gpu;
use crate::graph::Graph;
use crate::plan::{Plan, Target};
use crate::tensor::Dtype;
use crate::{Error, Result, room, threads};

/// How numbers are stored on the device. Sums are always f32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f16 on a GPU that has it, f32 elsewhere.
    #[default]
    Auto,
    /// f32, the reference.
    F32,
    /// f16 storage; an error on a device without it.
    F16,
}

/// Options of an [`Engine`]. By default it computes on the best device, as suits that device.
///
/// ```
/// use pentimento::{EngineOptions, Precision};
///
/// let options = EngineOptions::new().device("cpu").precision(Precision::F32).memory(2 << 30);
/// assert_eq!(options.memory, Some(2 << 30));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// `None`: the best real GPU, or else the CPU. Otherwise `"cpu"`, an index of
    /// [`Engine::devices`], or a part of an adapter's name, vendor, driver or backend.
    pub device: Option<String>,
    /// How numbers are stored.
    pub precision: Precision,
    /// The most bytes that the weights and intermediates of one session may take.
    pub memory: Option<usize>,
    /// Where compiled kernels are kept, so that later starts on the same device are quicker. Only
    /// some drivers allow it. Where one does not, or the folder cannot be written, nothing changes.
    /// A browser keeps kernels itself.
    ///
    /// New sessions also keep here which kernels this device computes rightly. The first time that a
    /// driver is to run a kernel, its result is compared with the CPU's. A kernel that differs is left
    /// to another one, and [`Engine::take_notes`] says so.
    pub cache: Option<PathBuf>,
    /// Where new sessions keep which tile sizes of their kernels are the fastest on this device.
    /// They try it for about a second per network. No result changes by it. Not used in a browser.
    pub tuning: Option<PathBuf>,
    /// Whether the device's cooperative matrices are used, which multiply in f16.
    pub cooperative_matrices: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            device: None,
            precision: Precision::Auto,
            memory: None,
            cache: None,
            tuning: None,
            cooperative_matrices: true,
        }
    }
}

impl EngineOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`device`](Self::device).
    #[must_use]
    pub fn device(self, device: impl Into<String>) -> Self {
        Self { device: Some(device.into()), ..self }
    }

    /// Sets [`precision`](Self::precision).
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Sets [`memory`](Self::memory), in bytes.
    #[must_use]
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Sets [`cache`](Self::cache).
    #[must_use]
    pub fn cache(self, folder: impl Into<PathBuf>) -> Self {
        Self { cache: Some(folder.into()), ..self }
    }

    /// Sets [`tuning`](Self::tuning).
    #[must_use]
    pub fn tuning(self, folder: impl Into<PathBuf>) -> Self {
        Self { tuning: Some(folder.into()), ..self }
    }

    /// Sets [`cooperative_matrices`](Self::cooperative_matrices).
    #[must_use]
    pub fn cooperative_matrices(self, wanted: bool) -> Self {
        Self { cooperative_matrices: wanted, ..self }
    }

    /// The same for the CPU, where it may compute in place of a device that fails: nobody named a
    /// device, nor what only a GPU has.
    #[doc(hidden)]
    pub fn cpu_instead(&self) -> Option<Self> {
        let is_open = self.device.is_none() && self.precision != Precision::F16;
        is_open.then(|| self.clone().device("cpu"))
    }
}

/// A device as [`Engine::devices`] lists it.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceInfo {
    /// Position in the list; `None` for the CPU.
    pub index: Option<usize>,
    /// "NVIDIA H200", "llvmpipe …", "CPU".
    pub name: String,
    /// "vulkan", "metal", "dx12", "gl", "cpu".
    pub backend: String,
    /// "discrete", "integrated", "virtual", "software", "other", "cpu".
    pub kind: String,
    /// Who made it.
    pub vendor: String,
    /// Driver and version.
    pub driver: String,
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Smallest and largest subgroup.
    pub subgroup_sizes: [u32; 2],
    /// Optional features that are there.
    pub features: Vec<&'static str>,
    /// Whether it is the one that [`EngineOptions::default`] takes.
    pub default: bool,
    /// Why, or why not.
    pub reason: String,
}

/// A device, opened. Clones share it, also between threads.
///
/// ```
/// use pentimento::{Engine, EngineOptions};
///
/// for device in Engine::devices() {
///     println!("{} ({}): {}", device.name, device.backend, device.reason);
/// }
/// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
/// assert_eq!(engine.device().kind, "cpu");
/// # Ok::<(), pentimento::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    device: Device,
    options: EngineOptions,
    info: DeviceInfo,
    notes: Notes,
}

/// Sentences about the device, each once; shared by clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            log::warn!("{note}");
            notes.push(note);
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Device {
    Cpu,
    Gpu(gpu::Device),
}

impl Engine {
    /// Opens the device that `options` name. Where they name none and the best GPU cannot be opened,
    /// the CPU computes instead, and [`Engine::take_notes`] says so.
    ///
    /// # Errors
    /// [`Error::Device`] when there is no such device, it cannot be opened, or it lacks f16 that
    /// was asked for.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(options: &EngineOptions) -> Result<Self> {
        crate::blocking::block_on(Self::open(options))
    }

    /// [`Engine::new`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub async fn open(options: &EngineOptions) -> Result<Self> {
        threads::start()?;
        match options.device.as_deref().map(str::trim) {
            Some(name) if name.eq_ignore_ascii_case("cpu") => {
                Self::of(Device::Cpu, cpu_info(), options)
            }
            Some(name) => {
                let selector = Some(name.to_owned());
                let choice = gpu::DeviceOptions { selector, allow_software: true };
                Self::on(gpu::Device::open(&choice).await?, options)
            }
            None => match (gpu::Device::open_best().await, options.cpu_instead()) {
                (Ok(Some(device)), _) => Self::on(device, options),
                (Ok(None), _) => Self::of(Device::Cpu, cpu_info(), options),
                (Err(Error::Device(why)), Some(instead)) => {
                    let engine = Self::of(Device::Cpu, cpu_info(), &instead)?;
                    engine.notes.add(format!("{why}; the CPU computes instead"));
                    Ok(engine)
                }
                (Err(error), _) => Err(error),
            },
        }
    }

    /// Computes on a device that the program already has. The program's handlers for errors and
    /// loss of the device stay in place. `options.device` is ignored.
    ///
    /// # Errors
    /// [`Error::Device`] when the device was opened without compute shaders, or without f16 that
    /// `options` ask for.
    pub fn from_wgpu(
        device: &gpu::wgpu::Device,
        queue: &gpu::wgpu::Queue,
        options: &EngineOptions,
    ) -> Result<Self> {
        threads::start()?;
        Self::on(gpu::Device::from_parts(device.clone(), queue.clone())?, options)
    }

    /// The features and limits of `adapter` that the engine can use. A program that needs other
    /// features and limits for itself adds them.
    pub fn wgpu_descriptor(adapter: &gpu::wgpu::Adapter) -> gpu::wgpu::DeviceDescriptor<'static> {
        gpu::descriptor(adapter)
    }

    /// An engine on a GPU that is open.
    fn on(device: gpu::Device, options: &EngineOptions) -> Result<Self> {
        let info = gpu_info(None, device.info());
        Self::of(Device::Gpu(device), info, options)
    }

    fn of(device: Device, info: DeviceInfo, options: &EngineOptions) -> Result<Self> {
        let notes = Notes::default();
        let engine = Self { device, options: options.clone(), info, notes };
        if options.precision == Precision::F16 && !engine.has_f16() {
            return Err(Error::Device(format!(
                "{} has no f16 arithmetic; use the precision f32 or auto",
                engine.info.name
            )));
        }
        #[cfg(not(target_arch = "wasm32"))]
        if let (Device::Gpu(device), Some(folder)) = (&engine.device, &options.cache) {
            device.keep_pipelines(folder);
        }
        log::info!("computing on {} ({})", engine.info.name, engine.info.driver);
        Ok(engine)
    }

    /// The device that the engine computes on.
    pub fn device(&self) -> &DeviceInfo {
        &self.info
    }

    /// Every device of this machine, the CPU last.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn devices() -> Vec<DeviceInfo> {
        crate::blocking::block_on(Self::all_devices())
    }

    /// [`Engine::devices`] for programs with an async runtime.
    pub async fn all_devices() -> Vec<DeviceInfo> {
        let adapters = gpu::adapters().await;
        let default = gpu::best(&adapters);
        let mut devices: Vec<DeviceInfo> = (adapters.iter().enumerate())
            .map(|(index, adapter)| {
                let reason = if adapter.is_software() {
                    "a driver that runs on the CPU: slower there than our own CPU executor"
                } else if Some(index) == default {
                    "the best GPU of this machine"
                } else {
                    "another adapter ranks before it"
                };
                DeviceInfo {
                    default: Some(index) == default,
                    reason: reason.to_owned(),
                    ..gpu_info(Some(index), adapter)
                }
            })
            .collect();
        let reason = match default {
            Some(_) => "there is a GPU",
            None if cfg!(all(target_env = "musl", target_feature = "crt-static")) => {
                "a static program cannot open a GPU's driver; one that links its libc can"
            }
            None => "there is no real GPU",
        };
        devices.push(DeviceInfo {
            default: default.is_none(),
            reason: reason.to_owned(),
            ..cpu_info()
        });
        devices
    }

    fn has_f16(&self) -> bool {
        match &self.device {
            Device::Cpu => false,
            Device::Gpu(device) => device.info().f16,
        }
    }

    /// How numbers are stored.
    #[doc(hidden)]
    pub fn dtype(&self) -> Dtype {
        let software = self.info.kind == "software";
        match self.options.precision {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
            Precision::Auto if self.has_f16() && !software => Dtype::F16,
            Precision::Auto => Dtype::F32,
        }
    }

    /// The device as planning sees it.
    pub(crate) fn target(&self) -> Target {
        let target = match &self.device {
            Device::Cpu => Target::cpu(),
            Device::Gpu(device) => device.target(self.dtype()),
        };
        let cooperative = target.cooperative.filter(|_| self.options.cooperative_matrices);
        Target { memory_budget: self.options.memory, cooperative, ..target }
    }

    /// The plan that the engine would execute for `graph`; allocates nothing.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when an intermediate exceeds the device's limits.
    #[doc(hidden)]
    pub fn plan(&self, graph: Graph) -> Result<Plan> {
        Plan::new(Arc::new(graph), self.target())
    }

    /// Where sessions keep which tiles are the fastest, if they are to find out.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn tuning(&self) -> Option<&Path> {
        self.options.tuning.as_deref()
    }

    /// Where compiled kernels are kept, and which are right.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.options.cache.as_deref()
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether `error` is the device's, so that another one may do better: a driver without memory,
    /// too, where neither a device was named nor a budget was set that would hold for the other.
    #[doc(hidden)]
    pub fn has_failed(&self, error: &Error) -> bool {
        match error {
            Error::DeviceLost(_) | Error::Device(_) => true,
            Error::OutOfMemory { .. } => {
                let Self { device, options, .. } = self;
                let is_gpu = matches!(device, Device::Gpu(_));
                is_gpu && options.device.is_none() && options.memory.is_none()
            }
            _ => false,
        }
    }

    /// The CPU in place of this GPU, which failed with `error`; `None` where the GPU was named or the
    /// error is not the GPU's. It shares the notes, and one of them is the sentence beside it.
    pub(crate) fn spare(&self, error: &Error) -> Option<(Self, String)> {
        let options = self.options.cpu_instead().filter(|_| self.has_failed(error))?;
        let Device::Gpu(_) = self.device else { return None };
        let replaced = format!("{}: {error}; the CPU goes on", self.info.name);
        self.notes.add(replaced.clone());
        let notes = self.notes.clone();
        Some((Self { device: Device::Cpu, options, info: cpu_info(), notes }, replaced))
    }

    /// What was found out about the device since the last call: one sentence for each kernel that it
    /// computes wrongly, and that another one has replaced, and one where the CPU took its place.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn handle(&self) -> &Device {
        &self.device
    }

    /// Bytes that its sessions hold on the GPU; 0 on the CPU, where [`Session::memory`] tells.
    ///
    /// [`Session::memory`]: crate::Session::memory
    pub fn allocated(&self) -> u64 {
        match &self.device {
            Device::Cpu => 0,
            Device::Gpu(device) => device.counters().bytes_alive,
        }
    }

    /// Bytes that the system leaves for sessions on the CPU; `None` on a GPU, whose driver tells by
    /// itself, and where the system does not say.
    pub(crate) fn memory_left(&self) -> Option<usize> {
        if matches!(self.device, Device::Cpu) { room::left() } else { None }
    }

    /// The most bytes that a session may take.
    pub fn memory_budget(&self) -> Option<usize> {
        self.options.memory
    }
}

fn cpu_info() -> DeviceInfo {
    let threads = if threads::start().is_ok() { rayon::current_num_threads() } else { 1 };
    DeviceInfo {
        index: None,
        name: format!("CPU ({threads} {})", if threads == 1 { "thread" } else { "threads" }),
        backend: "cpu".to_owned(),
        kind: "cpu".to_owned(),
        vendor: String::new(),
        driver: format!("pentimento {}", env!("CARGO_PKG_VERSION")),
        max_binding: u64::MAX,
        max_buffer: u64::MAX,
        workgroup_memory: 0,
        subgroup_sizes: [0, 0],
        features: Vec::new(),
        default: false,
        reason: String::new(),
    }
}

fn gpu_info(index: Option<usize>, adapter: &gpu::AdapterInfo) -> DeviceInfo {
    let features = [
        (adapter.f16, "f16"),
        (adapter.subgroups, "subgroups"),
        (adapter.timestamps, "timestamps"),
        (adapter.cooperative.is_some(), "cooperative matrices"),
    ];
    DeviceInfo {
        index,
        name: adapter.name.clone(),
        backend: adapter.backend.to_owned(),
        kind: adapter.kind.to_owned(),
        vendor: adapter.vendor.clone(),
        driver: adapter.driver.clone(),
        max_binding: adapter.max_binding,
        max_buffer: adapter.max_buffer,
        workgroup_memory: adapter.workgroup_memory,
        subgroup_sizes: adapter.subgroup_sizes,
        features: features.iter().filter(|f| f.0).map(|f| f.1).collect(),
        default: false,
        reason: String::new(),
    }
}
