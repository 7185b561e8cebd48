//! `pentimento._native`: what the Python package does not do itself. Pictures cross as bytes.

mod file;

use std::ffi::CString;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use pentimento::photo::{
    DetectorOptions, FaceSelection, Outcome, PhotoOptions, Picture, Pipeline, ReadOptions,
    silence_panics,
};
use pentimento::{Control, Engine, EngineOptions, Error, Model, Options, Precision};
use pyo3::create_exception;
use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

create_exception!(pentimento, PentimentoError, PyRuntimeError, "Something went wrong.");
create_exception!(pentimento, Cancelled, PentimentoError, "The work was stopped.");

create_exception!(pentimento, DeviceLost, PentimentoError, "The device is gone; make a new one.");

/// The model that is used where none is named.
static DEFAULT: &[u8] = include_bytes!("../../weights/mmrbnet-256.safetensors");
/// The detector that is called "default".
static DETECTOR: &[u8] = include_bytes!("../../weights/face-detector.safetensors");

fn raised(error: Error) -> PyErr {
    match error {
        Error::Cancelled => Cancelled::new_err(error.to_string()),
        Error::DeviceLost(_) => DeviceLost::new_err(error.to_string()),
        Error::Input(what) => PyValueError::new_err(what),
        Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            pyo3::exceptions::PyFileNotFoundError::new_err(error.to_string())
        }
        other => PentimentoError::new_err(other.to_string()),
    }
}

/// A model: nothing for the default, the path of a file, or a file's bytes.
#[derive(FromPyObject)]
enum Source {
    Bytes(Vec<u8>),
    Path(String),
}

fn open(source: Option<Source>) -> Result<Model, Error> {
    match source {
        None => Model::from_bytes(DEFAULT, "the default model", &Options::default()),
        Some(Source::Bytes(bytes)) => {
            Model::from_bytes(bytes, "the model in memory", &Options::default())
        }
        Some(Source::Path(path)) => Model::open(path),
    }
}

fn open_detector(source: Source) -> Result<Model, Error> {
    match source {
        Source::Path(name) if name == "default" => {
            Model::from_bytes(DETECTOR, "the default detector", &Options::default())
        }
        other => open(Some(other)),
    }
}

struct State {
    pipeline: Pipeline,
    faces: Vec<Outcome>,
}

impl State {
    /// What a person should know of the device, and its name.
    fn told(&self) -> (Vec<String>, String) {
        let engine = self.pipeline.engine();
        (engine.take_notes(), engine.device().name.clone())
    }
}

/// A restorer; `None` once it is closed.
#[pyclass(frozen, name = "Restorer", module = "pentimento._native")]
struct Native {
    state: Mutex<Option<State>>,
    device: Mutex<String>,
    architecture: &'static str,
}

#[pymethods]
impl Native {
    #[new]
    #[allow(clippy::too_many_arguments)] // they are named in Python
    #[pyo3(signature = (model, *, device, precision, memory, detector, background, parser, strength, scale, which))]
    fn new(
        py: Python<'_>,
        model: Option<Source>,
        device: Option<String>,
        precision: &str,
        memory: Option<usize>,
        detector: Option<Source>,
        background: Option<Source>,
        parser: Option<Source>,
        strength: f64,
        scale: usize,
        which: &str,
    ) -> PyResult<Self> {
        let precision = match precision {
            "auto" => Precision::Auto,
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            _ => return Err(PyValueError::new_err("precision is 'auto', 'f32' or 'f16'")),
        };
        let which = match which {
            "all" => FaceSelection::All,
            "largest" => FaceSelection::Largest,
            "central" => FaceSelection::Central,
            _ => return Err(PyValueError::new_err("which is 'all', 'largest' or 'central'")),
        };
        let mut engine = EngineOptions::new().precision(precision);
        (engine.device, engine.memory) = (device, memory);
        let options = PhotoOptions { which, strength, scale, ..PhotoOptions::default() };
        let made = py.detach(|| {
            let engine = Engine::new(&engine)?;
            let model = open(model)?;
            let mut builder = Pipeline::builder(&engine, &model).options(options);
            if let Some(source) = detector {
                builder = builder.detector(&open_detector(source)?, DetectorOptions::default());
            }
            if let Some(source) = background {
                builder = builder.background(&open(Some(source))?);
            }
            if let Some(source) = parser {
                builder = builder.parser(&open(Some(source))?);
            }
            let state = State { pipeline: builder.or_cpu().build()?, faces: Vec::new() };
            Ok((state, model.architecture()))
        });
        let (state, architecture) = made.map_err(raised)?;
        let (notes, device) = state.told();
        let (state, device) = (Mutex::new(Some(state)), Mutex::new(device));
        warn(py, &notes)?;
        Ok(Self { state, device, architecture })
    }

