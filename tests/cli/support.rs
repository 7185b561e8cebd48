//! A workspace folder, a tiny model, and the program run in it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, TensorView};

pub use crate::skipped::skip;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "../support/faults.rs"]
pub mod faults;

pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// What a run of the program left behind.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The run failed, said so in one sentence that contains all of `parts`, and printed nothing
    /// on standard output.
    #[track_caller]
    pub fn fails_with(&self, parts: &[&str]) {
        assert_ne!(self.code, 0, "{}", self.out);
        assert_eq!(self.err.trim_end().lines().count(), 1, "one sentence: {}", self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.out, "");
    }

    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// A folder in which the program runs.
pub struct Workspace(tempfile::TempDir);

impl Workspace {
    /// Holds `x2.safetensors`, a tiny upscaling model, and `face.safetensors`, a tiny face model
    /// of 32×32 pixels.
    pub fn new() -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        fs::write(workspace.path("x2.safetensors"), upscaler(&[8, 8])).unwrap();
        let face = root().join("tests/goldens/mmrbnet/default_32/checkpoint.safetensors");
        fs::copy(face, workspace.path("face.safetensors")).unwrap();
        workspace
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program with these arguments, separated by spaces, on the CPU.
    pub fn run(&self, arguments: &str) -> Run {
        self.run_with(&format!("{arguments} --device cpu"), &[])
    }

    /// The same on any device, with these environment variables.
    pub fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Run {
        self.run_program(assert_cmd::cargo::cargo_bin_cmd!("pentimento"), arguments, variables)
    }

    /// Runs the converter's own program with these arguments.
    pub fn run_convert(&self, arguments: &str) -> Run {
        self.run_program(assert_cmd::cargo::cargo_bin_cmd!("pentimento-convert"), arguments, &[])
    }

    fn run_program(
        &self,
        mut program: assert_cmd::Command,
        arguments: &str,
        variables: &[(&str, &str)],
    ) -> Run {
        let output = program
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("PENTIMENTO_MODEL")
            // Mesa's Vulkan layer for choosing devices writes to standard error where no desktop
            // session runs.
            .env("NODEVICE_SELECT", "1")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Writes a picture with a pattern; the extension says how.
    pub fn picture(&self, name: &str, width: u32, height: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel = |x: u32, y: u32| image::Rgb([x, y, x * y].map(|v| (v * 7 % 256) as u8));
        image::RgbImage::from_fn(width, height, pixel).save(path).unwrap();
    }

    /// Names of all files below the folder `name` but its journal, sorted.
    pub fn files(&self, name: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut open = vec![self.path(name)];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().is_some_and(|name| name == ".pentimento.jsonl") {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else {
                    let relative = path.strip_prefix(self.path(name)).unwrap();
                    names.push(relative.to_string_lossy().replace('\\', "/"));
                }
            }
        }
        names.sort();
        names
    }
}

/// The bytes of an SRVGGNetCompact that doubles, with these widths of its inner layers; equal
/// widths make a valid one.
pub fn upscaler(widths: &[usize; 2]) -> Vec<u8> {
    let [first, second] = *widths;
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    for (i, (out, inner)) in [(first, 3), (second, first), (12, first)].into_iter().enumerate() {
        tensors.push((format!("body.{}.weight", 2 * i), vec![out, inner, 3, 3]));
        tensors.push((format!("body.{}.bias", 2 * i), vec![out]));
        if i < 2 {
            tensors.push((format!("body.{}.weight", 2 * i + 1), vec![out]));
        }
    }
    let bytes: HashMap<String, Vec<u8>> = tensors
        .iter()
        .map(|(name, dims)| {
            let n: usize = dims.iter().product();
            // Small numbers of both signs that are not symmetric in any way.
            let values = (0..n).map(|i| ((i * 37 + name.len() * 11) % 101) as f32 / 500.0 - 0.1);
            (name.clone(), values.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, dims)| {
        (name.clone(), TensorView::new(Dtype::F32, dims.clone(), &bytes[name]).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}
