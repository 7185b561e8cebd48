//! Takes the times.

use std::time::{Duration, Instant};

use super::cases::KernelCase;
use super::report::{FORMAT, Kind, Machine, Report, Row, StepRow};
use super::roofline::{Limit, Peaks, Roof};
use super::runner::{Runner, clock};
use super::stats::Timing;
use crate::Result;
use crate::check::{self, Check, Oracle, noise};
use crate::engine::{Engine, EngineOptions};
use crate::graph::Graph;
use crate::model::Model;
use crate::models::Task;
use crate::plan::{Backend, Plan, Rates, Step, Work};
use crate::session::{self, Session};
use crate::tensor::{Dtype, Shape};
use crate::{blocking, cpu, gpu};

/// Relative L2 errors that a kernel and a network may have, in f32 and in f16.
const KERNEL_ERROR: [f64; 2] = [1e-5, 2e-3];
const NETWORK_ERROR: [f64; 2] = [1e-4, 2e-2];

/// Bytes through which a kernel rotates, more than the last-level cache of any GPU of today; and
/// the most copies that are made for it. What is smaller stays in a cache, as it does in a network.
const ROTATION_BYTES: u64 = 256 << 20;
const MAX_COPIES: u64 = 8;

/// Fewest and most times that a case runs.
const ROUNDS: [usize; 2] = [3, 200];

/// Pictures that a network is given in turn.
const PICTURES: usize = 4;

/// Runs in which the steps of a network are timed.
const STEP_RUNS: usize = 3;

/// Multiply-adds of a network that its twins compute in a few seconds.
const TWIN_NETWORK_WORK: u64 = 1_500_000_000;

/// Measures on one device.
#[derive(Clone, Debug)]
pub struct Bench<'e> {
    /// The device.
    pub engine: &'e Engine,
    /// What it reaches at most.
    pub peaks: Peaks,
    /// Seconds that each case is repeated for.
    pub seconds: f64,
}