    /// Restores `[height, width, channels]` bytes; returns such bytes, height and width.
    fn restore<'py>(
        &self,
        py: Python<'py>,
        pixels: &Bound<'py, PyBytes>,
        height: usize,
        width: usize,
        channels: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyBytes>, usize, usize)> {
        let picture = picture(pixels.as_bytes(), height, width, channels)?;
        let raised_inside = Arc::new(Mutex::new(None));
        let control = watch(progress, Arc::clone(&raised_inside));
        let result = py.detach(|| -> PyResult<_> {
            let mut state = self.lock()?;
            let state = state.as_mut().ok_or_else(closed)?;
            state.pipeline.set_control(Some(control));
            state.faces.clear();
            let restored = state.pipeline.restore(&picture, None);
            let notes = self.told(state);
            let restored = restored.map_err(raised)?;
            state.faces = restored.faces.unwrap_or_default();
            let picture = restored.picture;
            Ok((interleaved(&picture, channels), picture.height, picture.width, notes))
        });
        if let Some(error) = raised_inside.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let (bytes, height, width, notes) = result?;
        warn(py, &notes)?;
        Ok((PyBytes::new(py, &bytes), height, width))
    }

    /// Restores a file's bytes; returns those of the result's file, and what a report says of it.
    #[allow(clippy::too_many_arguments)] // they are named in Python
    #[pyo3(signature = (data, name, output, *, quality, matte, salvage, progress))]
    fn restore_file<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
        name: &str,
        output: &str,
        quality: Option<u8>,
        matte: Option<[u8; 3]>,
        salvage: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let encoding = file::encoding(quality, matte).map_err(raised)?;
        let reading = ReadOptions { salvage };
        let raised_inside = Arc::new(Mutex::new(None));
        let control = watch(progress, Arc::clone(&raised_inside));
        let data = data.as_bytes();
        let result = py.detach(|| -> PyResult<_> {
            let mut state = self.lock()?;
            let state = state.as_mut().ok_or_else(closed)?;
            state.pipeline.set_control(Some(control));
            state.faces.clear();
            let paths = [name, output].map(Path::new);
            let written = file::restored(&mut state.pipeline, data, paths, &encoding, &reading);
            let notes = self.told(state);
            let mut written = written.map_err(raised)?;
            state.faces = written.faces.take().unwrap_or_default();
            Ok((written, notes))
        });
        if let Some(error) = raised_inside.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let (written, notes) = result?;
        warn(py, &notes)?;
        Ok((PyBytes::new(py, &written.bytes), written.report(py)?))
    }

    /// The faces of the last photo, from left to right.
    fn faces<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let state = self.lock()?;
        let faces = &state.as_ref().ok_or_else(closed)?.faces;
        let dicts = faces.iter().map(|outcome| {
            let dict = PyDict::new(py);
            dict.set_item("landmarks", outcome.face.landmarks.map(|[x, y]| (x, y)))?;
            dict.set_item("bounds", outcome.face.bounds)?;
            dict.set_item("score", outcome.face.score)?;
            dict.set_item("printed", outcome.printed)?;
            dict.set_item("restored", outcome.skipped.is_none())?;
            dict.set_item("skipped", &outcome.skipped)?;
            Ok(dict)
        });
        dicts.collect()
    }

    /// Gives memory and device back.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.lock()?.take();
        py.detach(|| drop(state));
        Ok(())
    }

    #[getter]
    fn closed(&self) -> bool {
        // At work is not closed.
        self.lock().is_ok_and(|state| state.is_none())
    }

    #[getter]
    fn device(&self) -> String {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[getter]
    fn architecture(&self) -> &str {
        self.architecture
    }
}

