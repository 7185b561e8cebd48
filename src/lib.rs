//! GAN-prior face restoration on any GPU: hand-written WGSL kernels, and a CPU executor for
//! machines without one.
//!
//! ```no_run
//! use pentimento::{Engine, EngineOptions, Model, Session};
//!
//! let engine = Engine::new(&EngineOptions::default())?;
//! let model = Model::open("weights/mmrbnet-256.safetensors")?;
//! let mut session = Session::new(&engine, &model, 256, 256)?;
//! let degraded: Vec<u8> = vec![128; 256 * 256 * 3];
//! let restored: Vec<u8> = session.run(&degraded)?;
//! # Ok::<(), pentimento::Error>(())
//! ```
//!
//! Programs that embed the engine need only the items listed here. The modules behind them are for
//! kernel engineers and for networks of your own; `cargo doc --features internals` documents them.
//! They may change in any release.

#![deny(missing_docs)]

#[cfg(feature = "cli")]
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod bench;
mod blocking;
#[cfg(not(target_arch = "wasm32"))]
mod check;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod checkpoint;
#[cfg(feature = "cli")]
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod cli;
mod engine;
#[cfg(feature = "capi")]
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod ffi;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod gpu;
mod model;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod models;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod nn;
pub mod photo;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod room;
mod session;
#[cfg(test)]
#[path = "../tests/support/skipped.rs"]
mod skipped;
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub mod threads;
#[cfg(not(target_arch = "wasm32"))]
mod verify;
mod wall;

pub use engine::{DeviceInfo, Engine, EngineOptions, Precision};
pub use gpu::{GpuPicture, PixelOrder, wgpu};
pub use model::{Model, ModelInfo};
pub use models::{CodeFormerOptions, Options, Task, Truncation, ValueRange};
pub use nn::stylegan2::Resample;
pub use pentimento_core::{Control, Error, Result, Shape};
pub use session::{Memory, Session, Timings};

// The rooms of the core, by the names that they have there.
#[cfg_attr(not(feature = "internals"), doc(hidden))]
pub use pentimento_core::{cpu, for_each_kernel, graph, pixels, plan, tensor};

use pentimento_core::control;

/// The command line uses the library by its name, as every program does.
#[cfg(feature = "cli")]
extern crate self as pentimento;

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
