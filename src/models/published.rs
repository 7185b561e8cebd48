//! Checkpoints that other people published for the architectures of this folder.
//!
//! Sizes and digests are given where several independent sources agree on them; the rest is
//! `None`. Licences are those that the publishers state; they are not legal advice.

use serde::Serialize;

/// A checkpoint that is published somewhere.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// Its name on the command line and in the cache.
    pub name: &'static str,
    /// Name of the architecture, as [`super::Network::name`] gives it.
    pub architecture: &'static str,
    /// Its task, in a few words.
    pub task: &'static str,
    /// Name of the published file.
    pub file: &'static str,
    /// Where the file can be fetched; `None` when there is only a page.
    pub url: Option<&'static str>,
    /// Where its publishers describe it.
    pub page: &'static str,
    /// Length of the file in bytes.
    pub bytes: Option<u64>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<&'static str>,
    /// The memory of a session for one picture on a GPU, in megabytes: in f32 and in f16.
    pub memory: Option<[u32; 2]>,
    /// The licence of the weights.
    pub licence: &'static str,
    /// Whether that licence lets them be used commercially.
    pub commercial: bool,
    /// Further facts to know before using them.
    pub note: &'static str,
}

/// The checkpoint of that name, in any case of its letters.
pub fn published(name: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|published| published.name.eq_ignore_ascii_case(name))
}

const FFHQ: &str = "trained on FFHQ, whose pictures are CC BY-NC-SA 4.0";
const GFPGAN: &str = "https://github.com/TencentARC/GFPGAN";
const REAL_ESRGAN: &str = "https://github.com/xinntao/Real-ESRGAN";
const FACEXLIB: &str = "https://github.com/xinntao/facexlib";
const GPEN: &str = "https://github.com/yangxy/GPEN";
const SWINIR: &str = "https://github.com/JingyunLiang/SwinIR";
const SCUNET: &str = "https://github.com/cszn/SCUNet";

