//! The networks that are measured: the sizes of the released ones, without their files.

use super::weights::Weights;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::model::Model;
use crate::models::Options;

/// A network of the shared table.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// How it is asked for.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Height and width of its input.
    pub size: [usize; 2],
    weights: fn(&mut Weights),
    /// The configuration of an MMRB-Net, as JSON.
    config: Option<fn() -> serde_json::Value>,
}

/// All of them, the default model first.
pub const NETWORKS: &[Network] = &[
    Network {
        name: "mmrbnet-256",
        what: "MMRB-Net of the default model",
        size: [256, 256],
        weights: |w| mmrbnet(w, 256),
        config: Some(|| mmrbnet_config(256)),
    },
    Network {
        name: "mmrbnet-512",
        what: "the same one level larger",
        size: [512, 512],
        weights: |w| mmrbnet(w, 512),
        config: Some(|| mmrbnet_config(512)),
    },
    Network {
        name: "gfpgan-512",
        what: "GFPGANv1Clean, as GFPGAN 1.2 to 1.4",
        size: [512, 512],
        weights: gfpgan,
        config: None,
    },
    Network {
        name: "gpen-512",
        what: "GPEN-BFR 512",
        size: [512, 512],
        weights: gpen,
        config: None,
    },
    Network {
        name: "rrdb-x4-64",
        what: "RRDBNet of Real-ESRGAN x4plus on a tile",
        size: [64, 64],
        weights: rrdb,
        config: None,
    },
    Network {
        name: "srvgg-x4-256",
        what: "SRVGGNetCompact of realesr-general-x4v3 on a tile",
        size: [256, 256],
        weights: srvgg,
        config: None,
    },
    Network {
        name: "srvgg-x4-512",
        what: "the same on a larger tile",
        size: [512, 512],
        weights: srvgg,
        config: None,
    },
];

impl Network {
    /// The network with its random weights.
    ///
    /// # Errors
    /// Never, unless the table and the architecture disagree.
    pub fn model(&self) -> Result<Model> {
        let mut weights = Weights::default();
        (self.weights)(&mut weights);
        let mut checkpoint = Checkpoint::from_params(self.name, weights.into_tensors());
        if let Some(config) = self.config {
            checkpoint = checkpoint
                .with_metadata("arch", "mmrbnet")
                .with_metadata("config", &config().to_string());
        }
        Model::from_checkpoint(checkpoint, &Options::default())
    }
}

/// The widths of GFPGAN's and GPEN's generators with a channel multiplier of 2, from 4×4.
const STYLEGAN2: [usize; 8] = [512, 512, 512, 512, 512, 256, 128, 64];

/// Width of a latent.
const LATENT: usize = 512;

