//! What the peers share: `peer-NAME SUBJECT FOLDER THREADS`, the input of `subjects.py`, and the
//! protocol of `worker.py`.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

/// A tensor of f32.
#[derive(Clone, Debug)]
pub struct Values {
    /// Outermost first.
    pub dims: Vec<usize>,
    /// In memory order.
    pub data: Vec<f32>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    /// Its name.
    pub subject: String,
    /// Where weights and exported files are.
    pub folder: PathBuf,
    /// How many to use.
    pub threads: usize,
}

/// What kind of subject it is.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A 3×3 convolution with a bias: channels in and out, side.
    Layer([usize; 2]),
    /// A network: side of its input.
    Network(usize),
}

impl Request {
    /// Reads the arguments.
    pub fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut next = || arguments.next().expect("SUBJECT FOLDER THREADS");
        let (subject, folder, threads) = (next(), next().into(), next());
        Self { subject, folder, threads: threads.parse().expect("a number of threads") }
    }

    /// What the name says.
    pub fn subject(&self) -> Subject {
        let last = |text: &str| -> usize {
            let digits = text.rsplit(|c: char| !c.is_ascii_digit()).next().expect("one part");
            digits.parse().expect("a size at the end")
        };
        match self.subject.strip_prefix("conv3x3 ") {
            Some(rest) => {
                let (channels, side) = rest.split_once(" @").expect("a size after @");
                Subject::Layer([last(channels), last(side)])
            }
            None => Subject::Network(last(&self.subject)),
        }
    }

    /// `[1, C, side, side]` as every engine gets it.
    pub fn input(&self) -> Values {
        let (channels, side, stream, deviation) = match self.subject() {
            Subject::Layer([channels, side]) => (channels, side, 1, 1.0),
            Subject::Network(side) => (3, side, 17, 0.5),
        };
        let dims = vec![1, channels, side, side];
        let data = noise(stream, dims.iter().product(), deviation);
        Values { dims, data }
    }

    /// Weight and bias of a layer of so many channels.
    pub fn layer(&self, channels: usize) -> [Values; 2] {
        const STREAM: u64 = 0xd134_2543_de82_ef95;
        let dims = vec![channels, channels, 3, 3];
        let deviation = (1.0 / (9 * channels) as f32).sqrt();
        let data = noise(STREAM, 9 * channels * channels, deviation);
        let bias = Values { dims: vec![channels], data: noise(STREAM, channels, 1.0) };
        [Values { dims, data }, bias]
    }

    /// The tensors of a network.
    pub fn weights(&self) -> HashMap<String, Values> {
        let path = self.folder.join(format!("{}.safetensors", self.subject));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
            let data = view.data().chunks_exact(4);
            let data = data.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            (name.to_owned(), Values { dims: view.shape().to_vec(), data })
        };
        file.iter().map(tensor).collect()
    }

    /// Where `worker.py` put what it made of the subject, with this ending.
    pub fn file(&self, ending: &str) -> PathBuf {
        let mut name = String::new();
        for c in self.subject.chars() {
            match c {
                'a'..='z' | '0'..='9' => name.push(c),
                _ if name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        self.folder.join(name + ending)
    }

    /// Answers until standard input ends: `run` is timed, `fetch` is not.
    pub fn serve<T>(&self, mut run: impl FnMut() -> T, fetch: impl Fn(T) -> Vec<f32>) {
        let values = fetch(run());
        let at = |i: usize| values[(i as u64 * 2_654_435_761 % values.len() as u64) as usize];
        let probes: Vec<f32> = (0..64).map(at).collect();
        let ready =
            serde_json::json!({"name": self.subject, "len": values.len(), "probes": probes});
        println!("{ready}");
        std::io::stdout().flush().expect("somebody reads");
        for _ in std::io::stdin().lock().lines() {
            let start = Instant::now();
            let result = run();
            println!("{}", start.elapsed().as_secs_f64());
            drop(result);
            std::io::stdout().flush().expect("somebody reads");
        }
    }
}

/// Uniform, mean 0: the values of `noise` in `subjects.py`.
fn noise(stream: u64, len: usize, deviation: f32) -> Vec<f32> {
    let value = |i: u64| {
        let z = stream.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let u = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32;
        deviation * (3f32.sqrt() * (2.0 * u - 1.0))
    };
    (0..len as u64).map(value).collect()
}
