//! Weights without files: the hash formula of the full-size goldens.

use std::path::Path;

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::Param;

/// Uniform in [0, 1), 24 bits: element `i` of stream `seed`.
pub fn uniform(seed: u64, i: u64) -> f32 {
    let z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 * (-24f32).exp2()
}

/// `a + b · (2u - 1)` for `count` values of the tensor `name`.
pub fn values(name: &str, seed: u64, count: usize, a: f32, b: f32) -> Vec<f32> {
    let stream = fnv1a64(name).wrapping_add(seed);
    (0..count as u64).map(|i| a + b * (2.0 * uniform(stream, i) - 1.0)).collect()
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// StyleGAN2's kernel `[1, 3, 3, 1] ⊗ [1, 3, 3, 1]`, of sum 4 where zeros were inserted before it.
fn blur(name: &str) -> Vec<f32> {
    let doubles = name.ends_with("upsample.kernel") || name.ends_with("conv.blur.kernel");
    let sum = if doubles { 16.0 } else { 64.0 };
    let weights = [1.0_f32, 3.0, 3.0, 1.0];
    weights.iter().flat_map(|a| weights.map(|b| a * b / sum)).collect()
}

/// Every distance of two pixels in a window, row by row: DAT's `rpe_biases`.
fn distances(name: &str, [rows, columns]: [usize; 2]) -> Param {
    let far = |i: usize, side: usize| i as f32 - (side - 1) as f32;
    let across = 2 * columns - 1;
    let count = (2 * rows - 1) * across;
    let values: Vec<f32> =
        (0..count).flat_map(|i| [far(i / across, rows), far(i % across, columns)]).collect();
    Param::from_values(name, vec![count, 2], &values)
}

/// The checkpoint that `folder/tensors.json` and the seed in `folder/meta.json` describe:
/// `a + b · (2u - 1)` for every value.
pub fn checkpoint(folder: &Path) -> Checkpoint {
    let seed = super::json(&folder.join("meta.json"))["seed"].as_u64().expect("a seed");
    let tensors = super::json(&folder.join("tensors.json"));
    let params = tensors.as_object().expect("names").iter().map(|(name, entry)| {
        if entry[0] == "distances" {
            return distances(name, [1, 2].map(|i| entry[i].as_u64().expect("a side") as usize));
        }
        let dims = entry[0].as_array().expect("dimensions");
        let dims: Vec<usize> = dims.iter().map(|d| d.as_u64().expect("a size") as usize).collect();
        if entry[1] == "blur" {
            return Param::from_values(name, dims, &blur(name));
        }
        let decimal =
            |i: usize| -> f32 { entry[i].as_str().expect("a decimal").parse().expect("a decimal") };
        let (a, b) = (decimal(1), decimal(2));
        let values = values(name, seed, dims.iter().product(), a, b);
        Param::from_values(name, dims, &values)
    });
    Checkpoint::from_params(&super::name(folder), params)
}
