//! One case, run when another program asks for it.

use std::io::{self, BufRead as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pentimento::bench::{KernelCase, KernelRun, Timing, noise};
use pentimento::{Engine, Error, Model, Result, Session, Shape};
use serde::Serialize;

use super::super::output::print;

/// How many values of the result are shown.
const PROBES: usize = 64;
/// Knuth's multiplicative hash: probes are spread over the whole result.
const SPREAD: u64 = 2_654_435_761;
/// The stream of a network's input, of deviation 1/2.
const INPUT: u64 = 17;

/// What is printed before the first run.
#[derive(Serialize)]
struct Ready<'n> {
    name: &'n str,
    device: &'n str,
    /// Values of the result.
    len: usize,
    /// Those at `i · 2654435761 mod len`.
    probes: Vec<f32>,
    /// Seconds from the request to the first result, compilation included.
    first_result: f64,
    /// Bytes held on the device, of networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<usize>,
}

impl<'n> Ready<'n> {
    fn new(name: &'n str, engine: &'n Engine, output: &[f32], start: Instant) -> Self {
        let first_result = start.elapsed().as_secs_f64();
        let len = output.len();
        let at = |i: usize| (i as u64 * SPREAD % len.max(1) as u64) as usize;
        let probes = (0..PROBES.min(len)).map(|i| output[at(i)]).collect();
        let device = &engine.device().name;
        Self { name, device, len, probes, first_result, memory: None }
    }
}

/// Serves a kernel: the median time of its copies.
pub fn kernel(engine: &Engine, case: &KernelCase) -> Result<ExitCode> {
    let start = Instant::now();
    let mut run = KernelRun::new(engine, case)?;
    serve(&Ready::new(&case.name, engine, run.output(), start), || {
        let times: Vec<f64> = run.times()?.iter().map(Duration::as_secs_f64).collect();
        Ok(Timing::of(&times).median)
    })
}

/// Serves a network, from tensor to tensor.
pub fn network(engine: &Engine, name: &str, model: &Model, shape: Shape) -> Result<ExitCode> {
    let start = Instant::now();
    let mut session = Session::for_shape(engine, model, shape)?;
    let input: Vec<f32> = noise(INPUT, shape.len()).iter().map(|v| 0.5 * v).collect();
    let output = session.run_tensors(&[&input])?;
    let memory = Some(session.memory().total);
    serve(&Ready { memory, ..Ready::new(name, engine, &output[0], start) }, || {
        session.run_tensors(&[&input])?;
        Ok(session.timings().total.as_secs_f64())
    })
}

fn serve(ready: &Ready<'_>, mut run: impl FnMut() -> Result<f64>) -> Result<ExitCode> {
    let broken = |source| Error::Io { action: "read", path: "standard input".into(), source };
    let first = serde_json::to_string(ready).map_err(|error| broken(error.into()))?;
    print(&(first + "\n"))?;
    for line in io::stdin().lock().lines() {
        line.map_err(broken)?;
        print(&format!("{:.9}\n", run()?))?;
    }
    Ok(ExitCode::SUCCESS)
}
