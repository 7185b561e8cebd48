//! The files that are used when none is named: where they are, and how they come to this machine.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use pentimento::photo::write_whole;
use pentimento::{Error, Result};

use super::cache;
use super::download::{Download, digest};
use super::inputs::create_folder;
use super::output::print_note;

pub const MODEL: &str = "mmrbnet-256.safetensors";
pub const DETECTOR: &str = "face-detector.safetensors";
/// What both are called on the command line.
pub const NAME: &str = "default";
/// The folder that holds them, in a source tree and in a release's archive.
const FOLDER: &str = "weights";
/// Digests of the files that this version was built with, as `sha256sum` writes them.
const SUMS: &str = include_str!("../../weights/SHA256SUMS");
/// Names an address that has the files, instead of that of the release.
const MIRROR: &str = "PENTIMENTO_MIRROR";

/// Forbids it too, with any value but none and 0.
const VARIABLE: &str = "PENTIMENTO_OFFLINE";

/// Whether `--offline` was given.
static OFFLINE: AtomicBool = AtomicBool::new(false);

/// Forbids this process to fetch anything on its own.
pub fn stay_offline() {
    OFFLINE.store(true, Ordering::Relaxed);
}

/// The default file of that name, if it is on this machine and is the one of this version: in the
/// folder `weights` of the current folder, of one that contains the executable, or of the source
/// tree, or in the cache.
///
/// # Errors
/// [`Error::Checkpoint`] when the first such file is another one.
pub fn find(file: &str) -> Result<Option<PathBuf>> {
    let mut places = folders().into_iter().map(|folder| folder.join(file));
    places.find(|path| path.is_file()).map(own).transpose()
}

/// As [`find`]; a file that is not on this machine is fetched after a note that says so.
///
/// # Errors
/// As [`find`]; [`Error::Checkpoint`] when it is nowhere and may not or cannot be fetched, with
/// `instead`, which is what else the user can name; those of [`Download::fetch`].
pub fn find_or_fetch(file: &str, instead: &str) -> Result<PathBuf> {
    match find(file)? {
        Some(path) => Ok(path),
        None if can_fetch() => fetch(file, None, false),
        None => Err(missing(file, instead)),
    }
}

/// Whether a missing file would be fetched.
pub fn can_fetch() -> bool {
    !is_offline() && address(None).is_some()
}

