//! A laboratory of drivers: compiles kernels as wgpu does, and asks the driver what became of them
//! (`VK_KHR_pipeline_executable_properties`). Nothing runs, so a driver without its GPU will do.

use std::ffi::CStr;
use std::time::Instant;

use ash::khr::pipeline_executable_properties as executable;
use ash::vk;
use wgpu::MemoryHints;
use wgpu::hal::OpenDevice;
use wgpu::hal::vulkan::Api;
use wgpu::naga::back::spv;
use wgpu::naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use wgpu::naga::{ResourceBinding, ShaderStage};

use super::files::Files;
use super::shader::{Slot, Source};
use super::{AdapterInfo, Device, Shader, adapter, contract, descriptor, shader};
use crate::{Error, Result};

/// The most bytes of one text of a driver: NIR, assembler.
const MAX_TEXT: usize = 64 << 20;

/// What a driver made of a kernel.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Seconds that the driver compiled: of the processor on Linux, by the clock elsewhere.
    pub seconds: f64,
    /// Bytes of the kernel's workgroup memory, by its WGSL.
    pub workgroup_bytes: usize,
    /// Invocations of a workgroup.
    pub invocations: usize,
    /// The driver's figures by its own names: registers, spills, cycles.
    pub figures: Vec<(String, f64)>,
    /// Its texts by its own names; the last is the machine code, where it shows it.
    pub texts: Vec<(String, String)>,
}

/// A device that is opened with everything that wgpu enables on it, and the extension besides.
pub struct Laboratory {
    // Dropped before the adapter, whose instance it needs.
    open: OpenDevice<Api>,
    executables: executable::Device,
    info: AdapterInfo,
    options: spv::Options<'static>,
    subgroups: bool,
    files: Files,
    _adapter: wgpu::Adapter,
}