impl Native {
    /// Remembers which device computes, and returns what a person should know of it.
    fn told(&self, state: &State) -> Vec<String> {
        let (notes, device) = state.told();
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = device;
        notes
    }

    /// A callback that calls back would wait for itself: nobody waits.
    fn lock(&self) -> PyResult<MutexGuard<'_, Option<State>>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PentimentoError::new_err(
                "the restorer is at work in another thread; use one for each thread",
            )),
        }
    }
}

/// Python's warnings, at the line that called the package.
fn warn(py: Python<'_>, notes: &[String]) -> PyResult<()> {
    for note in notes {
        // A note holds no NUL, unless a driver's name does.
        let note = CString::new(note.replace('\0', " ")).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &note, 2)?;
    }
    Ok(())
}

fn closed() -> PyErr {
    PyValueError::new_err("the restorer is closed")
}

fn picture(bytes: &[u8], height: usize, width: usize, channels: usize) -> PyResult<Picture> {
    let expected = height.checked_mul(width).and_then(|n| n.checked_mul(channels));
    if expected != Some(bytes.len()) || bytes.is_empty() || !matches!(channels, 3 | 4) {
        return Err(PyValueError::new_err("a picture is [height, width, 3 or 4], and not empty"));
    }
    let pixels = bytes.chunks_exact(channels);
    let rgb = pixels.clone().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let alpha: Option<Vec<u8>> = (channels == 4).then(|| pixels.map(|pixel| pixel[3]).collect());
    Ok(Picture { height, width, rgb, alpha, icc: None })
}

fn interleaved(picture: &Picture, channels: usize) -> Vec<u8> {
    if channels == 3 {
        return picture.rgb.clone();
    }
    let alpha = |i: usize| picture.alpha.as_ref().map_or(u8::MAX, |alpha| alpha[i]);
    let pixels = picture.rgb.as_chunks::<3>().0.iter().enumerate();
    pixels.flat_map(|(i, &[r, g, b])| [r, g, b, alpha(i)]).collect()
}

/// Tells `progress`, and looks whether Ctrl-C was pressed; what is raised cancels and is kept.
fn watch(progress: Option<Py<PyAny>>, kept: Arc<Mutex<Option<PyErr>>>) -> Control {
    Control::with_progress(move |done| {
        let result = Python::attach(|py| {
            py.check_signals()?;
            match &progress {
                Some(progress) => progress.call1(py, (done,)).map(drop),
                None => Ok(()),
            }
        });
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                ControlFlow::Break(())
            }
        }
    })
}

/// Every device of this machine, the CPU last.
#[pyfunction]
fn devices(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let devices = py.detach(Engine::devices);
    let dicts = devices.into_iter().map(|device| {
        let dict = PyDict::new(py);
        dict.set_item("index", device.index)?;
        dict.set_item("name", device.name)?;
        dict.set_item("backend", device.backend)?;
        dict.set_item("kind", device.kind)?;
        dict.set_item("driver", device.driver)?;
        dict.set_item("default", device.default)?;
        Ok(dict)
    });
    dicts.collect()
}

/// Whether results can be written to a file of this name.
#[pyfunction]
fn is_written(name: &str) -> bool {
    file::is_written(name)
}

/// The native part of the package `pentimento`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    silence_panics();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("PentimentoError", py.get_type::<PentimentoError>())?;
    module.add("Cancelled", py.get_type::<Cancelled>())?;
    module.add("DeviceLost", py.get_type::<DeviceLost>())?;
    module.add_class::<Native>()?;
    module.add_function(wrap_pyfunction!(is_written, module)?)?;
    module.add_function(wrap_pyfunction!(devices, module)?)
}
