//! The kernel files: built in, or read from the folder that `PENTIMENTO_KERNELS` names.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::{Error, Result, for_each_kernel};

/// Embeds `kernels/{name}.wgsl` under its name.
macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../kernels/", $name, ".wgsl")))),*]
    };
}

macro_rules! kernels {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident [$($chosen_wgsl:literal),*] $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident [$($gpu_wgsl:literal),*] $(scratch $gpu_scratch:ident)?,)* }
        cpu $cpu:tt
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident [$($only_wgsl:literal),*] $(scratch $only_scratch:ident)?,)* }
    ) => {
        /// Every file of the table of kernels.
        const KERNELS: &[(&str, &str)] =
            sources![$($($chosen_wgsl,)*)* $($($gpu_wgsl,)*)* $($($only_wgsl,)*)*];
    };
}

for_each_kernel!(kernels);

/// Kernels that no step runs: pictures', photos', and those that measure a device.
const OTHERS: &[(&str, &str)] = sources![
    "block_luminance",
    "grain_histogram",
    "image_to_tensor",
    "match_colours",
    "paste",
    "probes/cooperative",
    "probes/fma",
    "probes/launch",
    "probes/storage_bandwidth",
    "probes/workgroup_bandwidth",
    "tensor_to_image",
    "tone",
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
    "shared/epilogue_eights",
    "shared/epilogue_params",
    "shared/grid",
    "shared/linear",
    "shared/load",
    "shared/load_params",
    "shared/output",
    "shared/patch_read",
    "shared/patch_source",
    "shared/patch_stage",
    "shared/patch_weights",
    "shared/pixel_columns",
    "shared/product_params",
    "shared/product_pixels",
    "shared/read",
    "shared/reduce",
    "shared/soft_mask",
    "shared/tile",
    "shared/tile_accumulate",
    "shared/tile_declare",
    "shared/sums",
    "shared/winograd",
    "shared/winograd_resize",
    "shared/word",
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
    /// The file's text.
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
    #[cfg(not(target_arch = "wasm32"))]
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
        Ok(self.find(KERNELS, name)?.or(self.find(OTHERS, name)?))
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
    KERNELS.iter().chain(OTHERS).chain(SHARED)
}

/// The names of all kernels.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().chain(OTHERS).map(|(name, _)| *name)
}

#[cfg(test)]
impl Files {
    /// Those of `folder`.
    pub fn of(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()) }
    }
}
