//! A [`Session`]: a model made ready for one input shape on one device.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::control::{Control, Instant, Watch};
use crate::engine::{Device, Engine};
use crate::gpu::GpuPicture;
use crate::model::Model;
use crate::pixels::PixelFormat;
use crate::plan::Plan;
use crate::tensor::Shape;
#[cfg(not(target_arch = "wasm32"))]
use crate::verify;
use crate::{Error, Result};
use crate::{cpu, gpu};

/// What helps where the memory budget is too small.
const RAISE: &str = "raise the memory budget, or use smaller tiles";
/// What helps where the system has too little memory.
const END_OTHERS: &str = "end other programs, or use smaller tiles";

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

/// How long the last run of a [`Session`] took.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Timings {
    /// From the call to the result, uploads and downloads included.
    pub total: Duration,
    /// Each step of the network, where [`Session::time_steps`] asks for it: its name and its time.
    /// Empty on a GPU that cannot time its work.
    pub steps: Vec<(String, Duration)>,
}

/// A model that was planned, uploaded and compiled for one input shape. The second picture costs
/// no allocation and no compilation.
///
/// ```
/// use pentimento::{Engine, EngineOptions, Model, Session};
///
/// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
/// let model = Model::open("weights/mmrbnet-256.safetensors")?;
/// let mut session = Session::new(&engine, &model, 256, 256)?;
/// for brightness in [90, 128] {
///     let restored = session.run(&vec![brightness; 256 * 256 * 3])?;
///     assert_eq!(restored.len(), 256 * 256 * 3);
///     println!("{:?}", session.timings().total);
/// }
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct Session {
    executor: Executor,
    plan: Arc<Plan>,
    pixels: PixelFormat,
    watch: Watch,
    timings: Timings,
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
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(engine: &Engine, model: &Model, height: usize, width: usize) -> Result<Self> {
        Self::for_shape(engine, model, model.input_shape(height, width))
    }

    /// Prepares `model` for tensors of `shape`, batches included.
    ///
    /// # Errors
    /// As [`Session::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn for_shape(engine: &Engine, model: &Model, shape: Shape) -> Result<Self> {
        crate::blocking::block_on(Self::prepare(engine, model, shape))
    }

    /// [`Session::for_shape`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub async fn prepare(engine: &Engine, model: &Model, shape: Shape) -> Result<Self> {
        let plan = Plan::new(Arc::new(model.graph(shape)?), engine.target())?;
        #[cfg(not(target_arch = "wasm32"))]
        let plan = verified(engine, tuned(engine, plan).await?).await?;
        let plan = Arc::new(plan);
        let executor = match engine.handle() {
            Device::Cpu => {
                within(engine.memory_left(), plan.arena_bytes(), END_OTHERS)?;
                let executor = cpu::Executor::new(plan.clone())?;
                within(engine.memory_budget(), executor.memory(), RAISE)?;
                Executor::Cpu(executor)
            }
            Device::Gpu(device) => {
                within(engine.memory_budget(), gpu::predict(&plan)?.total(), RAISE)?;
                Executor::Gpu(Box::new(gpu::Executor::new(device, plan.clone()).await?))
            }
        };
        let (steps, shape) = (plan.steps.len(), plan.inputs[0].shape);
        log::debug!("{} is ready for {shape}: {steps} steps", model.architecture());
        let (pixels, watch, timings) = (model.pixels(), Watch::default(), Timings::default());
        Ok(Self { executor, plan, pixels, watch, timings })
    }

    /// Lets `control` watch the following runs, and cancel them. A cancelled session can be run
    /// again with another control, or with none.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use pentimento::{Control, Engine, EngineOptions, Error, Model, Session};
    ///
    /// let engine = Engine::new(&EngineOptions::new().device("cpu"))?;
    /// let model = Model::open("tests/goldens/mmrbnet/default/checkpoint.safetensors")?;
    /// let mut session = Session::new(&engine, &model, 16, 16)?;
    /// let half = |done| if done < 0.5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    /// session.set_control(Some(Control::with_progress(half)));
    /// let degraded = vec![128; session.input_shape().len()];
    /// assert!(matches!(session.run(&degraded), Err(Error::Cancelled)));
    /// session.set_control(None);
    /// session.run(&degraded)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_control(&mut self, control: Option<Control>) {
        self.watch.control = control;
    }

    /// Whether the following runs time every step. On a GPU they then wait for each other.
    pub fn time_steps(&mut self, wanted: bool) {
        self.watch.time_steps = wanted;
    }

    /// How long the last run took that succeeded.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Hands over how the next run is watched.
    fn begin(&mut self) -> Instant {
        let watch = self.watch.clone();
        match &mut self.executor {
            Executor::Cpu(executor) => executor.watch = watch,
            Executor::Gpu(executor) => executor.watch = watch,
        }
        Instant::now()
    }

    fn end(&mut self, start: Instant) {
        let times = match &self.executor {
            Executor::Cpu(executor) => &executor.step_times,
            Executor::Gpu(executor) => &executor.step_times,
        };
        let names = self.plan.steps.iter().map(|step| step.name.clone());
        let steps = names.zip(times.iter().copied()).collect();
        self.timings = Timings { total: start.elapsed(), steps };
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

    /// Runs one picture of RGB bytes, row by row, and yields the result's RGB bytes; for a session
    /// that was prepared for a batch, its pictures one after the other.
    ///
    /// # Errors
    /// [`Error::Input`] when the length is wrong, [`Error::NonFinite`] when the network fails,
    /// [`Error::Cancelled`], [`Error::DeviceLost`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&mut self, rgb: &[u8]) -> Result<Vec<u8>> {
        crate::blocking::block_on(self.run_async(rgb))
    }

    /// [`Session::run`] for programs with an async runtime: the thread is free while a GPU works.
    /// On the CPU executor this computes before it returns. The future may be dropped.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_async(&mut self, rgb: &[u8]) -> Result<Vec<u8>> {
        let start = self.begin();
        let result = match &mut self.executor {
            Executor::Cpu(executor) => executor.run_image(rgb, self.pixels, self.pixels),
            Executor::Gpu(executor) => executor.run_image(rgb, self.pixels, self.pixels).await,
        }?;
        self.end(start);
        Ok(result)
    }

    /// Runs one picture that is on the GPU and leaves the result there. Work is submitted to the
    /// queue that the engine was made with: what the program submitted before is done before, what
    /// it submits afterwards sees the result.
    ///
    /// # Errors
    /// [`Error::Input`] on the CPU, for networks that do not turn one picture into another, and for
    /// pictures of another size, format or usage; [`Error::Device`] for those of another device;
    /// otherwise as [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_on_gpu(&mut self, input: GpuPicture<'_>, output: GpuPicture<'_>) -> Result<()> {
        crate::blocking::block_on(self.run_on_gpu_async(input, output))
    }

    /// [`Session::run_on_gpu`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::run_on_gpu`].
    pub async fn run_on_gpu_async(
        &mut self,
        input: GpuPicture<'_>,
        output: GpuPicture<'_>,
    ) -> Result<()> {
        self.run_batch_on_gpu(&[input], &[output]).await
    }

    /// [`Session::run_on_gpu_async`] of as many pictures as the session was prepared for.
    ///
    /// # Errors
    /// As [`Session::run_on_gpu`].
    pub(crate) async fn run_batch_on_gpu(
        &mut self,
        inputs: &[GpuPicture<'_>],
        outputs: &[GpuPicture<'_>],
    ) -> Result<()> {
        let start = self.begin();
        let Executor::Gpu(executor) = &mut self.executor else {
            let what = "the engine computes on the CPU, it cannot read a picture on a GPU";
            return Err(Error::Input(what.to_owned()));
        };
        executor.run_on_device(inputs, outputs, self.pixels).await?;
        self.end(start);
        Ok(())
    }

    /// Runs one picture of RGB bytes, row by row, and yields the outputs as tensors: for networks
    /// that make no pictures.
    ///
    /// # Errors
    /// As [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_to_tensors(&mut self, rgb: &[u8]) -> Result<Vec<Vec<f32>>> {
        crate::blocking::block_on(self.run_to_tensors_async(rgb))
    }

    /// [`Session::run_to_tensors`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_to_tensors_async(&mut self, rgb: &[u8]) -> Result<Vec<Vec<f32>>> {
        let shape = self.input_shape();
        let expected = shape.plane() * self.pixels.channels;
        if (shape.n, shape.c) != (1, 3) || rgb.len() != expected {
            let given = rgb.len();
            let what = format!("the picture has {given} bytes, one for {shape} has {expected}");
            return Err(Error::Input(what));
        }
        let start = self.begin();
        let outputs = match &mut self.executor {
            Executor::Cpu(executor) => {
                let mut tensor = vec![0.0; shape.len()];
                cpu::image_to_tensor::run(rgb, &self.pixels, &mut tensor);
                executor.run(&[&tensor])
            }
            Executor::Gpu(executor) => executor.run_pixels(rgb, self.pixels).await,
        }?;
        self.end(start);
        Ok(outputs)
    }

    /// Runs tensors, NCHW in f32, and yields the outputs.
    ///
    /// # Errors
    /// As [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_tensors(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        crate::blocking::block_on(self.run_tensors_async(inputs))
    }

    /// [`Session::run_tensors`] for programs with an async runtime.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_tensors_async(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        let start = self.begin();
        let outputs = match &mut self.executor {
            Executor::Cpu(executor) => executor.run(inputs),
            Executor::Gpu(executor) => executor.run(inputs).await,
        }?;
        self.end(start);
        Ok(outputs)
    }

    /// The memory that the session holds on its device.
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

    /// The plan that the session executes.
    #[doc(hidden)]
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

/// `plan` with the tiles that are the fastest on its device, where that is asked for.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn tuned(engine: &Engine, mut plan: Plan) -> Result<Plan> {
    if let (Device::Gpu(device), Some(folder)) = (engine.handle(), engine.tuning()) {
        within(engine.memory_budget(), gpu::predict(&plan)?.total(), RAISE)?;
        gpu::tune(device, &mut plan, folder).await?;
    }
    Ok(plan)
}

/// `plan` with kernels that its driver was seen to compute rightly, where that can be kept.
#[cfg(not(target_arch = "wasm32"))]
async fn verified(engine: &Engine, plan: Plan) -> Result<Plan> {
    match (engine.handle(), engine.cache()) {
        (Device::Gpu(device), Some(folder)) => {
            verify::verified(device, plan, folder, engine.notes()).await
        }
        _ => Ok(plan),
    }
}

/// # Errors
/// [`Error::OutOfMemory`] with `hint` where more is `needed` than there is.
fn within(available: Option<usize>, needed: usize, hint: &str) -> Result<()> {
    match available {
        Some(available) if needed > available => {
            Err(Error::OutOfMemory { needed, available, hint: hint.to_owned() })
        }
        _ => Ok(()),
    }
}
