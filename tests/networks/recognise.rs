//! Which architecture a file holds: every golden checkpoint, the tensor lists of released ones, and
//! files in which one tensor is missing or misshapen.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::{Encoding, Param};
use pentimento::tensor::Shape;
use pentimento::{Error, Model};

use crate::golden::options;
use crate::support::{self, folders, json, name, npy, shape};

/// Architectures that the engine builds, by the first word of a golden's `arch`.
fn built(arch: &str) -> Option<&'static str> {
    let (first, rest) = arch.split_once(' ').unwrap_or((arch, ""));
    Some(match (first, rest) {
        ("GFPGANv1Clean", _) => "GFPGANv1Clean",
        ("GFPGANv1", _) => "GFPGANv1",
        ("GFPGANBilinear", _) => "GFPGANBilinear",
        ("FullGenerator" | "FullGenerator_SR", _) => "GPEN",
        ("StyleGAN2Generator", _) => "StyleGAN2 (BasicSR)",
        ("StyleGAN2GeneratorClean", _) => "StyleGAN2 (clean)",
        ("Generator", _) => "StyleGAN2 (rosinality)",
        ("RRDBNet", _) => "RRDBNet",
        ("SRVGGNetCompact", _) => "SRVGGNetCompact",
        ("RetinaFace", _) => "RetinaFace",
        ("ParseNet", _) => "ParseNet",
        ("BiSeNet", _) => "BiSeNet",
        _ => return None,
    })
}
