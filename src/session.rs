//! A [`Session`]: a model made ready for one input shape on one device.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::engine::{Device, Engine};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::plan::{PixelFormat, Plan};
use crate::tensor::Shape;
use crate::{cpu, gpu};

/// Bytes that a session holds on its device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Memory {
    /// Packed weights.
    pub weights: usize,
    /// Intermediates.
    pub arena: usize,
    /// Everything, with staging buffers and parameters.
    pub total: usize,
}

/// A model that was planned, uploaded and compiled for one input shape. The second picture costs
/// no allocation and no compilation.
pub struct Session {
    executor: Executor,
    plan: Arc<Plan>,
    pixels: PixelFormat,
}

enum Executor {
    Cpu(cpu::Executor),
    Gpu(Box<gpu::Executor>),
}

impl Session {
    /// Prepares `model` for pictures of `height × width`.
    ///
    /// # Errors
    /// When the network does not take that size, a tensor does not fit, or memory does not suffice.
    pub fn new(engine: &Engine, model: &Model, height: usize, width: usize) -> Result<Self> {
        Self::for_shape(engine, model, model.input_shape(height, width))
    }

    /// Prepares `model` for tensors of `shape`, batches included.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn for_shape(engine: &Engine, model: &Model, shape: Shape) -> Result<Self> {
        pollster::block_on(Self::prepare(engine, model, shape))
    }

    /// [`Session::for_shape`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub async fn prepare(engine: &Engine, model: &Model, shape: Shape) -> Result<Self> {
        let plan = Arc::new(Plan::new(Arc::new(model.graph(shape)?), engine.target())?);
        let executor = match engine.handle() {
            Device::Cpu => {
                let executor = cpu::Executor::new(plan.clone())?;
                within(engine, executor.memory())?;
                Executor::Cpu(executor)
            }
            Device::Gpu(device) => {
                within(engine, gpu::predict(&plan)?.total())?;
                Executor::Gpu(Box::new(gpu::Executor::new(device, plan.clone()).await?))
            }
        };
        Ok(Self { executor, plan, pixels: model.pixels() })
    }

    /// Height and width of the output.
    pub fn output_size(&self) -> (usize, usize) {
        let shape = self.output_shape();
        (shape.h, shape.w)
    }

    /// Shape of the output.
    pub fn output_shape(&self) -> Shape {
        self.plan.outputs[0].shape
    }

    /// Shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.plan.inputs[0].shape
    }

    /// Runs one picture of RGB bytes, row by row, and yields the result's RGB bytes.
    ///
    /// # Errors
    /// [`Error::Input`] when the length is wrong, [`Error::NonFinite`] when the network fails,
    /// [`Error::DeviceLost`].
    pub fn run(&mut self, rgb: &[u8]) -> Result<Vec<u8>> {
        pollster::block_on(self.run_async(rgb))
    }

    /// [`Session::run`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_async(&mut self, rgb: &[u8]) -> Result<Vec<u8>> {
        match &mut self.executor {
            Executor::Cpu(executor) => executor.run_image(rgb, self.pixels, self.pixels),
            Executor::Gpu(executor) => executor.run_image(rgb, self.pixels, self.pixels).await,
        }
    }

    /// Runs one picture of RGB bytes, row by row, and yields the outputs as tensors: for networks
    /// that make no pictures.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_to_tensors(&mut self, rgb: &[u8]) -> Result<Vec<Vec<f32>>> {
        let shape = self.input_shape();
        let expected = shape.plane() * self.pixels.channels;
        if (shape.n, shape.c) != (1, 3) || rgb.len() != expected {
            let given = rgb.len();
            let what = format!("the picture has {given} bytes, one for {shape} has {expected}");
            return Err(Error::Input(what));
        }
        let mut tensor = vec![0.0; shape.len()];
        cpu::image_to_tensor::run(rgb, &self.pixels, &mut tensor);
        self.run_tensors(&[&tensor])
    }

    /// Runs tensors, NCHW in f32, and yields the outputs.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_tensors(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        match &mut self.executor {
            Executor::Cpu(executor) => executor.run(inputs),
            Executor::Gpu(executor) => pollster::block_on(executor.run(inputs)),
        }
    }

    /// What it holds on its device.
    pub fn memory(&self) -> Memory {
        match &self.executor {
            Executor::Cpu(executor) => {
                let (arena, total) = (self.plan.arena_bytes(), executor.memory());
                Memory { weights: total.saturating_sub(arena), arena, total }
            }
            Executor::Gpu(executor) => {
                let memory = executor.memory();
                Memory { weights: memory.weights, arena: memory.arena, total: memory.total() }
            }
        }
    }

    /// What it executes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (self.input_shape(), self.output_shape());
        write!(f, "Session {{ {input} -> {output}, {} steps }}", self.plan.steps.len())
    }
}

fn within(engine: &Engine, needed: usize) -> Result<()> {
    match engine.memory_budget() {
        Some(available) if needed > available => Err(Error::OutOfMemory {
            needed,
            available,
            hint: "raise the memory budget, or use smaller tiles".to_owned(),
        }),
        _ => Ok(()),
    }
}
