//! Compiled kernels, one per [`Shader`], shared by all executors of a device.

use std::collections::HashMap;
#[cfg(not(target_arch = "wasm32"))]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Shader;
use super::files::Files;
use super::params::Params;
#[cfg(not(target_arch = "wasm32"))]
use super::pipeline_cache::PipelineCache;
use super::shader::{self, Slot};
use crate::{Error, Result};

/// A compiled kernel.
#[derive(Debug)]
pub struct Pipeline {
    /// Of bind group 0.
    pub layout: wgpu::BindGroupLayout,
    /// The pipeline to dispatch.
    pub raw: wgpu::ComputePipeline,
}

/// The pipelines of a device.
#[derive(Debug, Default)]
pub struct Pipelines {
    files: Files,
    cache: Mutex<HashMap<Shader, Arc<Pipeline>>>,
    compiled: AtomicU64,
    /// Of the text that each kernel expands to.
    #[cfg(not(target_arch = "wasm32"))]
    text_hashes: Mutex<HashMap<Shader, u64>>,
    /// Whether kernels that declare `#unchecked` are checked all the same.
    #[cfg(test)]
    pub checked: std::sync::atomic::AtomicBool,
    #[cfg(not(target_arch = "wasm32"))]
    disk: OnceLock<PipelineCache>,
}

impl Pipelines {
    /// Of kernels from `files`.
    pub fn new(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    /// Whether kernels that were edited take the parameters that are written for them; those that
    /// are built in were tested.
    ///
    /// # Errors
    /// [`Error::Input`] names the file and the field.
    pub fn check<'a>(
        &self,
        launches: impl IntoIterator<Item = (&'a Shader, &'a Params)>,
    ) -> Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        if self.files.edited() {
            for (shader, params) in launches {
                super::contract::check(&shader::expand(&self.files, shader)?, params)?;
            }
        }
        #[cfg(target_arch = "wasm32")]
        drop(launches);
        Ok(())
    }

    /// Compilations so far.
    pub fn compiled(&self) -> u64 {
        self.compiled.load(Ordering::Relaxed)
    }

    /// Keeps what is compiled from now on in `folder`, where the driver allows that. The first
    /// folder stays.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn keep(&self, device: &wgpu::Device, folder: &std::path::Path) {
        if self.disk.get().is_none()
            && let Some(cache) = PipelineCache::open(device, folder)
        {
            // Another thread may have been first.
            let _ = self.disk.set(cache);
        }
    }

    /// A hash of the text that `shader` expands to.
    ///
    /// # Errors
    /// As [`shader::expand`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn text_hash(&self, shader: &Shader) -> Result<u64> {
        let mut hashes = self.text_hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&hash) = hashes.get(shader) {
            return Ok(hash);
        }
        let hash = super::kept::hash(shader::expand(&self.files, shader)?.code.as_bytes());
        hashes.insert(shader.clone(), hash);
        Ok(hash)
    }

    /// The pipeline of `shader`, if [`prepare`](Self::prepare) has seen it.
    pub fn get(&self, shader: &Shader) -> Option<Arc<Pipeline>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(shader).cloned()
    }

    /// Compiles those of `shaders` that are missing, on all cores where there are threads.
    ///
    /// # Errors
    /// [`Error::Internal`] names the kernel that does not compile.
    pub async fn prepare(&self, device: &wgpu::Device, shaders: &[&Shader]) -> Result<()> {
        let mut missing: Vec<_> =
            shaders.iter().copied().filter(|shader| self.get(shader).is_none()).collect();
        if !missing.is_empty() {
            self.files.check()?;
        }
        missing.sort();
        missing.dedup();
        #[cfg(not(target_arch = "wasm32"))]
        {
            use rayon::prelude::*;
            if missing.is_empty() {
                return Ok(());
            }
            missing
                .into_par_iter()
                .try_for_each(|shader| pollster::block_on(self.compile(device, shader)))?;
            if let Some(disk) = self.disk.get() {
                disk.save();
            }
            Ok(())
        }
        #[cfg(target_arch = "wasm32")]
        {
            for shader in missing {
                self.compile(device, shader).await?;
            }
            Ok(())
        }
    }

    fn checks_all(&self) -> bool {
        #[cfg(test)]
        return self.checked.load(Ordering::Relaxed);
        #[cfg(not(test))]
        false
    }

    async fn compile(&self, device: &wgpu::Device, shader: &Shader) -> Result<()> {
        let source = shader::expand(&self.files, shader)?;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        #[cfg(not(target_arch = "wasm32"))]
        let cache = self.disk.get().map(|disk| &disk.raw);
        #[cfg(target_arch = "wasm32")]
        let cache = None;
        let unchecked = source.unchecked && !self.checks_all();
        let pipeline = build(device, shader.kernel, &source, unchecked, cache);
        if let Some(error) = scope.pop().await {
            // Its own words name no file.
            #[cfg(not(target_arch = "wasm32"))]
            super::contract::module(&source)?;
            let defines = &shader.defines;
            let what = format!("kernel {} {defines:?} does not compile: {error}", shader.kernel);
            return Err(Error::Internal(what));
        }
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(shader.clone(), Arc::new(pipeline));
        Ok(())
    }
}

fn build(
    device: &wgpu::Device,
    kernel: &str,
    source: &shader::Source,
    unchecked: bool,
    cache: Option<&wgpu::PipelineCache>,
) -> Pipeline {
    let entries: Vec<_> = (0..)
        .zip(&source.slots)
        .map(|(binding, slot)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: binding_type(*slot),
            count: None,
        })
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(kernel),
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(kernel),
        source: wgpu::ShaderSource::Wgsl(source.code.as_str().into()),
    };
    let module = if unchecked {
        let unchecked = wgpu::ShaderRuntimeChecks::unchecked();
        // SAFETY: the comment above a kernel's `#unchecked` proves that its indices stay inside of what it
        // binds and declares, that it divides by nothing that is 0, and that its loops end.
        unsafe { device.create_shader_module_trusted(descriptor, unchecked) }
    } else {
        device.create_shader_module(descriptor)
    };
    let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        // Every kernel writes its workgroup memory before it reads it.
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache,
    });
    Pipeline { layout, raw }
}

fn binding_type(slot: Slot) -> wgpu::BindingType {
    let ty = match slot {
        Slot::Uniform => wgpu::BufferBindingType::Uniform,
        Slot::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Slot::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None }
}
