//! Which GPUs there are, and which one to take.

use std::fmt;

use crate::{Error, Result};

/// Which device to open.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    /// Position in [`adapters`], a part of the name, driver or vendor, or a backend
    /// ("vulkan", "metal", "dx12", "gl"); upper and lower case are equal. A device that is asked
    /// for may be a software one.
    pub selector: Option<String>,
    /// Whether a driver that runs on the CPU will do when there is no GPU.
    pub allow_software: bool,
}

/// A GPU as its driver describes it.
#[derive(Clone, Debug)]
pub struct AdapterInfo {
    /// "NVIDIA GeForce RTX 4070", …
    pub name: String,
    /// "NVIDIA", "AMD", …, or the PCI number of the vendor.
    pub vendor: String,
    /// "vulkan", "metal", "dx12", "gl" or "webgpu".
    pub backend: &'static str,
    /// "discrete", "integrated", "virtual", "software" or "other".
    pub kind: &'static str,
    /// Driver and its version.
    pub driver: String,
    /// Smallest and largest subgroup.
    pub subgroup_sizes: [u32; 2],
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Whether arithmetic in f16 is there.
    pub f16: bool,
    /// Whether subgroup operations are there.
    pub subgroups: bool,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// Rows and columns of the cooperative matrices with f16 factors and f32 sums, where there are
    /// any.
    pub cooperative: Option<u32>,
}

impl AdapterInfo {
    pub(super) fn new(
        info: &wgpu::AdapterInfo,
        features: wgpu::Features,
        limits: &wgpu::Limits,
    ) -> Self {
        Self {
            // Browsers keep it to themselves.
            name: if info.name.is_empty() { "GPU".to_owned() } else { info.name.clone() },
            vendor: vendor(info.vendor),
            backend: backend(info.backend),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "software",
                wgpu::DeviceType::Other => "other",
            },
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            cooperative: None,
        }
    }

    /// Whether its driver runs on the CPU.
    pub fn is_software(&self) -> bool {
        self.kind == "software"
    }

    /// How much it is to be preferred: discrete before integrated, native before OpenGL.
    fn rank(&self) -> (u32, bool) {
        let kind = match self.kind {
            "discrete" => 4,
            "integrated" => 3,
            "virtual" => 2,
            "other" => 1,
            _ => 0,
        };
        (kind, self.backend != "gl")
    }

    fn matches(&self, index: usize, selector: &str) -> bool {
        let selector = selector.trim().to_lowercase();
        if let Ok(wanted) = selector.parse::<usize>() {
            return wanted == index;
        }
        self.backend == selector
            || self.kind == selector
            || [&self.name, &self.vendor, &self.driver]
                .iter()
                .any(|text| text.to_lowercase().contains(&selector))
    }
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}, {})", self.name, self.kind, self.backend, self.driver)
    }
}

/// The adapters of this machine, in the order that [`DeviceOptions::selector`] counts: those of the
/// native interfaces, and OpenGL's where these have no real GPU. Beside one it would only show the same
/// GPUs again.
pub async fn adapters() -> Vec<AdapterInfo> {
    infos(&enumerate().await)
}

pub(super) fn infos(adapters: &[(wgpu::Adapter, AdapterInfo)]) -> Vec<AdapterInfo> {
    adapters.iter().map(|(_, info)| info.clone()).collect()
}

/// What [`adapters`] lists.
pub(super) async fn enumerate() -> Vec<(wgpu::Adapter, AdapterInfo)> {
    let mut adapters = enumerate_of(wgpu::Backends::PRIMARY).await;
    if best(&infos(&adapters)).is_none() {
        adapters.extend(enumerate_of(wgpu::Backends::GL).await);
    }
    adapters
}

/// The adapters of some backends; only these are started.
pub(super) async fn enumerate_of(backends: wgpu::Backends) -> Vec<(wgpu::Adapter, AdapterInfo)> {
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    wanted.backends &= backends;
    let instance = wgpu::Instance::new(wanted);
    let adapters = instance.enumerate_adapters(backends).await;
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    adapters
        .into_iter()
        .filter(|adapter| adapter.get_downlevel_capabilities().flags.contains(compute))
        .map(|adapter| {
            let info = AdapterInfo::new(&adapter.get_info(), adapter.features(), &adapter.limits());
            let cooperative = cooperative(&adapter);
            (adapter, AdapterInfo { cooperative, ..info })
        })
        .collect()
}