/// Every checkpoint that is known, by task and then by age.
pub const PUBLISHED: &[Published] = &[
    Published {
        name: "gfpgan-1.0",
        architecture: "GFPGANv1",
        task: "restores 512x512 faces",
        file: "GFPGANv1.pth",
        url: Some("https://github.com/TencentARC/GFPGAN/releases/download/v0.1.0/GFPGANv1.pth"),
        page: GFPGAN,
        bytes: None,
        sha256: None,
        memory: Some([449, 233]),
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "gfpgan-1.2",
        architecture: "GFPGANv1Clean",
        task: "restores 512x512 faces",
        file: "GFPGANCleanv1-NoCE-C2.pth",
        url: Some(
            "https://github.com/TencentARC/GFPGAN/releases/download/v0.2.0/GFPGANCleanv1-NoCE-C2.pth",
        ),
        page: GFPGAN,
        bytes: None,
        sha256: None,
        memory: Some([564, 300]),
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "gfpgan-1.3",
        architecture: "GFPGANv1Clean",
        task: "restores 512x512 faces",
        file: "GFPGANv1.3.pth",
        url: Some("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.3.pth"),
        page: GFPGAN,
        bytes: Some(348_632_874),
        sha256: Some("c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70"),
        memory: Some([564, 300]),
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "gfpgan-1.4",
        architecture: "GFPGANv1Clean",
        task: "restores 512x512 faces",
        file: "GFPGANv1.4.pth",
        url: Some("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth"),
        page: GFPGAN,
        bytes: Some(348_632_874),
        sha256: Some("e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad"),
        memory: Some([564, 300]),
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "gpen-256",
        architecture: "GPEN",
        task: "restores 256x256 faces",
        file: "GPEN-BFR-256.pth",
        url: None,
        page: GPEN,
        bytes: None,
        sha256: None,
        memory: Some([138, 79]),
        licence: "for academic use",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "gpen-512",
        architecture: "GPEN",
        task: "restores 512x512 faces",
        file: "GPEN-BFR-512.pth",
        url: None,
        page: GPEN,
        bytes: None,
        sha256: None,
        memory: Some([666, 355]),
        licence: "for academic use",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "gpen-1024",
        architecture: "GPEN",
        task: "restores 1024x1024 faces",
        file: "GPEN-BFR-1024.pth",
        url: None,
        page: GPEN,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "for academic use",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "gpen-2048",
        architecture: "GPEN",
        task: "restores 2048x2048 faces",
        file: "GPEN-BFR-2048.pth",
        url: None,
        page: GPEN,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "for academic use",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "restoreformer",
        architecture: "RestoreFormer",
        task: "restores 512x512 faces",
        file: "RestoreFormer.pth",
        url: Some(
            "https://github.com/TencentARC/GFPGAN/releases/download/v1.3.4/RestoreFormer.pth",
        ),
        page: "https://github.com/wzhouxiff/RestoreFormer",
        bytes: Some(290_785_322),
        sha256: Some("07404d446d62ca3d5ed38b1de09a947a1e77d46dbccec961a74d713a8f24ace0"),
        memory: Some([674, 456]),
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "restoreformer++",
        architecture: "RestoreFormer",
        task: "restores 512x512 faces",
        file: "RestoreFormer++.ckpt",
        url: Some(
            "https://github.com/wzhouxiff/RestoreFormerPlusPlus/releases/download/v1.0.0/RestoreFormer++.ckpt",
        ),
        page: "https://github.com/wzhouxiff/RestoreFormerPlusPlus",
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: FFHQ,
    },
    Published {
        name: "codeformer",
        architecture: "CodeFormer",
        task: "restores 512x512 faces",
        file: "codeformer.pth",
        url: Some("https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth"),
        page: "https://github.com/sczhou/CodeFormer",
        bytes: Some(376_637_898),
        sha256: Some("1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7"),
        memory: Some([769, 548]),
        licence: "S-Lab License 1.0",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "stylegan2-ffhq",
        architecture: "StyleGAN2",
        task: "generates 1024x1024 faces",
        file: "stylegan2-ffhq-config-f.pt",
        url: None,
        page: "https://github.com/rosinality/stylegan2-pytorch",
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Nvidia Source Code-NC",
        commercial: false,
        note: FFHQ,
    },
    Published {
        name: "realesrgan-x4plus",
        architecture: "RRDBNet",
        task: "enlarges pictures x4",
        file: "RealESRGAN_x4plus.pth",
        url: Some(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth",
        ),
        page: REAL_ESRGAN,
        bytes: Some(67_040_989),
        sha256: Some("4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1"),
        memory: None,
        licence: "BSD-3-Clause",
        commercial: true,
        note: "",
    },
    Published {
        name: "realesrgan-x2plus",
        architecture: "RRDBNet",
        task: "enlarges pictures x2",
        file: "RealESRGAN_x2plus.pth",
        url: Some(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.1/RealESRGAN_x2plus.pth",
        ),
        page: REAL_ESRGAN,
        bytes: Some(67_061_725),
        sha256: Some("49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb"),
        memory: None,
        licence: "BSD-3-Clause",
        commercial: true,
        note: "",
    },
    Published {
        name: "realesrgan-x4plus-anime",
        architecture: "RRDBNet",
        task: "enlarges drawings x4",
        file: "RealESRGAN_x4plus_anime_6B.pth",
        url: Some(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        ),
        page: REAL_ESRGAN,
        bytes: Some(17_938_799),
        sha256: Some("f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da"),
        memory: None,
        licence: "BSD-3-Clause",
        commercial: true,
        note: "",
    },
    Published {
        name: "realesr-general-x4v3",
        architecture: "SRVGGNetCompact",
        task: "enlarges pictures x4",
        file: "realesr-general-x4v3.pth",
        url: Some(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-general-x4v3.pth",
        ),
        page: REAL_ESRGAN,
        bytes: Some(4_885_111),
        sha256: Some("8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292"),
        memory: None,
        licence: "BSD-3-Clause",
        commercial: true,
        note: "",
    },
    Published {
        name: "realesr-animevideov3",
        architecture: "SRVGGNetCompact",
        task: "enlarges drawings x4",
        file: "realesr-animevideov3.pth",
        url: Some(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-animevideov3.pth",
        ),
        page: REAL_ESRGAN,
        bytes: Some(2_504_012),
        sha256: Some("b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d"),
        memory: None,
        licence: "BSD-3-Clause",
        commercial: true,
        note: "",
    },
    Published {
        name: "swinir-real-x4",
        architecture: "SwinIR",
        task: "enlarges pictures x4",
        file: "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
        url: Some(
            "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
        ),
        page: SWINIR,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: "",
    },
    Published {
        name: "swinir-real-large-x4",
        architecture: "SwinIR",
        task: "enlarges pictures x4",
        file: "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
        url: Some(
            "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
        ),
        page: SWINIR,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: "",
    },
    Published {
        name: "scunet-psnr",
        architecture: "SCUNet",
        task: "denoises pictures",
        file: "scunet_color_real_psnr.pth",
        url: Some("https://github.com/cszn/KAIR/releases/download/v1.0/scunet_color_real_psnr.pth"),
        page: SCUNET,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: "",
    },
    Published {
        name: "scunet-gan",
        architecture: "SCUNet",
        task: "denoises pictures",
        file: "scunet_color_real_gan.pth",
        url: Some("https://github.com/cszn/KAIR/releases/download/v1.0/scunet_color_real_gan.pth"),
        page: SCUNET,
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: "",
    },
    Published {
        name: "realcugan-x2",
        architecture: "Real-CUGAN",
        task: "enlarges drawings x2",
        file: "up2x-latest-conservative.pth",
        url: None,
        page: "https://github.com/bilibili/ailab/tree/main/Real-CUGAN",
        bytes: None,
        sha256: None,
        memory: None,
        licence: "MIT",
        commercial: true,
        note: "",
    },
    Published {
        name: "retinaface-mobilenet",
        architecture: "RetinaFace",
        task: "finds faces",
        file: "detection_mobilenet0.25_Final.pth",
        url: Some(
            "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_mobilenet0.25_Final.pth",
        ),
        page: FACEXLIB,
        bytes: Some(1_789_735),
        sha256: None,
        memory: None,
        licence: "MIT",
        commercial: true,
        note: "trained on WIDER FACE",
    },
    Published {
        name: "retinaface-resnet50",
        architecture: "RetinaFace",
        task: "finds faces",
        file: "detection_Resnet50_Final.pth",
        url: Some(
            "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
        ),
        page: FACEXLIB,
        bytes: Some(109_497_761),
        sha256: Some("6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d"),
        memory: None,
        licence: "MIT",
        commercial: true,
        note: "trained on WIDER FACE",
    },
    Published {
        name: "yunet",
        architecture: "YuNet",
        task: "finds faces",
        file: "yunet_n.pth",
        url: Some(
            "https://github.com/ShiqiYu/libfacedetection.train/raw/master/weights/yunet_n.pth",
        ),
        page: "https://github.com/ShiqiYu/libfacedetection.train",
        bytes: None,
        sha256: None,
        memory: None,
        licence: "Apache-2.0",
        commercial: true,
        note: "trained on WIDER FACE",
    },
    Published {
        name: "parsenet",
        architecture: "ParseNet",
        task: "parses 512x512 faces",
        file: "parsing_parsenet.pth",
        url: Some(
            "https://github.com/xinntao/facexlib/releases/download/v0.2.2/parsing_parsenet.pth",
        ),
        page: FACEXLIB,
        bytes: Some(85_331_193),
        sha256: Some("3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2"),
        memory: Some([560, 291]),
        licence: "MIT",
        commercial: true,
        note: "trained on CelebAMask-HQ, which is for non-commercial research",
    },
    Published {
        name: "bisenet",
        architecture: "BiSeNet",
        task: "parses 512x512 faces",
        file: "parsing_bisenet.pth",
        url: Some(
            "https://github.com/xinntao/facexlib/releases/download/v0.2.0/parsing_bisenet.pth",
        ),
        page: FACEXLIB,
        bytes: Some(53_289_463),
        sha256: Some("468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567"),
        memory: Some([95, 48]),
        licence: "MIT",
        commercial: true,
        note: "trained on CelebAMask-HQ, which is for non-commercial research",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        for (i, entry) in PUBLISHED.iter().enumerate() {
            let upper = entry.name.to_uppercase();
            let found = PUBLISHED.iter().position(|p| p.name.eq_ignore_ascii_case(&upper));
            assert_eq!(found, Some(i), "{}", entry.name);
        }
        assert!(published("gfpgan").is_none());
    }

    #[test]
    fn names_are_file_names_and_digests_are_digests() {
        for entry in PUBLISHED {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+.".contains(c);
            assert!(entry.name.chars().all(plain), "{}", entry.name);
            if let Some(url) = entry.url {
                assert!(url.starts_with("https://") && url.ends_with(entry.file), "{url}");
            }
            if let Some(digest) = entry.sha256 {
                assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()));
                assert!(entry.bytes.is_some(), "{}: a digest without a length", entry.name);
            }
        }
    }
}
