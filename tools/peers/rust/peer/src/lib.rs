//! What the engines have in common: their arguments, weights and input, and the conversation with
//! `peers.py`.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use safetensors::{Dtype, SafeTensors};

/// A tensor in row-major order.
pub struct Values {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// What an engine is to run: `NAME STEM THREADS`.
pub struct Subject {
    /// As `subjects.py` calls it.
    pub name: String,
    /// How many threads may compute.
    pub threads: usize,
    stem: PathBuf,
}

impl Subject {
    /// From the command line.
    pub fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [name, stem, threads] = <[String; 3]>::try_from(arguments)
            .ok()
            .context("three arguments are needed: NAME STEM THREADS")?;
        Ok(Self { name, threads: threads.parse()?, stem: PathBuf::from(stem) })
    }

    /// Where the ONNX file lies.
    pub fn onnx(&self) -> PathBuf {
        self.with_ending("onnx")
    }

    /// The input, [N, C, H, W].
    pub fn input(&self) -> Result<Values> {
        let mut tensors = read(&self.with_ending("input.safetensors"))?;
        tensors.remove("input").context("the file has no `input`")
    }

    /// The weights by PyTorch's names.
    pub fn weights(&self) -> Result<HashMap<String, Values>> {
        read(&self.with_ending("weights.safetensors"))
    }

    // The name of a stem may have a dot in it, so that `with_extension` would cut it.
    fn with_ending(&self, ending: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(".");
        path.push(ending);
        PathBuf::from(path)
    }
}

fn read(file: &Path) -> Result<HashMap<String, Values>> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut read = HashMap::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() != Dtype::F32 {
            bail!("{name} is not in f32");
        }
        let values = view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        read.insert(name, Values { shape: view.shape().to_vec(), values });
    }
    Ok(read)
}

/// Runs when asked: prints a line of JSON when ready, then the seconds of one run for every line on
/// standard input, as `pentimento bench --on-demand` does.
///
/// `run` ends when the result is there; `fetch` copies it out and is not timed.
pub fn serve<T>(
    subject: &Subject,
    mut run: impl FnMut() -> Result<T>,
    fetch: impl Fn(T) -> Result<Vec<f32>>,
) -> Result<()> {
    let values = fetch(run()?)?;
    ensure!(!values.is_empty(), "the result has no values");
    let probes: Vec<f32> = (0..64_u64)
        .map(|i| values[(i.wrapping_mul(2_654_435_761) % values.len() as u64) as usize])
        .collect();
    let mut out = std::io::stdout();
    let (name, len) = (&subject.name, values.len());
    writeln!(out, r#"{{"name": "{name}", "len": {len}, "probes": {probes:?}}}"#)?;
    out.flush()?;
    for line in std::io::stdin().lines() {
        line?;
        let start = Instant::now();
        run()?;
        writeln!(out, "{}", start.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}

/// Convolutions in the names that a network's weights have: `body.0`, `body.2`, … with their PReLUs
/// between them, and by how much the last of them enlarges. `None` for a single layer.
pub fn enlargement(weights: &HashMap<String, Values>) -> Option<(usize, usize)> {
    let convs =
        (0..).step_by(2).take_while(|i| weights.contains_key(&format!("body.{i}.bias"))).count();
    let last = weights.get(&format!("body.{}.bias", 2 * convs.checked_sub(1)?))?;
    Some((convs, (last.shape[0] / 3).isqrt()))
}