fn gfpgan(w: &mut Weights) {
    let unet = STYLEGAN2.map(|c| c / 2);
    let levels = unet.len() - 1;
    w.conv("conv_body_first", [unet[levels], 3, 1]);
    for down in 0..levels {
        let [from, to] = [unet[levels - down], unet[levels - down - 1]];
        residual(w, &format!("conv_body_down.{down}"), from, to);
    }
    w.conv("final_conv", [unet[0], unet[0], 3]);
    w.weight("final_linear.weight", &[16 * LATENT, unet[0] * 16], 1.0);
    w.bias("final_linear.bias", 16 * LATENT);
    for up in 0..levels {
        let [from, to] = [unet[up], unet[up + 1]];
        residual(w, &format!("conv_body_up.{up}"), from, to);
        for (condition, mean) in [("scale", 1.0), ("shift", 0.0)] {
            let name = format!("condition_{condition}.{up}");
            w.conv(&format!("{name}.0"), [to, to, 3]);
            w.weight(format!("{name}.2.weight"), &[to, to, 3, 3], 0.4);
            w.tensor(format!("{name}.2.bias"), &[to], mean, 0.2);
        }
    }
    let decoder = "stylegan_decoder";
    w.tensor(format!("{decoder}.constant_input.weight"), &[1, STYLEGAN2[0], 4, 4], 0.0, 1.7);
    let layer = |w: &mut Weights, name: String, o: usize, i: usize, noise: bool| {
        let conv = format!("{decoder}.{name}.modulated_conv");
        w.modulation(&format!("{conv}.modulation"), [i, LATENT], false);
        let k = if noise { 3 } else { 1 };
        w.tensor(format!("{conv}.weight"), &[1, o, i, k, k], 0.0, (i as f32).sqrt().recip());
        w.tensor(format!("{decoder}.{name}.bias"), &[1, o, 1, 1], 0.0, 0.2);
        if noise {
            w.tensor(format!("{decoder}.{name}.weight"), &[1], 0.3, 0.0);
        }
    };
    layer(w, "style_conv1".to_owned(), STYLEGAN2[0], STYLEGAN2[0], true);
    layer(w, "to_rgb1".to_owned(), 3, STYLEGAN2[0], false);
    for j in 0..levels {
        let [from, to] = [STYLEGAN2[j], STYLEGAN2[j + 1]];
        layer(w, format!("style_convs.{}", 2 * j), to, from, true);
        layer(w, format!("style_convs.{}", 2 * j + 1), to, to, true);
        layer(w, format!("to_rgbs.{j}"), 3, to, false);
    }
    for k in 0..=2 * levels {
        let side = 4 << k.div_ceil(2);
        w.tensor(format!("{decoder}.noises.noise{k}"), &[1, 1, side, side], 0.0, 1.7);
    }
}

fn residual(w: &mut Weights, name: &str, from: usize, to: usize) {
    w.weight(format!("{name}.conv1.weight"), &[from, from, 3, 3], 1.0);
    w.bias(format!("{name}.conv1.bias"), from);
    w.weight(format!("{name}.conv2.weight"), &[to, from, 3, 3], 1.0);
    w.bias(format!("{name}.conv2.bias"), to);
    w.weight(format!("{name}.skip.weight"), &[to, from, 1, 1], 0.7);
}

fn gpen(w: &mut Weights) {
    let widths = STYLEGAN2;
    let levels = widths.len() - 1;
    let blur = |w: &mut Weights, name: String, gain: f32| {
        w.tensor(name, &[4, 4], gain / 16.0, gain / 32.0);
    };
    w.equalised("ecd0.0.0.weight", &[widths[levels], 3, 1, 1]);
    w.bias("ecd0.0.1.bias", widths[levels]);
    for level in 1..=levels {
        let [from, to] = [widths[levels + 1 - level], widths[levels - level]];
        blur(w, format!("ecd{level}.0.0.kernel"), 1.0);
        w.equalised(format!("ecd{level}.0.1.weight"), &[to, from, 3, 3]);
        w.bias(format!("ecd{level}.0.2.bias"), to);
    }
    w.equalised("final_linear.0.weight", &[LATENT, widths[0] * 16]);
    w.bias("final_linear.0.bias", LATENT);
    for i in 1..=8 {
        // Their learning rate is a hundredth, and so is the factor on them.
        w.tensor(format!("generator.style.{i}.weight"), &[LATENT, LATENT], 0.0, 173.0);
        w.tensor(format!("generator.style.{i}.bias"), &[LATENT], 0.0, 20.0);
    }
    w.tensor("generator.input.input", &[1, widths[0], 4, 4], 0.0, 1.7);
    let styled = |w: &mut Weights, name: &str, o: usize, i: usize| {
        w.equalised(format!("{name}.conv.weight"), &[1, o, i, 3, 3]);
        w.modulation(&format!("{name}.conv.modulation"), [i, LATENT], true);
        w.tensor(format!("{name}.noise.weight"), &[1], 0.3, 0.0);
        w.bias(format!("{name}.activate.bias"), 2 * o);
    };
    let rgb = |w: &mut Weights, name: &str, i: usize| {
        w.equalised(format!("{name}.conv.weight"), &[1, 3, i, 1, 1]);
        w.modulation(&format!("{name}.conv.modulation"), [i, LATENT], true);
        w.tensor(format!("{name}.bias"), &[1, 3, 1, 1], 0.0, 0.2);
    };
    styled(w, "generator.conv1", widths[0], widths[0]);
    rgb(w, "generator.to_rgb1", 2 * widths[0]);
    for j in 0..levels {
        let [from, to] = [2 * widths[j], widths[j + 1]];
        let up = format!("generator.convs.{}", 2 * j);
        styled(w, &up, to, from);
        blur(w, format!("{up}.conv.blur.kernel"), 4.0);
        styled(w, &format!("generator.convs.{}", 2 * j + 1), to, 2 * to);
        let name = format!("generator.to_rgbs.{j}");
        rgb(w, &name, 2 * to);
        blur(w, format!("{name}.upsample.kernel"), 4.0);
    }
}

