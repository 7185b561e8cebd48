//! Which model a command uses when none is named.

use std::env;
use std::path::{Path, PathBuf};

use pentimento::models::published;
use pentimento::{Error, Result};

use super::cache;

const DEFAULT: &str = "weights/mmrbnet-256.safetensors";
const VARIABLE: &str = "PENTIMENTO_MODEL";

/// The model that was given, else that of `PENTIMENTO_MODEL`, else the default model in the folder
/// `weights` of the current folder, of one that contains the executable, or of the source tree.
///
/// # Errors
/// [`Error::Checkpoint`] says where it was searched, [`Error::Input`] that a published model was
/// not pulled yet.
pub fn path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return named(path);
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return named(Path::new(&path));
    }
    let folders = folders();
    if let Some(found) = folders.iter().map(|f| f.join(DEFAULT)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let searched: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    Err(Error::Checkpoint {
        path: DEFAULT.into(),
        what: format!(
            "the default model was found in none of these folders: {}; name a model with --model \
             FILE or the environment variable {VARIABLE}",
            searched.join(", ")
        ),
    })
}

/// A file, or a published model by its name.
fn named(given: &Path) -> Result<PathBuf> {
    let Some(published) = given.to_str().filter(|_| !given.exists()).and_then(published) else {
        return Ok(given.to_owned());
    };
    let path = cache::model(published)?;
    if path.is_file() {
        return Ok(path);
    }
    let name = published.name;
    Err(Error::Input(format!(
        "the model {name} is not on this machine; `pentimento models pull {name}` fetches it"
    )))
}

fn folders() -> Vec<PathBuf> {
    let current = env::current_dir().ok();
    let executable = env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in current.iter().map(PathBuf::as_path).chain(above).chain([sources]) {
        if !folders.iter().any(|f| f == folder) {
            folders.push(folder.to_owned());
        }
    }
    folders
}
