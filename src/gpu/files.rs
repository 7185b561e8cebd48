//! The kernel files: built in, or read from the folder that `PENTIMENTO_KERNELS` names.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Embeds `kernels/{name}.wgsl` under its name.
macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../kernels/", $name, ".wgsl")))),*]
    };
}

/// Every kernel file.
const KERNELS: &[(&str, &str)] = sources![
    "ada_in",
    "adaptive_avg_pool",
    "arg_max",
    "attention",
    "constant",
    "conv_depthwise",
    "conv_direct",
    "conv_gemm",
    "conv_gemm_cooperative",
    "conv_winograd_input",
    "conv_winograd_output",
    "conv_winograd_product",
    "demodulate",
    "embedding",
    "grain_histogram",
    "group_norm",
    "group_norm_moments",
    "image_to_tensor",
    "layer_norm",
    "linear",
    "max_pool",
    "multi_path_conv",
    "paste",
    "pixel_norm",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pointwise",
    "probes/cooperative",
    "probes/fma",
    "probes/launch",
    "probes/storage_bandwidth",
    "probes/workgroup_bandwidth",
    "reflect_pad",
    "resize",
    "tensor_to_image",
    "upfirdn2d",
    "warp_affine",
];

/// Snippets that kernels include.
const SHARED: &[(&str, &str)] = sources![
    "shared/activation",
    "shared/channel",
    "shared/cooperative_read",
    "shared/cooperative_stage",
    "shared/each_output",
    "shared/epilogue",
    "shared/epilogue_params",
    "shared/grid",
    "shared/load",
    "shared/load_params",
    "shared/output",
    "shared/pixel_columns",
    "shared/product_params",
    "shared/product_pixels",
    "shared/reduce",
    "shared/soft_mask",
    "shared/tile",
    "shared/tile_accumulate",
    "shared/tile_declare",
    "shared/winograd",
    "shared/winograd_resize",
];

/// The environment variable that names a folder of kernels.
const FOLDER: &str = "PENTIMENTO_KERNELS";

/// Where kernels come from.
#[derive(Clone, Debug, Default)]
pub struct Files {
    folder: Option<PathBuf>,
}

/// A kernel file.
#[derive(Debug)]
pub struct File {
    /// Where it lies.
    pub place: String,
    /// What it says.
    pub text: Cow<'static, str>,
}

impl Files {
    /// The kernels of the folder that [`FOLDER`] names, and those that are built in for files which
    /// it does not hold.
    pub fn from_environment() -> Self {
        let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty());
        let folder = folder.map(PathBuf::from);
        if let Some(folder) = &folder {
            log::warn!("{FOLDER}: kernels are read from {}", folder.display());
        }
        Self { folder }
    }

    /// Whether they may differ from those that are built in.
    pub fn edited(&self) -> bool {
        self.folder.is_some()
    }

    /// Fails where the folder is missing, or holds a file that would never be read.
    ///
    /// # Errors
    /// [`Error::Input`] names it.
    pub fn check(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut kernels = 0;
        for part in ["", "shared", "probes"] {
            let path = folder.join(part);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(_) if !part.is_empty() => continue,
                Err(error) => {
                    let what = format!("{FOLDER}: cannot read {}: {error}", path.display());
                    return Err(Error::Input(what));
                }
            };
            for entry in entries.filter_map(std::result::Result::ok) {
                let file = entry.file_name().to_string_lossy().into_owned();
                let Some(stem) = file.strip_suffix(".wgsl") else { continue };
                let name = Path::new(part).join(stem);
                if !all().any(|(known, _)| Path::new(known) == name) {
                    let path = entry.path();
                    let what = format!(
                        "{FOLDER}: {} is not the name of a kernel; rename it or take it out",
                        path.display()
                    );
                    return Err(Error::Input(what));
                }
                kernels += 1;
            }
        }
        if kernels == 0 {
            let what = format!("{FOLDER}: {} holds no kernel (*.wgsl)", folder.display());
            return Err(Error::Input(what));
        }
        Ok(())
    }

    /// The kernel `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] when a file of the folder cannot be read.
    pub fn kernel(&self, name: &str) -> Result<Option<File>> {
        self.find(KERNELS, name)
    }

    /// The snippet `name` that kernels include; `None` where there is none.
    ///
    /// # Errors
    /// As [`Files::kernel`].
    pub fn snippet(&self, name: &str) -> Result<Option<File>> {
        self.find(SHARED, name)
    }

    fn find(&self, files: &[(&str, &'static str)], name: &str) -> Result<Option<File>> {
        let Some((name, text)) = files.iter().find(|(known, _)| *known == name) else {
            return Ok(None);
        };
        if let Some(folder) = &self.folder {
            let path = folder.join(format!("{name}.wgsl"));
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let (place, text) = (path.display().to_string(), Cow::Owned(text));
                    return Ok(Some(File { place, text }));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Io { action: "read", path, source }),
            }
        }
        let (place, text) = (format!("kernels/{name}.wgsl"), Cow::Borrowed(*text));
        Ok(Some(File { place, text }))
    }
}

fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    KERNELS.iter().chain(SHARED)
}

/// The names of all kernels.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
impl Files {
    /// Those of `folder`.
    pub fn of(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()) }
    }
}
