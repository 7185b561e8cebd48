//! Engines and a small model for the tests that use the library as other programs do.

use std::path::{Path, PathBuf};

use pentimento::{Engine, EngineOptions, Model, Precision};

/// A face model of 32×32 pixels.
pub fn model_file() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/goldens/mmrbnet/default_32/checkpoint.safetensors")
}

pub fn model() -> Model {
    Model::open(model_file()).expect("a golden")
}

pub fn cpu() -> Engine {
    Engine::new(&EngineOptions::new().device("cpu")).expect("the CPU is there")
}

/// A GPU, f32; `None` where this machine has none.
pub fn gpu() -> Option<Engine> {
    let Some(index) = Engine::devices().iter().find_map(|device| device.index) else {
        super::skip("what GPUs compute: there is none");
        return None;
    };
    let options = EngineOptions::new().device(index.to_string()).precision(Precision::F32);
    Some(Engine::new(&options).expect("a listed device"))
}

/// The CPU, and a GPU where there is one.
pub fn engines() -> Vec<Engine> {
    std::iter::once(cpu()).chain(gpu()).collect()
}

/// Pixels of a picture, different for every `seed`.
pub fn picture(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 7 + i / 96 * 13 + seed * 29) % 256) as u8).collect()
}
