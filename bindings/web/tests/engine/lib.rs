//! Goldens in the browser: single operations, built as the native tests build them, and networks.

#![cfg(feature = "browser")]

use std::path::Path;
use std::sync::Arc;

use js_sys::{Function, Uint8Array};
use pentimento::photo::{self, Restorer};
use pentimento::plan::Plan;
use pentimento::tensor::Dtype;
use pentimento::{Engine, EngineOptions, Model, Options, Precision, Session, gpu};
use wasm_bindgen::prelude::*;

#[path = "../../../../tests/ops/golden_cases.rs"]
mod golden_cases;
#[path = "../../../../tests/support/tensors.rs"]
mod support;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
}

/// Called once, when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

fn failed(error: pentimento::Error) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

/// A GPU for single operations.
#[wasm_bindgen]
pub struct Gpu(gpu::Device);

#[wasm_bindgen]
impl Gpu {
    /// The browser's adapter.
    pub async fn open() -> Result<Gpu, JsValue> {
        let options = gpu::DeviceOptions { selector: None, allow_software: true };
        gpu::Device::open(&options).await.map(Self).map_err(failed)
    }

    /// Whether it computes in f16.
    #[wasm_bindgen(getter)]
    pub fn f16(&self) -> bool {
        self.0.info().f16
    }

    /// Runs one case of `goldens/ops`; `read` yields the bytes of its tensors' files. Returns the
    /// largest relative L2 error of its outputs, or nothing where no one knows how to build it.
    pub async fn operation(
        &self,
        case: &str,
        meta: &str,
        read: Function,
        f16: bool,
    ) -> Result<Option<f64>, JsValue> {
        let meta = serde_json::from_str(meta).map_err(|e| js_sys::Error::new(&e.to_string()))?;
        let read = |name: &str| {
            let bytes = read.call1(&JsValue::NULL, &name.into()).expect("a file");
            support::tensor(&Uint8Array::from(bytes).to_vec())
        };
        let Some(case) = golden_cases::case(case, &meta, read) else { return Ok(None) };
        let dtype = if f16 { Dtype::F16 } else { Dtype::F32 };
        let plan = Plan::new(Arc::new(case.graph), self.0.target(dtype)).map_err(failed)?;
        let mut executor = gpu::Executor::new(&self.0, Arc::new(plan)).await.map_err(failed)?;
        let inputs: Vec<&[f32]> = case.inputs.iter().map(Vec::as_slice).collect();
        let outputs = executor.run(&inputs).await.map_err(failed)?;
        let pairs = outputs.iter().zip(&case.expected);
        let errors = pairs.map(|(actual, expected)| support::relative_error(actual, expected));
        Ok(Some(errors.fold(0.0, f64::max)))
    }
}

/// Runs a network on one input; returns the relative L2 error of its first output.
#[wasm_bindgen]
pub async fn network(
    checkpoint: Vec<u8>,
    input: &[u8],
    output: &[u8],
    f16: bool,
) -> Result<f64, JsValue> {
    let (dims, input) = support::tensor(input);
    let (_, expected) = support::tensor(output);
    let precision = if f16 { Precision::F16 } else { Precision::F32 };
    let options = EngineOptions::new().device("webgpu").precision(precision);
    let engine = Engine::open(&options).await.map_err(failed)?;
    let model = Model::from_bytes(checkpoint, "a golden", &Options::default()).map_err(failed)?;
    let shape = support::shape(&dims);
    let mut session = Session::prepare(&engine, &model, shape).await.map_err(failed)?;
    let outputs = session.run_tensors_async(&[&input]).await.map_err(failed)?;
    Ok(support::relative_error(&outputs[0], &expected))
}

/// A network that restores faces, on the browser's GPU.
#[wasm_bindgen]
pub struct Faces(Restorer);

#[wasm_bindgen]
impl Faces {
    /// With a checkpoint's bytes.
    pub async fn open(weights: Vec<u8>) -> Result<Faces, JsValue> {
        let options = EngineOptions::new().device("webgpu");
        let engine = Engine::open(&options).await.map_err(failed)?;
        let model = Model::from_bytes(weights, "the model", &Options::default()).map_err(failed)?;
        Ok(Self(Restorer::new(&engine, &model)))
    }

    /// Restores the aligned face in `file` and compares it with the native result, also a file's
    /// bytes: the mean and the largest difference, in levels of 255.
    pub async fn compare(&mut self, file: &[u8], native: &[u8]) -> Result<Vec<f64>, JsValue> {
        let name = Path::new("a face");
        let face = photo::decode(file, name).map_err(failed)?;
        let native = photo::decode(native, name).map_err(failed)?;
        let restored = self.0.restore_async(&face).await.map_err(failed)?;
        if restored.picture.rgb.len() != native.rgb.len() {
            return Err(js_sys::Error::new("the native result has another size").into());
        }
        let pairs = restored.picture.rgb.iter().zip(&native.rgb);
        let differences: Vec<f64> = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        Ok(vec![mean, differences.into_iter().fold(0.0, f64::max)])
    }
}
