//! A network of your own: an enlarger like SRVGGNetCompact whose 3×3 convolutions are mixed
//! multi-path residual blocks (MMRB), trained in PyTorch and run by this engine.
//!
//! `tools/reference/pentimento_reference/custom_network.py` holds the same network as a PyTorch
//! module, trains it for a minute, and writes its tensors and one picture with PyTorch's result:
//!
//! ```sh
//! python -m pentimento_reference.custom_network enlarger.safetensors check.safetensors
//! cargo run --release --example custom_network enlarger.safetensors check.safetensors
//! ```
//!
//! The example builds the graph, runs it on the best device and on the CPU, compares both with
//! PyTorch, and measures them.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::{Graph, NodeId, ops};
use pentimento::models::Network;
use pentimento::nn::mmrb::{Mix, Mmrb, PathSpec, mmrb};
use pentimento::nn::{Builder, ConvSpec};
use pentimento::pixels::PixelFormat;
use pentimento::{Engine, EngineOptions, Error, Model, Precision, Result, Session, Shape, Task};

/// `y = shuffle(last(blocks(first(x)))) + nearest(x)`, for RGB in [0, 1].
#[derive(Debug)]
struct Enlarger {
    /// Width of the body.
    channels: usize,
    /// MMRBs between the first and the last convolution.
    blocks: usize,
    /// Output pixels per input pixel on either axis.
    factor: usize,
}

/// Two paths: 3×3, and 3×3 with a dilation of 2.
const PATHS: [PathSpec; 2] = [
    PathSpec { kernel: 3, dilation: 1, groups: 1 },
    PathSpec { kernel: 3, dilation: 2, groups: 1 },
];
const SLOPE: f32 = 0.1;

impl Enlarger {
    /// Reads the hyper-parameters off the tensors' shapes.
    fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let channels = checkpoint.rows("first.weight")?;
        let blocks = checkpoint.numbered("blocks.");
        let out = checkpoint.rows("last.weight")?;
        let factor = (out / 3).isqrt();
        if factor == 0 || 3 * factor * factor != out {
            let what = format!("has {out} rows, expected 3 times a square");
            return Err(Error::Tensor { name: "last.weight".to_owned(), what });
        }
        Ok(Self { channels, blocks, factor })
    }

    fn body(&self, b: &mut Builder, x: NodeId) -> Result<NodeId> {
        let block = Mmrb {
            paths: &PATHS,
            mix: Mix::Concat,
            path_channels: self.channels / 2,
            slope: SLOPE,
            fuse_activation: true,
        };
        let mut y = b.conv(x, "first", ConvSpec::same(3).out(self.channels))?;
        y = b.leaky_relu(y, SLOPE)?;
        for i in 0..self.blocks {
            y = mmrb(b, y, &format!("blocks.{i}."), &block, self.channels)?;
        }
        let y = b.conv(y, "last", ConvSpec::same(3).out(3 * self.factor * self.factor))?;
        b.add(ops::PixelShuffle(self.factor), &[y])
    }
}

impl Network for Enlarger {
    fn name(&self) -> &'static str {
        "MMRB enlarger"
    }

    fn task(&self) -> Task {
        // Either convolution sees one pixel beyond its own, each block twice the larger dilation.
        let radius = 2 + self.blocks * 4;
        Task::Upscale { factor: self.factor, radius, multiple: 1, align: 1 }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![("channels", self.channels.to_string()), ("blocks", self.blocks.to_string())]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let y = self.body(&mut b, x)?;
        let base = b.nearest(x, self.factor)?;
        let y = b.add(ops::Add, &[y, base])?;
        Ok(b.finish(y))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [model, check] => run(model.as_ref(), check.as_ref()),
        _ => Err(Error::Input("usage: custom_network MODEL CHECK".to_owned())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(model: &Path, check: &Path) -> Result<()> {
    let checkpoint = Checkpoint::open(model)?;
    let network = Enlarger::read(&checkpoint)?;
    let model = Model::with_network(checkpoint, network)?;

    let check = Checkpoint::open(check)?;
    let tensor = |name: &str| {
        let Some(&[n, c, h, w]) = check.dims(name) else {
            let what = "is missing, or has not four dimensions".to_owned();
            return Err(Error::Tensor { name: name.to_owned(), what });
        };
        Ok((check.require(name, &[n, c, h, w])?.to_f32(), Shape::new(n, c, h, w)))
    };
    let (input, shape) = tensor("input")?;
    let (expected, _) = tensor("output")?;

    for device in [None, Some("cpu")] {
        let mut options = EngineOptions::new().precision(Precision::F32);
        options.device = device.map(str::to_owned);
        let engine = Engine::new(&options)?;
        let mut session = Session::for_shape(&engine, &model, shape)?;
        let result = session.run_tensors(&[&input])?;
        let result = result.first().map(Vec::as_slice).unwrap_or_default();
        let differences = result.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f32::max);
        if result.len() != expected.len() || worst > 1e-4 {
            return Err(Error::Input(format!("differs from PyTorch's result by {worst:e}")));
        }
        let time = median(|| session.run_tensors(&[&input]).map(|_| ()))?;
        println!(
            "{}: {shape} in {:.2} ms, at most {worst:.1e} from PyTorch's result",
            engine.device().name,
            time.as_secs_f64() * 1e3,
        );
    }
    Ok(())
}

/// The median time of nine runs.
fn median(mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times.get(4).copied().unwrap_or_default())
}