fn rrdb(w: &mut Weights) {
    let (features, growth) = (64, 32);
    w.conv("conv_first", [features, 3, 3]);
    for block in 0..23 {
        for dense in 1..=3 {
            for layer in 1..=5 {
                let out = if layer == 5 { features } else { growth };
                let name = format!("body.{block}.rdb{dense}.conv{layer}");
                w.conv(&name, [out, features + (layer - 1) * growth, 3]);
            }
        }
    }
    for name in ["conv_body", "conv_up1", "conv_up2", "conv_hr"] {
        w.conv(name, [features, features, 3]);
    }
    w.conv("conv_last", [3, features, 3]);
}

fn srvgg(w: &mut Weights) {
    let (channels, convs) = (64, 32);
    for layer in 0..=convs {
        let inputs = if layer == 0 { 3 } else { channels };
        w.conv(&format!("body.{}", 2 * layer), [channels, inputs, 3]);
        w.tensor(format!("body.{}.weight", 2 * layer + 1), &[channels], 0.2, 0.1);
    }
    w.conv(&format!("body.{}", 2 * convs + 2), [48, channels, 3]);
}

/// Resolution, width of the level, width of a path (0 above the codec), as in
/// `tools/train/restoration.toml`; at 512 the levels above 64 have the widths of half their side at 256.
fn mmrbnet_levels(size: usize) -> &'static [[usize; 3]] {
    const SMALL: [[usize; 3]; 5] =
        [[4, 96, 32], [8, 96, 32], [16, 224, 64], [32, 160, 48], [64, 64, 32]];
    const AT_256: [[usize; 3]; 7] =
        [SMALL[0], SMALL[1], SMALL[2], SMALL[3], SMALL[4], [128, 32, 16], [256, 16, 0]];
    const AT_512: [[usize; 3]; 8] = [
        SMALL[0],
        SMALL[1],
        SMALL[2],
        SMALL[3],
        SMALL[4],
        [128, 64, 32],
        [256, 32, 16],
        [512, 16, 0],
    ];
    if size == 256 { &AT_256 } else { &AT_512 }
}

/// Width of MMRB-Net's latents, and its shrinking stem.
const MMRBNET_LATENT: usize = 128;
const MMRBNET_STEM: usize = 2;

fn mmrbnet_config(size: usize) -> serde_json::Value {
    let levels = mmrbnet_levels(size);
    let table = |column: usize| -> serde_json::Map<String, serde_json::Value> {
        let rows = levels.iter().filter(|level| level[column] > 0);
        rows.map(|level| (level[0].to_string(), level[column].into())).collect()
    };
    let path =
        |dilation: usize| serde_json::json!({"kernel": 3, "dilation": dilation, "groups": 1});
    serde_json::json!({
        "size": size,
        "channels": table(1),
        "latent_dim": MMRBNET_LATENT,
        "n_mlp": 0,
        "mmrb": {
            "paths": [path(1), path(2), path(3)],
            "mix": "concat",
            "path_channels": table(2),
            "slope": 0.2,
            "fuse_activation": false
        },
        "mmrb_per_level": 1,
        "upsample": "bilinear",
        "inject": "sft_half",
        "stem_unshuffle": MMRBNET_STEM,
        "input_skip": true
    })
}

