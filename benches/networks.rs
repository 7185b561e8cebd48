//! The whole networks of the table that `pentimento bench` measures, from bytes to bytes, on the CPU
//! executor and on the best adapter, software ones included.
//!
//! ```text
//! cargo bench --bench networks -- gfpgan-512
//! ```

mod devices;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pentimento::Session;
use pentimento::bench::NETWORKS;

fn pictures(criterion: &mut Criterion) {
    let engines = devices::engines();
    for network in NETWORKS {
        let mut group = criterion.benchmark_group(network.name);
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        group.warm_up_time(Duration::from_millis(1));
        let [height, width] = network.size;
        for (device, engine) in &engines {
            group.bench_function(BenchmarkId::from_parameter(device), |bencher| {
                let model = network.model().expect("a known network");
                let mut session = Session::new(engine, &model, height, width).expect("a session");
                let picture: Vec<u8> =
                    (0..3 * height * width).map(|i| (i * 37 % 251) as u8).collect();
                bencher.iter(|| session.run(&picture).expect("a picture"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pictures);
criterion_main!(benches);
