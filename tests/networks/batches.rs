//! What a batch computes is what its pictures give alone, to the last bit: albums may be restored with
//! any number of faces at a time.

use std::path::Path;
use std::sync::Arc;

use pentimento::{Model, Shape, Task};

use crate::golden::{cases, checkpoint, options};
use crate::support::{self, Executor, json, name};

/// Every face network among the goldens.
fn models() -> Vec<(String, Model)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/mmrbnet");
    let own =
        ["default", "inject_noise_concat", "inject_add", "fir_32_sft_half", "kernels_grouped_none"]
            .map(|case| {
                let file = own.join(case).join("checkpoint.safetensors");
                (case.to_owned(), Model::open(file).expect("a golden"))
            });
    let mut models = Vec::from(own);
    for folder in support::shared().map(|shared| cases(&shared)).unwrap_or_default() {
        let meta = json(&folder.join("meta.json"));
        let model = Model::from_checkpoint(checkpoint(&folder), &options(&meta));
        let model = model.unwrap_or_else(|error| panic!("{}: {error}", name(&folder)));
        if matches!(model.task(), Task::RestoreFace { .. }) {
            models.push((name(&folder), model));
        }
    }
    models
}

#[test]
fn a_batch_is_its_pictures_to_the_last_bit() {
    for (case, model) in models() {
        let one = model.input_shape(0, 0);
        // Larger ones take a driver on the CPU a minute in all.
        let gpu = if one.plane() <= 32 * 32 { 2 } else { 0 };
        for (executor, count) in [(Executor::Cpu, 3), (Executor::Gpu, gpu)] {
            if count == 0 {
                continue;
            }
            let inputs: Vec<_> = (0..count).map(|i| support::noise(i as u64, one.len())).collect();
            let run = |n: usize, values: &[f32]| {
                let graph = model.graph(Shape { n, ..one }).expect("a graph");
                let mut outputs = support::run(&Arc::new(graph), executor, &[values])?;
                Some(outputs.swap_remove(0))
            };
            let Some(together) = run(count, &inputs.concat()) else { continue };
            for (i, input) in inputs.iter().enumerate() {
                let alone = run(1, input).expect("as before");
                let part = &together[i * alone.len()..][..alone.len()];
                let differ = part.iter().zip(&alone).filter(|(a, b)| a.to_bits() != b.to_bits());
                assert_eq!(differ.count(), 0, "{case}, {executor:?}, picture {i} of {count}");
            }
        }
    }
}
