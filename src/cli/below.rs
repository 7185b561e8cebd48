//! The pictures below a folder.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pentimento::Error;
use pentimento::photo::Format;

use super::journal;

/// What is found below folders.
#[derive(Default)]
pub struct Below {
    /// Where the results go, whole: what is there is left out.
    pub output: Option<PathBuf>,
    /// Folders that cannot be read, links to nothing, and folders without any picture.
    pub failures: Vec<(PathBuf, Error)>,
    pub passed_over: Vec<PathBuf>,
    pub results: usize,
}

impl Below {
    /// Names, relative to `folder`, of all files below it with a picture's extension, in the order
    /// of [`natural`]. Linked folders are passed over. Hidden files and results of earlier runs are
    /// left out, but not the results in `folder` itself, which somebody has named.
    pub fn pictures(&mut self, folder: &Path) -> Vec<PathBuf> {
        let before = self.failures.len();
        let mut pictures = Vec::new();
        let mut results = HashSet::new();
        let mut open = vec![PathBuf::new()];
        while let Some(relative) = open.pop() {
            let path = folder.join(&relative);
            if !relative.as_os_str().is_empty() {
                if self.output.is_some() && path.canonicalize().ok() == self.output {
                    continue;
                }
                let known = journal::results_in(&path).into_iter();
                results.extend(known.map(|result| relative.join(result)));
            }
            let mut fail = |path: PathBuf, source| {
                self.failures.push((path.clone(), Error::Io { action: "read", path, source }));
            };
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) => {
                    fail(path, error);
                    continue;
                }
            };
            for entry in entries {
                let (name, kind) = match entry.and_then(|e| Ok((e.file_name(), e.file_type()?))) {
                    Ok(entry) => entry,
                    Err(error) => {
                        fail(path.clone(), error);
                        continue;
                    }
                };
                let hidden = name.to_string_lossy().starts_with('.');
                let name = relative.join(&name);
                if hidden {
                    continue;
                }
                if kind.is_dir() {
                    open.push(name);
                } else if !Format::is_named_so(&name) {
                    let path = folder.join(&name);
                    // A linked folder may lead back here.
                    if kind.is_file() || (kind.is_symlink() && path.is_dir()) {
                        self.passed_over.push(path);
                    }
                } else {
                    // Of a link, what it leads to counts.
                    match fs::metadata(folder.join(&name)) {
                        Ok(metadata) if metadata.is_file() => pictures.push(name),
                        Ok(metadata) if metadata.is_dir() => {
                            self.passed_over.push(folder.join(&name));
                        }
                        // A pipe, a socket, a device.
                        Ok(_) => {
                            let error = std::io::Error::other("it is not a file");
                            fail(folder.join(&name), error);
                        }
                        Err(error) => fail(folder.join(&name), error),
                    }
                }
            }
        }
        let all = pictures.len();
        pictures.retain(|name| !results.contains(name));
        self.results += all - pictures.len();
        self.passed_over.sort_by(|a, b| natural(a, b));
        if pictures.is_empty() && self.failures.len() == before {
            let what = format!("the folder holds no pictures ({})", Format::read_as());
            let error = Error::Image { path: folder.to_owned(), what };
            self.failures.push((folder.to_owned(), error));
        }
        pictures.sort_by(|a, b| natural(a, b));
        pictures
    }
}

/// The order in which people count: numbers by their value, so that frame 10 follows frame 9.
fn natural(a: &Path, b: &Path) -> Ordering {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (left, right) = (text(a), text(b));
    let (mut left, mut right) = (left.as_str(), right.as_str());
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (p, q) = (digits(left), digits(right));
            let (m, n) = (left[..p].trim_start_matches('0'), right[..q].trim_start_matches('0'));
            (left, right) = (&left[p..], &right[q..]);
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
            x.cmp(&y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    // Equal numbers may be written in two ways.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Some of the files that were passed over, for a sentence: their number, and the first names.
pub fn few(paths: &[PathBuf]) -> String {
    const NAMED: usize = 5;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = paths.iter().take(NAMED).map(name).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_their_values() {
        let order = |a: &str, b: &str| natural(Path::new(a), Path::new(b));
        assert_eq!(order("x/2/b", "x/10/a"), Ordering::Less);
        assert_eq!(order("a1", "a1"), Ordering::Equal);
        assert_eq!(order("a01", "a1"), order("a1", "a01").reverse());
        assert_eq!(order("é2", "é10"), Ordering::Less);
    }
}