fn mmrbnet(w: &mut Weights, size: usize) {
    let levels = mmrbnet_levels(size);
    let latent = MMRBNET_LATENT;
    let codec: Vec<[usize; 3]> = levels.iter().copied().filter(|level| level[2] > 0).collect();
    let [top, top_width, _] = codec[codec.len() - 1];
    w.conv("encoder.stem", [top_width, 3 * MMRBNET_STEM.pow(2), 3]);
    for (j, &[level, c, path]) in codec.iter().enumerate() {
        let block = format!("encoder.levels.{level}.mmrb.0");
        for p in 0..3 {
            w.conv(&format!("{block}.stage1.{p}"), [path, c, 3]);
            w.conv(&format!("{block}.stage2.{p}"), [path, 3 * path, 3]);
        }
        w.conv(&format!("{block}.fuse"), [c, 3 * path, 1]);
        w.conv(&format!("decoder.levels.{level}.conv"), [c, c, 3]);
        if j > 0 {
            let below = codec[j - 1][1];
            w.conv(&format!("encoder.levels.{level}.down"), [below, c, 3]);
            if below != c {
                w.weight(format!("decoder.levels.{level}.project.weight"), &[c, below, 1, 1], 1.0);
            }
        }
    }
    let codes = 2 * levels.len() * latent;
    w.equalised("encoder.latent.weight", &[codes, 16 * levels[0][1]]);
    w.bias("encoder.latent.bias", codes);
    w.tensor("generator.constant", &[1, levels[0][1], 4, 4], 0.0, 1.7);
    let mut below = levels[0][1];
    for (j, &[level, c, path]) in levels.iter().enumerate() {
        let source = if path > 0 { c } else { top_width };
        let q = level.div_ceil(top);
        let condition = format!("condition.{level}");
        w.conv(&format!("{condition}.hidden"), [source, source, 3]);
        // Scales near 1, as trained ones are: each level multiplies, and f16 ends at 65,504.
        let pairs = q * q * 2 * (c / 2);
        w.weight(format!("{condition}.out.weight"), &[pairs, source, 3, 3], 0.02);
        w.tensor(format!("{condition}.out.bias"), &[pairs], 1.0, 0.2);
        let prefix = format!("generator.levels.{level}");
        for (part, inputs) in [("up", below), ("conv", c)] {
            if part == "up" && j == 0 {
                continue;
            }
            let name = format!("{prefix}.{part}");
            w.equalised(format!("{name}.weight"), &[c, inputs, 3, 3]);
            w.bias(format!("{name}.bias"), c);
            w.tensor(format!("{name}.noise_weight"), &[1], 0.1, 0.0);
            w.modulation(&format!("{name}.modulation"), [inputs, latent], true);
        }
        w.equalised(format!("{prefix}.to_rgb.weight"), &[3, c, 1, 1]);
        w.bias(format!("{prefix}.to_rgb.bias"), 3);
        w.modulation(&format!("{prefix}.to_rgb.modulation"), [c, latent], true);
        below = c;
    }
    for k in 0..2 * levels.len() - 1 {
        let side = 4 << k.div_ceil(2);
        w.tensor(format!("generator.noises.{k}"), &[1, 1, side, side], 0.0, 1.7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiply-adds of the published networks: the tables build the real ones.
    #[test]
    fn every_network_is_built_and_costs_what_the_published_one_does() {
        for (name, millions) in [
            ("mmrbnet-256", 6_790),
            ("gfpgan-512", 197_800),
            // 137.1 G, and 1.05 G of blurs.
            ("gpen-512", 138_150),
            // 1174.9 G at 256×256.
            ("rrdb-x4-64", 73_430),
            ("srvgg-x4-256", 79_200),
        ] {
            let network = NETWORKS.iter().find(|n| n.name == name).unwrap();
            let model = network.model().unwrap();
            let [h, w] = network.size;
            let graph = model.graph(model.input_shape(h, w)).unwrap();
            let actual = graph.multiply_adds() / 1_000_000;
            // GFPGAN's 1×1 skips are computed before they are enlarged: 0.8% less.
            assert!(actual.abs_diff(millions) <= millions / 100, "{name}: {actual} M");
        }
    }
}
