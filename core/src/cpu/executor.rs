//! Runs a plan on the threads of this process.

use std::sync::Arc;
use std::time::Duration;

use super::arena::{Arena, Operands};
use super::kernel::{Prepared, Quality};
use super::tensor::Tensor;
use super::workspace::{Workspace, until_no_memory};
use super::{image_to_tensor, tensor_to_image};
use crate::allocate;
use crate::control::{Instant, Watch};
use crate::error::{Error, Result};
use crate::pixels::PixelFormat;
use crate::plan::Plan;
use crate::tensor::Shape;

/// A plan with its weights packed and its memory allocated; a second run allocates next to nothing.
pub struct Executor {
    plan: Arc<Plan>,
    steps: Vec<Prepared>,
    arena: Arena,
    workspace: Workspace,
    /// How runs are watched.
    pub watch: Watch,
    /// How long each step of the last run took, where that was asked for.
    pub step_times: Vec<Duration>,
}

/// The result of one step of a traced run.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The step's name.
    pub name: String,
    /// Shape of `values`.
    pub shape: Shape,
    /// `[N, C, H, W]`
    pub values: Vec<f32>,
}

impl Executor {
    /// Prepares `plan`, which was made for [`Target::cpu`](crate::plan::Target::cpu).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the arena cannot be allocated, [`Error::Internal`] when the
    /// plan contradicts itself or was made for another backend.
    pub fn new(plan: Arc<Plan>) -> Result<Self> {
        Self::build(plan, Quality::Fast)
    }

    /// Prepares `plan` with the readable version of every kernel: slow, the oracle of the others.
    ///
    /// # Errors
    /// As [`Executor::new`].
    pub fn reference(plan: Arc<Plan>) -> Result<Self> {
        Self::build(plan, Quality::Twin)
    }

    fn build(plan: Arc<Plan>, quality: Quality) -> Result<Self> {
        let mut arena = Arena::new(&plan)?;
        for step in &plan.steps {
            arena.operands(&plan, step)?;
        }
        for &view in plan.inputs.iter().chain(&plan.outputs) {
            arena.read(&plan, view)?;
        }
        let prepare = |step| Prepared::new(&plan.graph, step, quality);
        let steps = plan.steps.iter().map(prepare).collect::<Result<_>>()?;
        let (workspace, watch, step_times) = Default::default();
        Ok(Self { plan, steps, arena, workspace, watch, step_times })
    }

    /// The plan that it executes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes held: intermediates, packed weights and working memory.
    pub fn memory(&self) -> usize {
        let weights: usize = self.steps.iter().map(Prepared::memory).sum();
        self.arena.memory() + weights + self.workspace.memory()
    }

    /// Runs the network on one slice per input of the graph, each `[N, C, H, W]`, and returns one
    /// vector per output.
    ///
    /// # Errors
    /// [`Error::Input`] when the inputs are not as many or as long as the plan says,
    /// [`Error::NonFinite`] when an output holds NaN or infinity.
    pub fn run(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        self.execute(|arena, plan| load(arena, plan, inputs))?;
        self.plan
            .outputs
            .iter()
            .map(|&view| Ok(flat(&self.arena.read(&self.plan, view)?)))
            .collect()
    }

    /// Runs the network on interleaved 8-bit pictures of the input's size, one after the other for
    /// a batch, and returns those of its first output.
    ///
    /// # Errors
    /// As [`Executor::run`]; also when the network does not take and give pictures of three
    /// channels.
    pub fn run_image(
        &mut self,
        rgb: &[u8],
        input: PixelFormat,
        output: PixelFormat,
    ) -> Result<Vec<u8>> {
        let plan = Arc::clone(&self.plan);
        let (&[from], Some(&to)) = (&plan.inputs[..], plan.outputs.first()) else {
            return Err(Error::Input("this network does not take one picture".to_owned()));
        };
        if [from, to].iter().any(|view| view.shape.c != 3) || from.shape.n != to.shape.n {
            let what = format!("this network turns {} into {}, no pictures", from.shape, to.shape);
            return Err(Error::Input(what));
        }
        if ![input, output].iter().all(|format| matches!(format.channels, 3 | 4)) {
            return Err(Error::Input("pixels have 3 or 4 bytes".to_owned()));
        }
        let picture = from.shape.plane() * input.channels;
        if rgb.len() != from.shape.n * picture {
            let Shape { n, h, w, .. } = from.shape;
            return Err(Error::Input(format!(
                "the picture has {} bytes, {w} × {h} pixels have {}",
                rgb.len(),
                n * picture
            )));
        }
        self.execute(|arena, plan| {
            let samples = arena.write(plan, from)?.samples;
            for (x, bytes) in samples.into_iter().zip(rgb.chunks_exact(picture)) {
                image_to_tensor::run(bytes, &input, x);
            }
            Ok(())
        })?;
        let result = self.arena.read(&plan, to)?;
        let picture = to.shape.plane() * output.channels;
        let mut pixels = allocate::zeros(to.shape.n * picture)?;
        for (y, bytes) in result.samples.iter().zip(pixels.chunks_exact_mut(picture)) {
            tensor_to_image::run(y, &output, bytes);
        }
        Ok(pixels)
    }

