//! Executes a plan on a GPU through wgpu; the only folder that names it.
//!
//! [`ops`] turn each step into [`Dispatch`]es (plain data), `schema` lays out every buffer
//! (pure), and the [`Executor`] allocates, binds, replays and reads back.

mod adapter;
mod builder;
mod call;
mod canvas;
#[cfg(not(target_arch = "wasm32"))]
mod contract;
mod device;
mod dispatch;
mod embed;
mod executor;
mod face;
mod files;
#[cfg(not(target_arch = "wasm32"))]
mod kept;
#[cfg(all(feature = "cli", any(target_os = "linux", windows)))]
pub mod lab;
mod launch;
mod mapping;
mod memory;
pub mod ops;
mod params;
#[cfg(not(target_arch = "wasm32"))]
mod pipeline_cache;
mod pipelines;
mod pixels;
#[cfg(feature = "cli")]
#[cfg(not(target_arch = "wasm32"))]
pub mod probe;
mod profile;
mod schema;
mod shader;
#[cfg(test)]
mod testing;
mod trace;
#[cfg(not(target_arch = "wasm32"))]
mod tune;
mod upload;
#[cfg(not(target_arch = "wasm32"))]
mod verdicts;

/// The graphics library, at the version that this crate was built with.
pub use ::wgpu;
pub use adapter::{AdapterInfo, DeviceOptions, adapters, best};
pub use builder::wgsl;
pub use canvas::{Canvas, Patch};
pub use device::{Device, descriptor};
pub use dispatch::{Binding, Dispatch, Shader};
pub use embed::{GpuPicture, PixelOrder};
pub use executor::Executor;
pub use face::Face;
pub use memory::{Counters, Memory};
pub use profile::StepTime;
pub use schema::{Schema, predict};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use tune::tune;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use verdicts::{fingerprints, verdicts};
