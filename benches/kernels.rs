//! Every kernel of the table that `pentimento bench` measures, on the CPU executor and on the best
//! adapter, software ones included; by criterion, which keeps what it measured before.
//!
//! ```text
//! cargo bench --bench kernels -- 'cpu/conv3x3 512-512'
//! ```

mod devices;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use pentimento::bench::{KernelRun, kernels};

fn all(criterion: &mut Criterion) {
    for (device, engine) in devices::engines() {
        let mut group = criterion.benchmark_group(device);
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
        for case in kernels(&engine).expect("the table") {
            group.throughput(Throughput::Elements(2 * case.work.multiply_adds));
            group.bench_function(&case.name, |bencher| {
                let mut run = KernelRun::new(&engine, &case).expect("a kernel of this device");
                bencher.iter_custom(|iterations| {
                    let mut sum = Duration::ZERO;
                    let mut left = iterations as usize;
                    while left > 0 {
                        let times = run.times().expect("a device that works");
                        sum += times.iter().take(left).sum::<Duration>();
                        left -= times.len().min(left);
                    }
                    sum
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