/// Whether `--offline` or the environment forbids to fetch anything.
pub fn is_offline() -> bool {
    let variable = env::var_os(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
    variable || OFFLINE.load(Ordering::Relaxed)
}

/// That no folder has the file.
pub fn missing(file: &str, instead: &str) -> Error {
    let searched: Vec<String> = folders().iter().map(|f| f.display().to_string()).collect();
    let why = match is_offline() {
        true => "--offline or PENTIMENTO_OFFLINE forbids to fetch it",
        false => "this build knows no address to fetch it from",
    };
    Error::Checkpoint {
        path: file.into(),
        what: format!(
            "this default was found in none of these folders: {}; {why}; bring it here with \
             `pentimento models pull {NAME} --from FOLDER`, or name another with {instead}",
            searched.join(", ")
        ),
    }
}

/// Brings every default file into the cache: from the folder or file `from`, else from `mirror`,
/// else from the release. Gives their paths. Offline they are those that are on this machine.
///
/// # Errors
/// [`Error::Input`] when no address is known; [`Error::Checkpoint`] when a file is not the one of
/// this version, or is missing offline; [`Error::Io`].
pub fn pull(from: Option<&Path>, mirror: Option<&str>, quiet: bool) -> Result<Vec<PathBuf>> {
    let files = sums().map(|(_, file)| file);
    match from {
        Some(from) => files.map(|file| copy(from, file)).collect(),
        None if is_offline() => {
            let here = |file| find(file)?.ok_or_else(|| missing(file, "--model or --detector"));
            files.map(here).collect()
        }
        None => files.map(|file| fetch(file, mirror, quiet)).collect(),
    }
}

/// Copies one of the files from a folder, or from beside another of them.
fn copy(from: &Path, file: &str) -> Result<PathBuf> {
    let folder = match from.is_dir() {
        true => from,
        false => from.parent().unwrap_or(Path::new("")),
    };
    let source = folder.join(file);
    known(file, "").check(&source)?;
    let bytes = fs::read(&source).map_err(|error| {
        let path = source.clone();
        Error::Io { action: "read", path, source: error }
    })?;
    let target = place(file)?;
    write_whole(&bytes, &target)?;
    Ok(target)
}

fn fetch(file: &str, mirror: Option<&str>, quiet: bool) -> Result<PathBuf> {
    let address = address(mirror).ok_or_else(|| {
        Error::Input(format!(
            "this build knows no address of its release; run `pentimento models pull {NAME} --from \
             FOLDER` with the folder {FOLDER} of a source tree or an archive, or name an address \
             with --mirror URL"
        ))
    })?;
    let url = format!("{}/{file}", address.trim_end_matches('/'));
    let target = place(file)?;
    if !quiet {
        print_note(&format!("{file} is not on this machine; fetching {url}"));
    }
    known(file, &url).fetch_shown(&target, file, quiet)?;
    Ok(target)
}

/// The address of the folder with the files: `mirror`, that of the environment, or the release's.
fn address(mirror: Option<&str>) -> Option<String> {
    let given = mirror.map(str::to_owned).or_else(|| env::var(MIRROR).ok());
    if let Some(given) = given.filter(|address| !address.is_empty()) {
        return Some(given);
    }
    let repository = env!("CARGO_PKG_REPOSITORY");
    let release = concat!("releases/download/v", env!("CARGO_PKG_VERSION"));
    (!repository.is_empty()).then(|| format!("{repository}/{release}"))
}

fn known<'a>(file: &str, url: &'a str) -> Download<'a> {
    Download { url, bytes: None, sha256: sum(file) }
}

/// Every file's digest and name.
fn sums() -> impl Iterator<Item = (&'static str, &'static str)> {
    SUMS.lines().filter_map(|line| line.split_once("  "))
}

/// The digest of one of the files.
fn sum(file: &str) -> Option<&'static str> {
    sums().find(|(_, name)| *name == file).map(|(sum, _)| sum)
}

/// Where a fetched file lies; its folder exists then.
fn place(file: &str) -> Result<PathBuf> {
    let folder = cache::models()?;
    create_folder(&folder)?;
    Ok(folder.join(file))
}

/// The file, if it has the digest that [`SUMS`] has for its name.
fn own(path: PathBuf) -> Result<PathBuf> {
    let read = |source| Error::Io { action: "read", path: path.clone(), source };
    let found = digest(&mut File::open(&path).map_err(read)?).map_err(read)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match sum(name) {
        Some(expected) if expected != found => Err(Error::Checkpoint {
            what: format!(
                "has the SHA-256 {found}, this version's default is {expected}; fetch the file \
                 again, or name it with --model FILE or --detector FILE to use it as it is"
            ),
            path,
        }),
        _ => Ok(path),
    }
}

/// Where the files are searched.
fn folders() -> Vec<PathBuf> {
    let current = env::current_dir().ok();
    // A system without /proc knows the program only by what it was called.
    let called = || env::args_os().next().map(PathBuf::from);
    let executable = env::current_exe().ok().or_else(called);
    let executable = executable.and_then(|path| path.canonicalize().ok());
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    // Not on another machine than that of the build.
    let sources = Some(Path::new(env!("CARGO_MANIFEST_DIR"))).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = Vec::new();
    let roots = current.iter().map(PathBuf::as_path).chain(above).chain(sources);
    for folder in roots.map(|root| root.join(FOLDER)).chain(cache::models().ok()) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_weights_has_its_digest() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
        let mut files = 0;
        for entry in folder.read_dir().expect("weights") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
                assert!(sum(name).is_some(), "{name}");
                own(path).expect("the file that SHA256SUMS names");
                files += 1;
            }
        }
        assert_eq!(files, SUMS.lines().count());
    }
}