    /// Like [`Executor::run`], but returns what every step yielded, in order.
    ///
    /// # Errors
    /// [`Error::Input`] as for [`Executor::run`]; values are not checked.
    pub fn run_traced(&mut self, inputs: &[&[f32]]) -> Result<Vec<Trace>> {
        load(&mut self.arena, &self.plan, inputs)?;
        let mut traces = Vec::with_capacity(self.steps.len());
        for (step, prepared) in self.plan.steps.iter().zip(&self.steps) {
            compute(prepared, self.arena.operands(&self.plan, step)?, &self.workspace)?;
            let values = flat(&self.arena.read(&self.plan, step.output)?);
            traces.push(Trace { name: step.name.clone(), shape: step.output.shape, values });
        }
        Ok(traces)
    }

    /// Runs all steps on what `load` puts into the arena, and checks the outputs.
    fn execute(&mut self, load: impl Fn(&mut Arena, &Plan) -> Result<()>) -> Result<()> {
        let (plan, arena) = (&*self.plan, &mut self.arena);
        self.step_times.clear();
        load(arena, plan)?;
        let all = plan.steps.len();
        for (done, (step, prepared)) in plan.steps.iter().zip(&self.steps).enumerate() {
            self.watch.report(done, all)?;
            let start = self.watch.time_steps.then(Instant::now);
            compute(prepared, arena.operands(plan, step)?, &self.workspace)?;
            self.step_times.extend(start.map(|start| start.elapsed()));
        }
        self.watch.report(all, all)?;
        let mut finite = true;
        for &view in &plan.outputs {
            finite &= is_finite(&arena.read(plan, view)?);
        }
        if finite {
            return Ok(());
        }
        // Which step it was, a second run tells, with all its outputs checked.
        load(arena, plan)?;
        for (step, prepared) in plan.steps.iter().zip(&self.steps) {
            compute(prepared, arena.operands(plan, step)?, &self.workspace)?;
            if !is_finite(&arena.read(plan, step.output)?) {
                return Err(Error::NonFinite { node: step.name.clone() });
            }
        }
        Err(Error::NonFinite { node: "input".to_owned() })
    }
}

/// Runs one step.
///
/// # Errors
/// [`Error::OutOfMemory`] when there is no working memory left.
fn compute(step: &Prepared, operands: Operands<'_>, workspace: &Workspace) -> Result<()> {
    until_no_memory(|| step.run(operands, workspace))
}

/// Copies the caller's inputs into the arena.
fn load(arena: &mut Arena, plan: &Plan, inputs: &[&[f32]]) -> Result<()> {
    if inputs.len() != plan.inputs.len() {
        let (given, takes) = (inputs.len(), plan.inputs.len());
        return Err(Error::Input(format!("{given} inputs were given, the network takes {takes}")));
    }
    for (&view, values) in plan.inputs.iter().zip(inputs) {
        let shape = view.shape;
        if values.len() != shape.len() {
            let (given, takes) = (values.len(), shape.len());
            return Err(Error::Input(format!("the input has {given} values, {shape} is {takes}")));
        }
        let samples = arena.write(plan, view)?.samples;
        for (to, from) in samples.into_iter().zip(values.chunks_exact(shape.sample())) {
            to.copy_from_slice(from);
        }
    }
    Ok(())
}

fn is_finite(tensor: &Tensor) -> bool {
    tensor.samples.iter().all(|values| values.iter().all(|v| v.is_finite()))
}

/// All samples, one after the other.
fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.samples.concat()
}