impl std::fmt::Debug for Laboratory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Laboratory").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Laboratory {
    /// Opens the driver of `device` a second time.
    ///
    /// # Errors
    /// [`Error::Device`] when it is no Vulkan driver, or does not tell what it compiles.
    pub fn of(device: &Device) -> Result<Self> {
        let same = |info: &AdapterInfo| {
            let known = device.info();
            (&info.name, &info.driver, info.backend) == (&known.name, &known.driver, "vulkan")
        };
        let adapters = crate::blocking::block_on(async {
            Ok::<_, Error>(adapter::enumerate_of(wgpu::Backends::VULKAN).await)
        })?;
        let found = adapters.into_iter().find(|(_, info)| same(info));
        let Some((adapter, info)) = found else {
            return Err(Error::Device(format!(
                "{} was not opened by Vulkan, whose drivers alone tell what they compile; \
                 choose another device",
                device.info()
            )));
        };
        Self::open(adapter, info)
    }

    fn open(adapter: wgpu::Adapter, info: AdapterInfo) -> Result<Self> {
        let failed = |what: &str| Error::Device(format!("{info}: {what}"));
        let mut wanted = descriptor(&adapter);
        if info.cooperative.is_some() {
            wanted.required_features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        }
        let (features, limits) = (wanted.required_features, &wanted.required_limits);
        // SAFETY: the guard is dropped before the adapter, and nothing of it is destroyed.
        let hal = unsafe { adapter.as_hal::<Api>() }.ok_or_else(|| failed("it is not Vulkan"))?;
        let instance = hal.shared_instance().raw_instance().clone();
        let physical = hal.raw_physical_device();
        // SAFETY: `physical` is a device of `instance`, which lives as long as the adapter.
        let extensions = unsafe { instance.enumerate_device_extension_properties(physical) };
        let extensions = extensions.map_err(|e| failed(&format!("it lists no extensions: {e}")))?;
        if !extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(executable::NAME)) {
            return Err(failed("its driver does not tell what it compiles"));
        }
        let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut known = vk::PhysicalDeviceFeatures2::default().push_next(&mut robustness);
        // SAFETY: as above; the chain holds structures that ask, and lives during the call.
        let version = unsafe {
            instance.get_physical_device_features2(physical, &mut known);
            instance.get_physical_device_properties(physical).api_version
        };
        let robust = robustness.robust_buffer_access2 == vk::TRUE;

        let mut telling = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        // SAFETY: adds an extension that the driver has, with its only feature, and takes nothing
        // away. The structure lives until the device is there.
        let open = unsafe {
            let chain = &mut telling;
            hal.open_with_callback(
                features,
                limits,
                &MemoryHints::default(),
                Some(Box::new(move |arguments| {
                    arguments.extensions.push(executable::NAME);
                    *arguments.create_info = std::mem::take(arguments.create_info).push_next(chain);
                })),
            )
        };
        let open = open.map_err(|error| failed(&format!("it cannot be opened: {error}")))?;
        drop(hal);
        let executables = executable::Device::new(&instance, open.device.raw_device());
        Ok(Self {
            executables,
            options: options(version, robust),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            files: Files::from_environment(),
            open,
            info,
            _adapter: adapter,
        })
    }

    /// Compiles `shader`.
    ///
    /// # Errors
    /// [`Error::Input`] for a kernel that was edited and is not valid; [`Error::Device`] when the
    /// driver refuses it.
    pub fn compile(&self, shader: &Shader) -> Result<Compiled> {
        let source = shader::expand(&self.files, shader)?;
        let (module, info) = contract::module(&source)?;
        let refused = |what: String| Error::Device(format!("{}: {what}", source.file()));
        let options = self.options_for(&source);
        let pipeline = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: "main".to_owned(),
        };
        let words = spv::write_vec(&module, &info, &options, Some(&pipeline))
            .map_err(|error| refused(format!("naga cannot write its SPIR-V: {error}")))?;
        let mut layouter = wgpu::naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).map_err(|error| refused(error.to_string()))?;
        let workgroup = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == wgpu::naga::AddressSpace::WorkGroup);
        let workgroup_bytes = workgroup.map(|(_, v)| layouter[v.ty].size as usize).sum();
        let sizes = module.entry_points.first().map_or([0; 3], |entry| entry.workgroup_size);
        let invocations = sizes.iter().map(|&size| size as usize).product();
        let (seconds, figures, texts) = self
            .pipeline(&words, &source.slots)
            .map_err(|error| refused(format!("{} refuses it: {error}", self.info)))?;
        Ok(Compiled { seconds, workgroup_bytes, invocations, figures, texts })
    }

    /// As wgpu writes it.
    fn options_for(&self, source: &Source) -> spv::Options<'static> {
        let mut options = self.options.clone();
        for binding in 0..source.slots.len() as u32 {
            let info = spv::BindingInfo { descriptor_set: 0, binding, binding_array_size: None };
            options.binding_map.insert(ResourceBinding { group: 0, binding }, info);
        }
        if source.unchecked {
            options.bounds_check_policies = BoundsCheckPolicies {
                index: BoundsCheckPolicy::Unchecked,
                buffer: BoundsCheckPolicy::Unchecked,
                image_load: BoundsCheckPolicy::Unchecked,
                binding_array: BoundsCheckPolicy::Unchecked,
            };
            options.force_loop_bounding = false;
            options.emit_int_div_checks = false;
        }
        options
    }

    /// The seconds, figures and texts of a pipeline, which is destroyed again.
    fn pipeline(&self, words: &[u32], slots: &[Slot]) -> std::result::Result<Told, vk::Result> {
        let device = self.open.device.raw_device();
        let bindings: Vec<_> = (0..)
            .zip(slots)
            .map(|(binding, slot)| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
                    .descriptor_type(match slot {
                        Slot::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                        Slot::Read | Slot::ReadWrite => vk::DescriptorType::STORAGE_BUFFER,
                    })
            })
            .collect();
        let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        let module = vk::ShaderModuleCreateInfo::default().code(words);
        // SAFETY: every handle is made from this device, used while those that it was made from
        // are there, and destroyed once, at the end; the SPIR-V was written by naga from a module
        // that it has validated.
        unsafe {
            let set = device.create_descriptor_set_layout(&set, None)?;
            let sets = [set];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None);
            let module = device.create_shader_module(&module, None);
            let told = match (layout, module) {
                (Ok(layout), Ok(module)) => self.ask(layout, module),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            if let Ok(module) = module {
                device.destroy_shader_module(module, None);
            }
            if let Ok(layout) = layout {
                device.destroy_pipeline_layout(layout, None);
            }
            device.destroy_descriptor_set_layout(set, None);
            told
        }
    }

    /// # Safety
    /// Both handles are of this device.
    unsafe fn ask(
        &self,
        layout: vk::PipelineLayout,
        module: vk::ShaderModule,
    ) -> std::result::Result<Told, vk::Result> {
        let device = self.open.device.raw_device();
        let mut flags = vk::PipelineShaderStageCreateFlags::empty();
        if self.subgroups {
            flags |= vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
        }
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .flags(flags)
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(c"main");
        let captured = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        let info =
            vk::ComputePipelineCreateInfo::default().flags(captured).stage(stage).layout(layout);
        let cache = vk::PipelineCache::null();
        let (start, busy) = (Instant::now(), processor_seconds());
        // SAFETY: the handles are of this device; the name and the structures live until the end.
        let made = unsafe { device.create_compute_pipelines(cache, &[info], None) };
        let elapsed = start.elapsed().as_secs_f64();
        let seconds =
            processor_seconds().zip(busy).map_or(elapsed, |(after, before)| after - before);
        let pipeline = match made {
            Ok(pipelines) => pipelines[0],
            Err((_, error)) => return Err(error),
        };
        // SAFETY: the pipeline is this device's, was made to be asked, and is destroyed once.
        unsafe {
            let told = self.told(pipeline);
            device.destroy_pipeline(pipeline, None);
            told.map(|(figures, texts)| (seconds, figures, texts))
        }
    }

    /// # Safety
    /// The pipeline is of this device and was made with the flags that capture.
    unsafe fn told(
        &self,
        pipeline: vk::Pipeline,
    ) -> std::result::Result<(Figures, Texts), vk::Result> {
        let (mut figures, mut texts) = (Vec::new(), Vec::new());
        let executables = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: by the caller; indices are those of the list.
        let known = unsafe { self.executables.get_pipeline_executable_properties(&executables)? };
        for (index, properties) in (0u32..).zip(&known) {
            figures.push(("Subgroup size".to_owned(), f64::from(properties.subgroup_size)));
            let executable =
                vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(index);
            // SAFETY: as above.
            let statistics =
                unsafe { self.executables.get_pipeline_executable_statistics(&executable)? };
            for statistic in &statistics {
                // SAFETY: the format says which member of the union the driver has written.
                let value = unsafe {
                    match statistic.format {
                        vk::PipelineExecutableStatisticFormatKHR::BOOL32 => {
                            f64::from(statistic.value.b32)
                        }
                        vk::PipelineExecutableStatisticFormatKHR::INT64 => {
                            statistic.value.i64 as f64
                        }
                        vk::PipelineExecutableStatisticFormatKHR::UINT64 => {
                            statistic.value.u64 as f64
                        }
                        _ => statistic.value.f64,
                    }
                };
                figures.push((name(statistic.name_as_c_str().ok()), value));
            }
            // SAFETY: as above.
            texts.extend(unsafe { self.texts(&executable)? });
        }
        Ok((figures, texts))
    }

    /// # Safety
    /// The pipeline is of this device and was made with the flags that capture.
    unsafe fn texts(
        &self,
        executable: &vk::PipelineExecutableInfoKHR<'_>,
    ) -> std::result::Result<Texts, vk::Result> {
        let api = self.executables.fp();
        let device = self.executables.device();
        let get = api.get_pipeline_executable_internal_representations_khr;
        // SAFETY: by the caller. Asked first for the sizes and then for the texts, each of which
        // goes to a buffer of its size that lives until it was read.
        let sizes = unsafe {
            self.executables.get_pipeline_executable_internal_representations(executable)?
        };
        let mut buffers: Vec<Vec<u8>> =
            sizes.iter().map(|text| vec![0; text.data_size.min(MAX_TEXT)]).collect();
        let mut filled: Vec<_> = buffers
            .iter_mut()
            .map(|buffer| vk::PipelineExecutableInternalRepresentationKHR {
                data_size: buffer.len(),
                p_data: buffer.as_mut_ptr().cast(),
                ..Default::default()
            })
            .collect();
        let mut count = filled.len() as u32;
        // SAFETY: as above.
        let result = unsafe { get(device, executable, &mut count, filled.as_mut_ptr()) };
        if result != vk::Result::SUCCESS && result != vk::Result::INCOMPLETE {
            return Err(result);
        }
        let names: Vec<String> =
            filled.iter().map(|text| name(text.name_as_c_str().ok())).collect();
        drop(filled);
        let text = |buffer: &Vec<u8>| {
            let end = buffer.iter().position(|&byte| byte == 0).unwrap_or(buffer.len());
            String::from_utf8_lossy(&buffer[..end]).into_owned()
        };
        let texts = buffers.iter().map(text);
        Ok(names.into_iter().zip(texts).take(count as usize).collect())
    }
}

/// Seconds that this thread has had a processor, where Linux tells: other work does not count.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}

type Figures = Vec<(String, f64)>;
type Texts = Vec<(String, String)>;
type Told = (f64, Figures, Texts);

fn name(text: Option<&CStr>) -> String {
    text.unwrap_or(c"?").to_string_lossy().into_owned()
}

/// How wgpu writes SPIR-V for a device of this version of Vulkan, checked by the device where it can.
fn options(version: u32, robust: bool) -> spv::Options<'static> {
    let buffer = if robust { BoundsCheckPolicy::Unchecked } else { BoundsCheckPolicy::Restrict };
    spv::Options {
        lang_version: match version {
            vk::API_VERSION_1_0..vk::API_VERSION_1_1 => (1, 0),
            vk::API_VERSION_1_1..vk::API_VERSION_1_2 => (1, 3),
            vk::API_VERSION_1_2..vk::API_VERSION_1_3 => (1, 5),
            _ => (1, 6),
        },
        flags: spv::WriterFlags::LABEL_VARYINGS,
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        fake_missing_bindings: false,
        ..spv::Options::default()
    }
}
