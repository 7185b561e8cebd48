//! The restorer, and the way to stop it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use js_sys::Array;
use pentimento::photo::{
    AlignedFace, DetectorOptions, Face, Outcome, PhotoOptions, Picture, Pipeline, enlarge,
};
use pentimento::{Control, Engine, EngineOptions, Error, Model, Options, Precision};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::errors::{internal, thrown};
use crate::object;
use crate::photo::{Photo, Restored};

/// Watches and stops the work on one photo.
#[wasm_bindgen]
pub struct Watch {
    control: Control,
    done: Arc<AtomicU32>,
}

#[wasm_bindgen]
impl Watch {
    /// For one photo.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript knows no defaults")]
    pub fn new() -> Self {
        let done = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&done);
        let control = Control::with_progress(move |part| {
            told.store(part.to_bits(), Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        Self { control, done }
    }

    /// Makes the work fail with `cancelled` as soon as it looks.
    pub fn cancel(&self) {
        self.control.cancel();
    }

    /// How much of the faces' work is done, 0 to 1.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> f32 {
        f32::from_bits(self.done.load(Ordering::Relaxed))
    }
}

/// A device, a network for faces and a detector, made ready.
#[wasm_bindgen]
pub struct Restorer {
    engine: Engine,
    pipeline: Pipeline,
    architecture: &'static str,
}

#[wasm_bindgen]
impl Restorer {
    /// Opens `device` ("gpu" or "cpu") and makes the weights ready on it. `precision` is "auto",
    /// "f32" or "f16".
    ///
    /// # Errors
    /// `device` when there is no WebGPU, `checkpoint` when a file is none that is known, `memory`.
    pub async fn open(
        model: Vec<u8>,
        detector: Vec<u8>,
        device: String,
        precision: String,
    ) -> Result<Restorer, JsValue> {
        Self::make(model, detector, &device, &precision).await.map_err(thrown)
    }

    async fn make(
        model: Vec<u8>,
        detector: Vec<u8>,
        device: &str,
        precision: &str,
    ) -> Result<Self, Error> {
        let precision = match precision {
            "auto" => Precision::Auto,
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            other => return Err(Error::Input(format!("{other} is not a precision"))),
        };
        let device = match device {
            // A browser shows one adapter at most.
            "gpu" => "webgpu",
            "cpu" => "cpu",
            other => return Err(Error::Input(format!("{other} is not a device"))),
        };
        let options = EngineOptions::new().device(device).precision(precision);
        let engine = Engine::open(&options).await?;
        let model = Model::from_bytes(model, "the model", &Options::default())?;
        let detector = Model::from_bytes(detector, "the detector", &Options::default())?;
        let builder = Pipeline::builder(&engine, &model);
        let pipeline = builder.detector(&detector, DetectorOptions::default()).prepare().await?;
        Ok(Self { engine, pipeline, architecture: model.architecture() })
    }

    /// The device that it computes on.
    #[wasm_bindgen(getter, unchecked_return_type = "Device")]
    pub fn device(&self) -> Result<JsValue, JsValue> {
        object(self.engine.device())
    }

    /// The network's architecture.
    #[wasm_bindgen(getter)]
    pub fn architecture(&self) -> String {
        self.architecture.to_owned()
    }

    /// Whether every step of the network is timed, where the GPU can: it is slower then.
    #[wasm_bindgen(js_name = timeSteps)]
    pub fn time_steps(&mut self, wanted: bool) {
        self.pipeline.time_steps(wanted);
    }

    /// Where the time of the last face went.
    #[wasm_bindgen(unchecked_return_type = "Timings")]
    pub fn timings(&self) -> Result<JsValue, JsValue> {
        let missing = || internal("the network is not ready");
        let session = self.pipeline.session().ok_or_else(missing)?;
        let (timings, steps) = (session.timings(), &session.plan().steps);
        let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let steps = timings.steps.iter().zip(steps).map(|((name, time), step)| {
            json!({
                "name": name,
                "kernel": step.variant.to_string(),
                "time": milliseconds(*time),
            })
        });
        let steps: Vec<_> = steps.collect();
        object(&json!({ "total": milliseconds(timings.total), "steps": steps }))
    }

    /// The faces in `photo`, from left to right.
    ///
    /// # Errors
    /// `cancelled`, `device-lost`, `memory`.
    #[wasm_bindgen(unchecked_return_type = "Face[]")]
    pub async fn find(&mut self, photo: &Photo, watch: &Watch) -> Result<JsValue, JsValue> {
        self.pipeline.set_control(Some(watch.control.clone()));
        let mut faces = self.pipeline.find_async(&photo.picture).await.map_err(thrown)?;
        faces.sort_by(|a, b| a.landmarks[2][0].total_cmp(&b.landmarks[2][0]));
        object(&faces)
    }

    /// Restores `faces` of `photo`. `scale`: pixels of the result per pixel of the photo and side.
    ///
    /// # Errors
    /// `cancelled`, `device-lost`, `memory`, `input`.
    pub async fn restore(
        &mut self,
        photo: &Photo,
        #[wasm_bindgen(unchecked_param_type = "Face[]")] faces: JsValue,
        scale: usize,
        watch: &Watch,
        #[wasm_bindgen(unchecked_param_type = "Show")] show: js_sys::Function,
    ) -> Result<Restored, JsValue> {
        let json = js_sys::JSON::stringify(&faces)?.as_string().unwrap_or_default();
        let faces: Vec<Face> = serde_json::from_str(&json)
            .map_err(|e| thrown(Error::Input(format!("this is not a list of faces: {e}"))))?;
        let options = PhotoOptions { scale, ..PhotoOptions::default() };
        self.pipeline.set_options(options).map_err(thrown)?;
        self.pipeline.set_control(Some(watch.control.clone()));
        let shown = |outcome: &Outcome, face: Option<&AlignedFace>| {
            // What a listener throws is its own affair.
            let _thrown = tell(&show, outcome, face);
        };
        let restored = self.pipeline.restore_async(&photo.picture, Some(&faces), shown).await;
        let restored = restored.map_err(thrown)?;
        let [height, width] = [restored.picture.height, restored.picture.width];
        let picture = &photo.picture;
        let before = enlarge::enlarged(
            picture.rgb.as_chunks().0,
            picture.height,
            picture.width,
            [height, width],
        );
        let rgb = before.into_flattened();
        Ok(Restored {
            before: Picture { height, width, rgb, alpha: None, icc: None },
            after: restored.picture,
            metadata: photo.metadata.clone(),
            faces: object(&restored.faces.unwrap_or_default())?,
        })
    }
}

fn tell(
    show: &js_sys::Function,
    outcome: &Outcome,
    face: Option<&AlignedFace>,
) -> Result<(), JsValue> {
    let arguments = Array::of1(&object(outcome)?);
    if let Some(face) = face {
        let rgba: Vec<u8> = face.rgb.iter().flat_map(|&[r, g, b]| [r, g, b, u8::MAX]).collect();
        arguments.push(&js_sys::Uint8ClampedArray::from(&rgba[..]));
        let [[a, c, e], [b, d, f]] = face.to_photo;
        let transform: Array = [a, b, c, d, e, f].into_iter().map(JsValue::from).collect();
        arguments.push(&transform);
    }
    show.apply(&JsValue::NULL, &arguments)?;
    Ok(())
}
