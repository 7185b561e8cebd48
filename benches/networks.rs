//! Whole networks, one picture each: the default model, GFPGANv1Clean at 512×512 (weights by the
//! formula of the full-size goldens) and SRVGGNetCompact on a 256×256 tile, on the CPU executor and
//! on the best adapter, software ones included.
//!
//! ```text
//! PENTIMENTO_SHARED=… cargo bench --bench networks [-- gfpgan]
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pentimento::models::Options;
use pentimento::{Engine, EngineOptions, Model, Precision, Session};

use support::formula;

/// Name, model and picture size.
fn networks() -> Vec<(&'static str, Model, usize)> {
    let mut networks = Vec::new();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors");
    match Model::open(default) {
        Ok(model) => networks.push(("mmrbnet-256", model, 256)),
        Err(error) => eprintln!("left out: {error}"),
    }
    let Some(shared) = support::shared() else { return networks };
    for (name, case, size) in
        [("gfpgan-512", "gfpgan_clean_512", 512), ("srvgg-256", "srvgg_general_x4v3", 256)]
    {
        let checkpoint = formula::checkpoint(&shared.join("goldens/fullsize").join(case));
        let model = Model::from_checkpoint(checkpoint, &Options::default());
        networks.push((name, model.expect("a known network"), size));
    }
    networks
}

fn engines() -> Vec<(&'static str, Engine)> {
    let open = |device: Option<String>, precision| {
        Engine::new(&EngineOptions { device, precision, memory: None }).expect("a listed device")
    };
    let mut engines = vec![("cpu", open(Some("cpu".to_owned()), Precision::F32))];
    let gpu = Engine::devices().into_iter().filter(|d| d.index.is_some());
    // The default one where there is a real GPU, otherwise the first.
    if let Some(device) = gpu.max_by_key(|d| (d.default, std::cmp::Reverse(d.index))) {
        let index = device.index.map(|i| i.to_string());
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

fn pictures(criterion: &mut Criterion) {
    let engines = engines();
    for (network, model, size) in networks() {
        let mut group = criterion.benchmark_group(network);
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        group.warm_up_time(Duration::from_millis(1));
        for (device, engine) in &engines {
            group.bench_function(BenchmarkId::from_parameter(device), |bencher| {
                let mut session = Session::new(engine, &model, size, size).expect("a session");
                let picture: Vec<u8> = support::noise(1, session.input_shape().len())
                    .iter()
                    .map(|v| (v * 50.0 + 128.0) as u8)
                    .collect();
                bencher.iter(|| session.run(&picture).expect("a picture"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pictures);
criterion_main!(benches);
