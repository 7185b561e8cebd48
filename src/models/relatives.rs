//! Networks that are not supported, by the names of their tensors: what a file is when it is not one
//! of ours, and what to do with it.
//!
//! Names are those of the published programs, as spandrel (MIT) lists them too.

use pentimento_convert::matches;

use crate::Error;
use crate::checkpoint::Checkpoint;

/// A network that is not supported.
#[derive(Debug)]
pub(super) struct Relative {
    /// What it is, with its article.
    is: &'static str,
    /// What to do.
    advice: Advice,
    /// Patterns of names; a file of it has a tensor of each.
    has: &'static [&'static str],
}

/// What to do with a file that is not supported.
#[derive(Clone, Copy, Debug)]
enum Advice {
    /// It enlarges or mends pictures; another network of ours does so too.
    AnotherEnlarger,
    /// It restores or makes faces.
    AnotherFaceNetwork,
    /// It judges pictures, and only a training needs it.
    TheGenerator,
    /// It is the first stage of a network's training.
    TheSecondStage,
    /// It is of another field.
    OtherField,
}

impl Advice {
    fn text(self) -> &'static str {
        match self {
            Self::AnotherEnlarger => {
                "take an enlarger that `pentimento models` lists, or run this one in the program \
                 that it was made for"
            }
            Self::AnotherFaceNetwork => {
                "take a face network that `pentimento models` lists, or run this one in the \
                 program that it was made for"
            }
            Self::TheGenerator => {
                "take the generator's file, which has the same name without \"netD\" or \
                 \"discriminator\""
            }
            Self::TheSecondStage => {
                "take the file of the whole network, such as codeformer or restoreformer of \
                 `pentimento models`"
            }
            Self::OtherField => "take a network that `pentimento models` lists",
        }
    }
}

impl Relative {
    /// The error for the file.
    pub fn refusal(&self, checkpoint: &Checkpoint) -> Error {
        Error::Checkpoint {
            path: checkpoint.path().to_owned(),
            what: format!("is {}, which is not supported: {}", self.is, self.advice.text()),
        }
    }

    fn is_in(&self, checkpoint: &Checkpoint) -> bool {
        let any = |pattern: &&str| match pattern.contains('*') {
            true => checkpoint.names().any(|name| matches(pattern, name)),
            false => checkpoint.contains(pattern),
        };
        self.has.iter().all(any)
    }
}

/// The network that the file is of.
pub(super) fn relative(checkpoint: &Checkpoint) -> Option<&'static Relative> {
    RELATIVES.iter().find(|relative| relative.is_in(checkpoint))
}

/// The network that the file is of, where one of these tensors, and none of the others, tells it.
pub(super) fn told_by(
    checkpoint: &Checkpoint,
    names: &[&str],
    others: &[&str],
) -> Option<&'static Relative> {
    let among = |pattern: &str, names: &[&str]| names.iter().any(|name| matches(pattern, name));
    let tells = |relative: &&Relative| {
        relative.has.iter().any(|pattern| among(pattern, names) && !among(pattern, others))
    };
    RELATIVES.iter().filter(tells).find(|relative| relative.is_in(checkpoint))
}