impl Bench<'_> {
    /// A report of `rows`.
    pub fn report(&self, rows: Vec<Row>) -> Report {
        let device = self.engine.device();
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let machine = Machine {
            system,
            processor: processor().unwrap_or_default(),
            threads: rayon::current_num_threads(),
            device: device.name.clone(),
            backend: device.backend.clone(),
            kind: device.kind.clone(),
            driver: device.driver.clone(),
            precision: gpu::wgsl(self.engine.dtype()).to_owned(),
            clock: clock(self.engine),
        };
        let program = concat!("pentimento ", env!("CARGO_PKG_VERSION")).to_owned();
        Report { format: FORMAT, program, machine, peaks: self.peaks, rows }
    }

    /// Times a kernel alone.
    ///
    /// # Errors
    /// When the device fails.
    pub fn kernel(&self, case: &KernelCase) -> Result<Row> {
        let mut run = KernelRun::new(self.engine, case)?;
        let check = run.check(self.tolerance(KERNEL_ERROR))?;
        let launches = launches(&run.single.steps[0], &run.single);
        let mut samples = Vec::new();
        self.repeat(|| {
            samples.extend(run.times()?.iter().map(Duration::as_secs_f64));
            Ok(())
        })?;
        let time = Timing::of(&samples);
        Ok(Row {
            kind: Kind::Kernel,
            name: case.name.clone(),
            kernel: case.variant.name().to_owned(),
            networks: case.networks.iter().map(|name| (*name).to_owned()).collect(),
            flops: flops(case.work),
            bytes: case.work.bytes as f64,
            roof: self.peaks.roof(case.work, self.engine.dtype(), launches, time.median),
            time,
            check,
            predicted: self.predicted(&run.single),
            steps: Vec::new(),
            first_result: None,
            memory: None,
        })
    }

    /// Times a network from bytes to bytes, and its steps; `shape` is that of its input.
    ///
    /// # Errors
    /// When the network does not take that shape, or the device fails.
    pub fn network(&self, name: &str, model: &Model, shape: Shape) -> Result<Row> {
        let start = Instant::now();
        let mut session = Session::for_shape(self.engine, model, shape)?;
        let mut subject = Subject::new(model, shape);
        subject.run(&mut session, 0)?;
        let first_result = Some(start.elapsed().as_secs_f64());
        let check = self.check_network(model, shape, &mut session)?;
        let (mut samples, mut turn) = (Vec::new(), 0);
        self.repeat(|| {
            turn += 1;
            subject.run(&mut session, turn)?;
            samples.push(session.timings().total.as_secs_f64());
            Ok(())
        })?;
        let time = Timing::of(&samples);
        session.time_steps(true);
        let mut times = vec![Vec::new(); session.plan().steps.len()];
        for turn in 0..STEP_RUNS {
            subject.run(&mut session, turn)?;
            for (times, (_, step)) in times.iter_mut().zip(&session.timings().steps) {
                times.push(step.as_secs_f64());
            }
        }
        let plan = session.plan();
        let timed = times.iter().all(|times| !times.is_empty());
        let rows = plan.steps.iter().zip(&times).filter(|_| timed);
        let steps = rows.map(|(step, times)| self.step(step, plan, Timing::of(times).median));
        Ok(Row {
            kind: Kind::Network,
            name: name.to_owned(),
            kernel: String::new(),
            networks: Vec::new(),
            flops: plan.steps.iter().map(|step| flops(plan.work(step))).sum(),
            bytes: plan.steps.iter().map(|step| plan.work(step).bytes as f64).sum(),
            roof: self.network_roof(plan, time.median),
            check,
            predicted: self
                .predicted(plan)
                .map(|seconds| seconds + Rates::host(result_bytes(plan))),
            steps: steps.collect(),
            first_result,
            memory: Some(session.memory().total),
            time,
        })
    }

    /// What times are predicted by: the rates of a known device, or what the probes reached.
    fn rates(&self) -> Option<Rates> {
        Rates::known(&self.engine.device().name).or_else(|| self.peaks.rates())
    }

    fn predicted(&self, plan: &Plan) -> Option<f64> {
        plan.predicted(&self.rates()?)
    }

    fn step(&self, step: &Step, plan: &Plan, time: f64) -> StepRow {
        let (work, shape) = (plan.work(step), step.output.shape);
        StepRow {
            name: step.name.clone(),
            kernel: step.variant.name().to_owned(),
            output: [shape.n, shape.c, shape.h, shape.w],
            time,
            predicted: self.rates().and_then(|rates| Some(plan.cost(step, &rates)?.seconds)),
            flops: flops(work),
            bytes: work.bytes as f64,
            roof: self.peaks.roof(work, self.engine.dtype(), launches(step, plan), time),
        }
    }

    /// The sum of the shortest times of all steps, and what binds most of it.
    fn network_roof(&self, plan: &Plan, seconds: f64) -> Roof {
        let mut shares: Vec<(Limit, f64)> = Vec::new();
        for step in &plan.steps {
            let launches = launches(step, plan);
            let shortest = self.peaks.shortest(plan.work(step), self.engine.dtype(), launches);
            let Some((limit, time)) = shortest else { continue };
            match shares.iter_mut().find(|(known, _)| *known == limit) {
                Some((_, sum)) => *sum += time,
                None => shares.push((limit, time)),
            }
        }
        let sum: f64 = shares.iter().map(|(_, time)| time).sum();
        let largest = shares.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let limit = largest.map_or(Limit::Unknown, |(limit, _)| *limit);
        Roof { limit, fraction: sum / seconds.max(f64::MIN_POSITIVE) }
    }

    /// A GPU's result is compared with the CPU executor's, that with the twins' where they do not
    /// take long.
    fn check_network(&self, model: &Model, shape: Shape, session: &mut Session) -> Result<Check> {
        let input: Vec<f32> = noise(17, shape.len()).iter().map(|v| 0.5 * v).collect();
        let tolerance = self.tolerance(NETWORK_ERROR);
        let on_cpu = session.plan().target.backend == Backend::Cpu;
        let (against, expected) = if on_cpu {
            let graph = model.graph(shape)?;
            if graph.multiply_adds() > TWIN_NETWORK_WORK {
                return Ok(Check::none("its kernels are compared, each alone"));
            }
            ("twins", twins(graph, &input)?)
        } else {
            let options = EngineOptions::new().device("cpu");
            let mut session = Session::for_shape(&Engine::new(&options)?, model, shape)?;
            ("CPU executor", session.run_tensors(&[&input])?)
        };
        let actual = session.run_tensors(&[&input])?;
        Ok(Check::of(against.to_owned(), &actual[0], &expected[0], tolerance))
    }

    fn tolerance(&self, [single, half]: [f64; 2]) -> f64 {
        if self.engine.dtype() == Dtype::F16 { half } else { single }
    }

    /// Runs `round` until the time is up.
    fn repeat(&self, mut round: impl FnMut() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        for done in 1..=ROUNDS[1] {
            round()?;
            if done >= ROUNDS[0] && start.elapsed().as_secs_f64() >= self.seconds {
                break;
            }
        }
        Ok(())
    }
}