/// The largest square of which an adapter multiplies f16 matrices to f32 sums by subgroups.
pub(super) fn cooperative(adapter: &wgpu::Adapter) -> Option<u32> {
    let wanted = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        | wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP;
    if !adapter.features().contains(wanted) {
        return None;
    }
    let fits = |p: &wgpu::CooperativeMatrixProperties| {
        let types = [p.ab_type, p.cr_type];
        p.m_size == p.n_size
            && p.n_size == p.k_size
            && types == [wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32]
    };
    let properties = adapter.cooperative_matrix_properties();
    properties.iter().filter(|p| fits(p)).map(|p| p.m_size).max()
}

/// The position of the adapter that is taken when nobody names one: the best that is no software.
pub fn best(infos: &[AdapterInfo]) -> Option<usize> {
    choose(infos, &DeviceOptions::default()).ok()
}

/// The position of the adapter that `options` ask for.
///
/// # Errors
/// [`Error::Device`] lists what there is.
pub(super) fn choose(infos: &[AdapterInfo], options: &DeviceOptions) -> Result<usize> {
    let wanted = |&index: &usize| match &options.selector {
        Some(selector) => infos[index].matches(index, selector),
        None => options.allow_software || !infos[index].is_software(),
    };
    // Of equals, the first.
    let best = (0..infos.len()).filter(wanted).rev().max_by_key(|&index| infos[index].rank());
    best.ok_or_else(|| {
        let mut list: Vec<String> =
            infos.iter().enumerate().map(|(index, info)| format!("{index}: {info}")).collect();
        list.push("cpu".to_owned());
        let wanted = match &options.selector {
            Some(selector) => format!("no device matches {selector:?}"),
            None => "there is no GPU".to_owned(),
        };
        Error::Device(format!("{wanted}; available: {}", list.join("; ")))
    })
}

fn backend(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::Gl => "gl",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Noop => "noop",
    }
}

/// By PCI number.
fn vendor(id: u32) -> String {
    match id {
        0x1002 => "AMD".to_owned(),
        0x1010 => "Imagination".to_owned(),
        0x106b => "Apple".to_owned(),
        0x10de => "NVIDIA".to_owned(),
        0x13b5 => "ARM".to_owned(),
        0x1414 => "Microsoft".to_owned(),
        0x5143 => "Qualcomm".to_owned(),
        0x8086 => "Intel".to_owned(),
        0x10005 => "Mesa".to_owned(),
        _ => format!("{id:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, kind: &'static str, backend: &'static str) -> AdapterInfo {
        AdapterInfo {
            name: name.to_owned(),
            vendor: "NVIDIA".to_owned(),
            backend,
            kind,
            driver: "580.1".to_owned(),
            subgroup_sizes: [32, 32],
            max_binding: 1 << 27,
            max_buffer: 1 << 28,
            workgroup_memory: 1 << 14,
            f16: true,
            subgroups: true,
            timestamps: true,
            cooperative: None,
        }
    }

    #[test]
    fn the_best_adapter_is_chosen() {
        let infos = [
            info("llvmpipe", "software", "vulkan"),
            info("Arc", "integrated", "vulkan"),
            info("RTX", "discrete", "gl"),
            info("RTX", "discrete", "vulkan"),
        ];
        let by = |selector: &str| {
            let options =
                DeviceOptions { selector: Some(selector.to_owned()), allow_software: false };
            choose(&infos, &options).ok()
        };
        assert_eq!(choose(&infos, &DeviceOptions::default()).unwrap(), 3);
        assert_eq!(by("arc"), Some(1));
        assert_eq!(by("2"), Some(2));
        assert_eq!(by("llvm"), Some(0));
        assert_eq!(by("gl"), Some(2));
        assert_eq!(by("nvidia"), Some(3));
        assert_eq!(by("metal"), None);
        let software = DeviceOptions { allow_software: true, ..Default::default() };
        assert_eq!(choose(&infos[..1], &software).unwrap(), 0);
        let error = choose(&infos[..1], &DeviceOptions::default()).unwrap_err().to_string();
        assert!(error.contains("no GPU; available: 0: llvmpipe"), "{error}");
    }
}
