//! The engines that benchmarks run on.

use pentimento::{Engine, EngineOptions, Precision};

/// The CPU executor, and the default GPU, or the first where none is one; in f16 too, where the
/// device has it.
pub fn engines() -> Vec<(&'static str, Engine)> {
    let open = |device: String, precision| {
        Engine::new(&EngineOptions::new().device(device).precision(precision))
            .expect("a listed device")
    };
    let mut engines = vec![("cpu", open("cpu".to_owned(), Precision::F32))];
    let gpu = Engine::devices().into_iter().filter(|d| d.index.is_some());
    if let Some(device) = gpu.max_by_key(|d| (d.default, std::cmp::Reverse(d.index))) {
        let index = device.index.unwrap_or_default().to_string();
        engines.push(("gpu-f32", open(index.clone(), Precision::F32)));
        if device.features.contains(&"f16") && device.kind != "software" {
            engines.push(("gpu-f16", open(index, Precision::F16)));
        }
    }
    for (name, engine) in &engines {
        eprintln!("{name}: {}", engine.device().name);
    }
    engines
}