/// A kernel on copies of its data, warm.
pub struct KernelRun {
    runner: Runner,
    inputs: Vec<Vec<f32>>,
    /// One copy alone, and what the first yielded.
    single: Plan,
    output: Vec<f32>,
}

impl KernelRun {
    /// Prepares `case` on random data, by its fastest tile where the engine tunes, and runs it once.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(engine: &Engine, case: &KernelCase) -> Result<Self> {
        let copies = (ROTATION_BYTES / case.work.bytes.max(1)).clamp(1, MAX_COPIES);
        let single = blocking::block_on(session::tuned(engine, case.plan(1)))?;
        let mut plan = case.plan(copies as usize);
        for (step, tuned) in plan.steps.iter_mut().zip(single.steps.iter().cycle()) {
            step.variant = tuned.variant.clone();
        }
        let inputs = check::inputs(&plan);
        let mut runner = Runner::new(engine, plan)?;
        let output = runner.run(&slices(&inputs))?.into_iter().next().unwrap_or_default();
        Ok(Self { runner, inputs, single, output })
    }

    /// Runs every copy once: how long each took.
    ///
    /// # Errors
    /// When the device fails.
    pub fn times(&mut self) -> Result<Vec<Duration>> {
        let spans = self.runner.spans(&slices(&self.inputs))?;
        Ok(spans.into_iter().map(|[_, time]| time).collect())
    }

    /// What the first copy yielded.
    pub fn output(&self) -> &[f32] {
        &self.output
    }

    fn check(&self, tolerance: f64) -> Result<Check> {
        let inputs = slices(&self.inputs[..self.single.inputs.len()]);
        check::against(Oracle::Twin, &self.single, &inputs, &self.output, tolerance)
    }
}

fn slices(values: &[Vec<f32>]) -> Vec<&[f32]> {
    values.iter().map(Vec::as_slice).collect()
}

fn twins(graph: Graph, input: &[f32]) -> Result<Vec<Vec<f32>>> {
    let plan = Plan::new(graph.into(), crate::plan::Target::cpu())?;
    cpu::Executor::reference(plan.into())?.run(&[input])
}

fn flops(work: Work) -> f64 {
    2.0 * work.multiply_adds as f64
}

/// Bytes of a picture that a plan yields, three for each pixel.
fn result_bytes(plan: &Plan) -> usize {
    plan.outputs.first().map_or(0, |view| 3 * view.shape.n * view.shape.plane())
}

/// Dispatches of a step on a GPU.
fn launches(step: &Step, plan: &Plan) -> usize {
    match plan.target.backend {
        Backend::Cpu => 0,
        Backend::Gpu => gpu::ops::record(step, plan).map_or(0, |dispatches| dispatches.len()),
    }
}

/// What a network is run on: pictures in turn, or tensors where it takes or yields none.
enum Subject {
    Pictures(Vec<Vec<u8>>),
    Tensors(Vec<Vec<f32>>),
}

impl Subject {
    fn new(model: &Model, shape: Shape) -> Self {
        let inputs = (0..PICTURES as u64).map(|i| noise(31 + i, shape.len()));
        match model.task() {
            Task::RestoreFace { .. } | Task::Upscale { .. } => {
                let byte = |v: f32| (v * 50.0 + 128.0) as u8;
                let picture = |values: Vec<f32>| values.into_iter().map(byte).collect();
                Self::Pictures(inputs.map(picture).collect())
            }
            Task::Generate { .. } | Task::Parse { .. } | Task::Detect { .. } => {
                Self::Tensors(inputs.collect())
            }
        }
    }

    fn run(&mut self, session: &mut Session, turn: usize) -> Result<()> {
        match self {
            Self::Pictures(all) => session.run(&all[turn % all.len()]).map(drop),
            Self::Tensors(all) => session.run_tensors(&[&all[turn % all.len()]]).map(drop),
        }
    }
}

/// The name of the processor, from Linux.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
