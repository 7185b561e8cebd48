//! Sessions: the second picture is free, memory is foretold, both executors agree on real faces.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use pentimento::plan::Plan;
use pentimento::{Engine, EngineOptions, Error, Model, Precision, Session, Task, gpu};

use crate::support;

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors")
}

fn small_model() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/mmrbnet/default");
    Model::open(folder.join("checkpoint.safetensors")).expect("a golden")
}

fn engine(device: &str) -> Engine {
    let options = EngineOptions::new().device(device).precision(Precision::F32);
    Engine::new(&options).expect("the device was listed")
}

/// Every engine of this machine: the CPU and each adapter.
fn engines() -> Vec<Engine> {
    let devices = Engine::devices();
    let gpus = devices.iter().filter_map(|d| d.index).map(|index| engine(&index.to_string()));
    std::iter::once(engine("cpu")).chain(gpus).collect()
}

#[test]
fn the_second_picture_allocates_and_compiles_nothing() {
    let Some(device) = support::device() else { return };
    let model = small_model();
    let shape = model.input_shape(0, 0);
    let graph = std::sync::Arc::new(model.graph(shape).expect("a graph"));
    let plan = Plan::new(graph, device.target(pentimento::tensor::Dtype::F32)).expect("a plan");
    let foretold = gpu::predict(&plan).expect("a prediction");
    let before = device.counters();
    let mut executor =
        gpu::Executor::new_blocking(device, std::sync::Arc::new(plan)).expect("an executor");
    let picture: Vec<u8> = (0..shape.len()).map(|i| (i * 7 % 256) as u8).collect();
    let format = model.pixels();
    let first = executor.run_image_blocking(&picture, format, format).expect("a picture");
    let after_first = device.counters();
    let allocated = after_first.bytes_alive - before.bytes_alive;
    assert_eq!(allocated, foretold.total() as u64, "foretold {foretold:?}");
    assert_eq!(executor.memory(), foretold);
    assert!(after_first.pipelines_compiled > before.pipelines_compiled);
    let second = executor.run_image_blocking(&picture, format, format).expect("a picture");
    assert_eq!(device.counters(), after_first, "the second picture cost something");
    assert!(first == second, "the same picture gave other bytes");
}

#[test]
fn memory_budgets_are_kept() {
    let model = small_model();
    for engine in engines() {
        let name = engine.device().name.clone();
        let needed = Session::new(&engine, &model, 0, 0).expect("a session").memory().total;
        let device = if name.starts_with("CPU") { "cpu" } else { &name };
        let options = EngineOptions::new().device(device).precision(Precision::F32);
        let options = options.memory(needed / 2);
        let tight = Engine::new(&options).expect("an engine");
        match Session::new(&tight, &model, 0, 0) {
            Err(Error::OutOfMemory { available, .. }) => assert_eq!(available, needed / 2),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let model = small_model();
    for engine in engines() {
        let mut session = Session::new(&engine, &model, 0, 0).expect("a session");
        assert!(matches!(session.run(&[0; 10]), Err(Error::Input(_))));
        assert!(matches!(session.run_tensors(&[&[0.0; 10]]), Err(Error::Input(_))));
        assert!(matches!(session.run_tensors(&[]), Err(Error::Input(_))));
    }
}

#[test]
fn values_that_are_not_finite_name_their_node() {
    let model = small_model();
    for engine in engines() {
        let mut session = Session::new(&engine, &model, 0, 0).expect("a session");
        let mut input = vec![0.25; session.input_shape().len()];
        input[17] = f32::NAN;
        match session.run_tensors(&[&input]) {
            Err(Error::NonFinite { node }) => {
                assert!(node.starts_with("encoder."), "{node} is not the first");
            }
            other => panic!("{:?}", other.map(|_| "a result")),
        }
        // The session still works.
        input[17] = 0.0;
        assert!(session.run_tensors(&[&input]).is_ok());
    }
}

/// Mean absolute difference in levels of 255.
fn levels(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn executors_restore_the_same_faces() {
    let Some(shared) = support::shared() else { return };
    let model = Model::open(weights()).expect("the default weights");
    let Task::RestoreFace { size } = model.task() else { panic!("{:?}", model.task()) };
    let faces = shared.join("data/faces-256/val");
    let mut faces: Vec<PathBuf> = std::fs::read_dir(&faces)
        .expect("the faces are there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    faces.sort();
    let engines = engines();
    let mut sessions: Vec<Session> = engines
        .iter()
        .map(|engine| Session::new(engine, &model, size, size).expect("a session"))
        .collect();
    // On a driver of the CPU a face takes half a minute.
    let is_software = support::device().is_some_and(|device| device.info().is_software());
    let (number, by_all) = if is_software { (1, 1) } else { (6, 2) };
    for (i, face) in faces[..number].iter().enumerate() {
        // One adapter restores all of them, the others (the same one by way of another driver, at
        // times) a few.
        let used = if i < by_all { engines.len() } else { engines.len().min(2) };
        let side = size as u32;
        let clear = image::open(face).expect("a face");
        let small = clear.resize_exact(side / 4, side / 4, FilterType::Triangle);
        let degraded = small.resize_exact(side, side, FilterType::CatmullRom).to_rgb8();
        let results: Vec<Vec<u8>> = sessions[..used]
            .iter_mut()
            .map(|s| s.run(degraded.as_raw()).expect("a face"))
            .collect();
        assert!(levels(&results[0], degraded.as_raw()) > 0.5, "nothing was restored");
        for (engine, result) in engines.iter().zip(&results).skip(1) {
            let difference = levels(&results[0], result);
            assert!(difference <= 1.0, "{}: {difference:.3} levels", engine.device().name);
        }
    }
}
