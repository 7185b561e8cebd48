//! The processor's peak rates, on all threads of the executor.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

/// Long enough for clocks to settle.
const LONG_ENOUGH: Duration = Duration::from_millis(50);
/// Runs of which the best counts.
const RUNS: usize = 5;
/// f32 per thread of a stream: 32 MiB each, more than a core's share of any cache.
const STREAM: usize = 8 << 20;
/// f32 of an array that stays in a first-level cache: 16 KiB.
const NEAR: usize = 4 << 10;
/// Independent sums, enough for two units of a latency of five.
const CHAINS: usize = 12;
/// Multiply-adds per chain between two looks at the clock.
const ROUNDS: usize = 10_000;

/// f32 operations per second, two per fused multiply-add.
pub fn fma() -> f64 {
    best(|| timed(&|| Arch::new().dispatch(Chains)))
}

/// Bytes per second of `a = b + s·c` over arrays in memory (STREAM's triad; McCalpin 1995), three
/// transfers per element; that `a` is read before it is written is not counted.
pub fn memory() -> f64 {
    best(|| {
        let barrier = std::sync::Barrier::new(rayon::current_num_threads());
        let times = rayon::broadcast(|_| {
            let (mut a, b, c) = (vec![0f32; STREAM], vec![1f32; STREAM], vec![2f32; STREAM]);
            // The first pass gets its pages from the system.
            let mut time = Duration::ZERO;
            for _ in 0..2 {
                barrier.wait();
                let start = Instant::now();
                for ((a, b), c) in a.iter_mut().zip(&b).zip(&c) {
                    *a = b + 0.5 * c;
                }
                black_box(&a);
                time = start.elapsed();
            }
            time
        });
        let slowest = times.iter().max().copied().unwrap_or_default();
        let bytes = 3 * STREAM * size_of::<f32>() * times.len();
        bytes as f64 / slowest.as_secs_f64().max(f64::MIN_POSITIVE)
    })
}

/// Bytes per second that are read from first-level caches.
pub fn near_memory() -> f64 {
    let values = vec![1f32; NEAR];
    best(|| timed(&|| Arch::new().dispatch(Read(&values))))
}

fn best(run: impl Fn() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(0.0, f64::max)
}

/// What all threads together do in a second; `work` says how much it was.
fn timed(work: &(dyn Fn() -> usize + Sync)) -> f64 {
    let rates = rayon::broadcast(|_| {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < LONG_ENOUGH {
            done += work();
        }
        done as f64 / start.elapsed().as_secs_f64()
    });
    rates.iter().sum()
}

struct Chains;

impl WithSimd for Chains {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(0.75));
        let summand = simd.splat_f32s(black_box(0.125));
        let mut chains = [simd.splat_f32s(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = simd.mul_add_e_f32s(*chain, factor, summand);
            }
        }
        black_box(&chains);
        2 * CHAINS * ROUNDS * S::F32_LANES
    }
}

struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        const PASSES: usize = 64;
        let mut sums = [simd.splat_f32s(0.0); 8];
        for _ in 0..PASSES {
            let (vectors, _) = S::as_simd_f32s(black_box(self.0));
            for eight in vectors.chunks_exact(8) {
                for (sum, v) in sums.iter_mut().zip(eight) {
                    *sum = simd.add_f32s(*sum, *v);
                }
            }
        }
        black_box(&sums);
        PASSES * size_of_val(self.0)
    }
}