const fn relative_of(is: &'static str, advice: Advice, has: &'static [&'static str]) -> Relative {
    Relative { is, advice, has }
}

use Advice::{AnotherEnlarger, AnotherFaceNetwork, OtherField, TheGenerator, TheSecondStage};

/// All of them, a network before those that its tensors are also like.
static RELATIVES: &[Relative] = &[
    // Around ESRGAN.
    relative_of(
        "MM-RealSR, an RRDBNet whose blocks are modulated by an estimate of the degradation",
        AnotherEnlarger,
        &["de_net.*", "am_list.*"],
    ),
    relative_of(
        "MM-RealSR, an RRDBNet whose blocks are modulated by an estimate of the degradation",
        AnotherEnlarger,
        &["de_net.*", "am.*"],
    ),
    relative_of(
        "an RRDBNet with a network that estimates the degradation beside it",
        AnotherEnlarger,
        &["conv_body.weight", "de_net.*"],
    ),
    relative_of(
        "SPSR, an ESRGAN with a second branch for gradients",
        AnotherEnlarger,
        &["model.1.sub.0.RDB1.*", "b_fea_conv.*"],
    ),
    relative_of(
        "SPSR, an ESRGAN with a second branch for gradients",
        AnotherEnlarger,
        &["model.1.sub.0.RDB1.*", "f_HR_conv*"],
    ),
    relative_of(
        "SPSR, an ESRGAN with a second branch for gradients",
        AnotherEnlarger,
        &["*rb_blocks.*", "*b_block_*"],
    ),
    relative_of(
        "an RRDBNet of squeezed dense blocks (A-ESRGAN's or another's)",
        AnotherEnlarger,
        &["body.*.srdb1.conv1.weight"],
    ),
    relative_of(
        "SRResNet in the first ESRGAN's names",
        AnotherEnlarger,
        &["model.1.sub.0.res.0.weight"],
    ),
    relative_of(
        "SRResNet (MSRResNet)",
        AnotherEnlarger,
        &["body.*.conv1.weight", "conv_first.weight", "upconv1.weight"],
    ),
    relative_of(
        "EDSR",
        AnotherEnlarger,
        &["body.*.conv1.weight", "conv_after_body.weight", "upsample.*.weight"],
    ),
    relative_of(
        "RCAN",
        AnotherEnlarger,
        &["body.0.body.0.body.0.weight", "body.0.body.0.body.*.conv_du.0.weight"],
    ),
    relative_of(
        "EDSR under its authors' names",
        AnotherEnlarger,
        &["head.0.weight", "body.0.body.0.weight", "tail.0.0.weight"],
    ),
    relative_of("RDN", AnotherEnlarger, &["SFENet1.weight", "RDBs.0.convs.0.conv.0.weight"]),
    relative_of("FSRCNN", AnotherEnlarger, &["first_part.0.weight", "last_part.weight"]),
    relative_of("RFDN", AnotherEnlarger, &["fea_conv.weight", "B1.c1_d.weight"]),
    relative_of("BSRN", AnotherEnlarger, &["fea_conv.pw.weight", "B1.c1_d.weight"]),
    relative_of("RLFN", AnotherEnlarger, &["conv_1.weight", "block_1.c1_r.weight"]),
    relative_of("SwiftSRGAN", AnotherEnlarger, &["initial.cnn.depthwise.weight"]),
    // Transformers that enlarge, and what took their place.
    relative_of(
        "MambaIR",
        AnotherEnlarger,
        &["layers.0.residual_group.blocks.0.self_attention.A_logs"],
    ),
    relative_of("SRFormer", AnotherEnlarger, &["*.attn.aligned_relative_position_index"]),
    relative_of("ATD", AnotherEnlarger, &["layers.*.residual_group.td"]),
    relative_of("CRAFT", AnotherEnlarger, &["layers.*.residual_group.hf_blocks.*"]),
    relative_of("RGT", AnotherEnlarger, &["before_RG.1.weight", "layers.0.blocks.0.gamma"]),
    relative_of("DRCT", AnotherEnlarger, &["layers.0.swin1.*"]),
    relative_of("GRL", AnotherEnlarger, &["*layers.0.blocks.0.attn.window_attn.*"]),
    relative_of("DCTLSA", AnotherEnlarger, &["B1.body.0.transformer_body.*"]),
    relative_of("DITN", AnotherEnlarger, &["UFONE.0.ITLs.*"]),
    relative_of(
        "FDAT",
        AnotherEnlarger,
        &["groups.0.blocks.0.attn.bias", "groups.0.blocks.0.inter.*"],
    ),
    relative_of("Swin2SR", AnotherEnlarger, &["layers.*.attn.logit_scale", "conv_first.weight"]),
    relative_of(
        "IPT",
        AnotherEnlarger,
        &["sub_mean.weight", "body.encoder.layers.0.self_attn.in_proj_weight"],
    ),
    relative_of("AuraSR", AnotherEnlarger, &["mid_attn.layers.0.0.to_out.weight"]),
    // Other networks that enlarge or mend.
    relative_of("FBCNN", AnotherEnlarger, &["m_head.weight", "qf_pred.0.res.0.weight"]),
    relative_of("DRUNet", AnotherEnlarger, &["m_head.weight", "m_body.0.res.0.weight"]),
    relative_of("KBNet", AnotherEnlarger, &["encoders.0.0.attgamma"]),
    relative_of(
        "KBNet",
        AnotherEnlarger,
        &["latent.0.ffn.qkv.weight", "refinement.0.attn.dwconv.0.weight"],
    ),
    relative_of("M3SNet", AnotherEnlarger, &["intro.weight", "encoders.0.0.beta"]),
    relative_of("SAFMN", AnotherEnlarger, &["to_feat*.weight", "feats.0.*safm.*"]),
    relative_of("RealPLKSR with DySample", AnotherEnlarger, &["feats.1.lk.*", "to_img.*"]),
    relative_of("PLKSR with sparse kernels", AnotherEnlarger, &["feats.1.lk.convs.0.weight"]),
    relative_of("PLKSR with rectangular kernels", AnotherEnlarger, &["feats.1.lk.mn_conv.weight"]),
    relative_of("MoSR", AnotherEnlarger, &["gblocks.0.weight"]),
    relative_of("MoESR", AnotherEnlarger, &["in_to_dim.weight", "blocks.0.blocks.0.gamma"]),
    relative_of("SeemoRe", AnotherEnlarger, &["body.0.local_block.*"]),
    relative_of("FFTformer", AnotherEnlarger, &["encoder_level1.0.ffn.fft"]),
    relative_of("Restormer", AnotherEnlarger, &["encoder_level1.0.attn.temperature"]),
    relative_of("RetinexFormer", AnotherEnlarger, &["body.0.denoiser.*"]),
    relative_of("MPRNet", AnotherEnlarger, &["shallow_feat1.0.weight"]),
    relative_of("MIRNet", AnotherEnlarger, &["body.0.body.0.dau_top.*"]),
    relative_of("Uformer", AnotherEnlarger, &["encoderlayer_0.blocks.*"]),
    relative_of("MixDehazeNet", AnotherEnlarger, &["layer1.blocks.0.Wv.0.weight"]),
    relative_of("HVI-CIDNet", AnotherEnlarger, &["HVE_block0.1.weight"]),
    relative_of("AdaCode", AnotherEnlarger, &["multiscale_encoder.*", "weight_predictor.*"]),
    relative_of("FeMaSR", AnotherEnlarger, &["multiscale_encoder.*", "quantize_group.*"]),
    relative_of("BasicVSR", AnotherEnlarger, &["spynet.*", "backward_*"]),
    relative_of("BasicVSR++", AnotherEnlarger, &["spynet.*", "deform_align.*"]),
    relative_of("EDVR", AnotherEnlarger, &["pcd_align.*"]),
    relative_of(
        "DnCNN with batch normalisation",
        AnotherEnlarger,
        &["model.0.weight", "model.2.weight", "model.3.running_mean", "model.5.weight"],
    ),
    relative_of(
        "DnCNN or FFDNet",
        AnotherEnlarger,
        &["model.0.weight", "model.2.weight", "model.4.weight", "model.6.weight", "model.8.weight"],
    ),
    relative_of("LaMa, which fills holes", AnotherEnlarger, &["*model.1.bn_l.running_mean"]),
    relative_of("MAT, which fills holes", AnotherEnlarger, &["*synthesis.first_stage.*"]),
    relative_of(
        "DDColor, which colours pictures",
        AnotherEnlarger,
        &["encoder.arch.downsample_layers.*"],
    ),
    relative_of("Zero-DCE, which brightens pictures", AnotherEnlarger, &["e_conv1.weight"]),
    relative_of(
        "U²-Net, which cuts out figures",
        OtherField,
        &["stage1.rebnconvin.conv_s1.weight"],
    ),
    relative_of(
        "RIFE, which makes frames between frames",
        OtherField,
        &["*block0.conv0.0.0.weight"],
    ),
    // Judges of a training.
    relative_of(
        "a discriminator with spectral normalisation (UNetDiscriminatorSN, as of Real-ESRGAN)",
        TheGenerator,
        &["conv0.weight", "conv9.weight", "conv1.weight_orig"],
    ),
    relative_of(
        "a discriminator (UNetDiscriminatorSN, as of Real-ESRGAN)",
        TheGenerator,
        &["conv0.weight", "conv9.weight"],
    ),
    relative_of(
        "a discriminator with attention (UNetDiscriminatorAesrgan)",
        TheGenerator,
        &["*.weight_orig", "cat_1.convU.*"],
    ),
    relative_of(
        "a discriminator (VGGStyleDiscriminator, as of ESRGAN)",
        TheGenerator,
        &["conv0_0.weight", "linear1.weight"],
    ),
    relative_of(
        "a discriminator of the first ESRGAN",
        TheGenerator,
        &["features.0.weight", "classifier.0.weight", "features.3.running_mean"],
    ),
    relative_of(
        "a discriminator of StyleGAN2",
        TheGenerator,
        &["convs.0.0.weight", "convs.1.conv1.0.weight", "final_linear.0.weight"],
    ),
    relative_of(
        "a discriminator of StyleGAN2",
        TheGenerator,
        &["conv_body.0.0.weight", "conv_body.1.conv1.0.weight", "final_linear.*"],
    ),
    relative_of(
        "a discriminator of parts of faces, as of GFPGAN",
        TheGenerator,
        &["conv1.0.weight", "conv5.1.weight", "final_conv.*"],
    ),
    relative_of(
        "a discriminator of patches, as of VQGAN",
        TheGenerator,
        &["main.0.weight", "main.2.weight"],
    ),
    relative_of("a discriminator", TheGenerator, &["*discriminator.*"]),
    relative_of("a discriminator", TheGenerator, &["*.weight_orig", "*.weight_u"]),
    // Faces, and the networks below them.
    relative_of("DFDNet", AnotherFaceNetwork, &["*dict_512*"]),
    relative_of("PSFRGAN", AnotherFaceNetwork, &["*.norm_0.mlp_gamma.*"]),
    relative_of(
        "GCFSR",
        AnotherFaceNetwork,
        &["conv_body_first.*", "stylegan_decoder.*", "modulate*"],
    ),
    relative_of("VQFR", AnotherFaceNetwork, &["main_branch.*", "quantizer_dict.*"]),
    relative_of("DiffBIR or StableSR", AnotherFaceNetwork, &["*input_hint_block.*"]),
    relative_of(
        "the VQGAN that CodeFormer is built on, without its transformer",
        TheSecondStage,
        &["quantize.embedding.weight", "encoder.blocks.*", "generator.blocks.*"],
    ),
    relative_of(
        "a VQGAN, which codes faces and restores none",
        TheSecondStage,
        &["quantize.embedding.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"],
    ),
    relative_of("a part of Stable Diffusion", OtherField, &["*diffusion_model.*"]),
    relative_of(
        "an autoencoder (VAE) of Stable Diffusion or another diffusion network",
        OtherField,
        &["quant_conv.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"],
    ),
    relative_of(
        "an autoencoder (VAE) of a diffusion network",
        OtherField,
        &["*encoder.down.0.block.0.*", "*decoder.up.0.block.0.*"],
    ),
    relative_of(
        "an autoencoder (VAE) of diffusers",
        OtherField,
        &["encoder.down_blocks.*", "decoder.up_blocks.*"],
    ),
    relative_of("a denoising U-Net of diffusers", OtherField, &["down_blocks.*", "up_blocks.*"]),
    relative_of("a low-rank adapter (LoRA)", OtherField, &["*lora_*"]),
    relative_of("a language model or another transformer", OtherField, &["*self_attn.q_proj*"]),
    relative_of("CLIP", OtherField, &["*visual.transformer.resblocks.*"]),
    relative_of(
        "a network that recognises persons (ArcFace)",
        OtherField,
        &["*layer1.0.prelu.weight", "fc*.weight"],
    ),
    relative_of(
        "VGG, a network of losses",
        OtherField,
        &["features.0.weight", "features.28.weight"],
    ),
    relative_of(
        "ResNet, a network that names things",
        OtherField,
        &["layer4.0.conv1.weight", "fc.weight"],
    ),
    relative_of(
        "a detector of YOLO's family",
        OtherField,
        &["model.0.conv.weight", "model.*.cv1.conv.weight"],
    ),
    relative_of(
        "S3FD or another detector of anchors",
        OtherField,
        &["conv1_1.weight", "conv3_3_norm.weight"],
    ),
    relative_of("the state of an optimizer", OtherField, &["exp_avg*"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Param;

    fn checkpoint(names: &[&str]) -> Checkpoint {
        let param = |name: &&str| Param::from_values(*name, vec![1], &[1.0]);
        Checkpoint::from_params("m.pth", names.iter().map(param))
    }

    /// Names of its own make each of them: one that another hides would never be named.
    #[test]
    fn each_is_found_by_its_names() {
        for relative in RELATIVES {
            let names: Vec<String> =
                relative.has.iter().map(|name| name.replace('*', "x")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = super::relative(&checkpoint(&names)).expect("one of them");
            assert_eq!(found.is, relative.is);
        }
    }

    #[test]
    fn a_relative_is_named_with_advice() {
        for (names, says) in [
            (&["conv0.weight", "conv9.weight", "conv1.weight_orig"][..], "discriminator"),
            (&["quant_conv.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"], "VAE"),
            (&["model.1.sub.0.RDB1.conv1.0.weight", "b_fea_conv.weight"], "SPSR"),
        ] {
            let checkpoint = checkpoint(names);
            let found = super::relative(&checkpoint).expect("one of them");
            let told = found.refusal(&checkpoint).to_string();
            assert!(told.contains(says) && told.starts_with("m.pth: is "), "{told}");
            assert!(told.contains(": take "), "{told}");
        }
        assert!(super::relative(&checkpoint(&["body.0.weight"])).is_none());
    }
}
