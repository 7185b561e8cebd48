//! Where fetched models and compiled kernels live.

use std::env;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use pentimento::models::Published;
use pentimento::{Error, Result};

const VARIABLE: &str = "PENTIMENTO_CACHE";

/// The folder of `PENTIMENTO_CACHE`, else `pentimento` in the user's cache folder.
///
/// # Errors
/// [`Error::Input`] when the user has no home.
fn folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Error::Input(format!("there is no home folder; set {VARIABLE} to a folder for models"))
    })?;
    Ok(strategy.cache_dir().join("pentimento"))
}

/// The folder of the models.
///
/// # Errors
/// As [`folder`].
pub fn models() -> Result<PathBuf> {
    Ok(folder()?.join("models"))
}

/// The folder of compiled kernels.
///
/// # Errors
/// As [`folder`].
pub fn kernels() -> Result<PathBuf> {
    Ok(folder()?.join("kernels"))
}

/// Where the converted file of this model is, once it was pulled.
///
/// # Errors
/// As [`folder`].
pub fn model(published: &Published) -> Result<PathBuf> {
    Ok(models()?.join(format!("{}.safetensors", published.name)))
}
