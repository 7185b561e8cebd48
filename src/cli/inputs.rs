//! Which pictures a command reads and where the results go.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use pentimento::photo::Format;
use pentimento::{Error, Result};

/// One picture to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    pub input: PathBuf,
    pub output: PathBuf,
}

/// What can be done, and which arguments cannot.
#[derive(Debug)]
pub struct Jobs {
    pub jobs: Vec<Job>,
    pub failures: Vec<(PathBuf, Error)>,
    /// The folder that the results go to, where they do not go to one file.
    pub folder: Option<PathBuf>,
}

/// Pairs every picture of `inputs` (files, and folders with all that is below them) with an output.
///
/// One file goes to `output`, unless that is a folder or ends with a slash. Otherwise `output` is a
/// folder; there every picture has the name that it has in its input folder, with `.png` in place
/// of (behind, below a folder) an extension that is none that is written.
///
/// # Errors
/// When no output can be right: several inputs for one file, two inputs for one name, an input that
/// would be overwritten, an extension that says no format, a file where a folder must be. Folders
/// without pictures, or that cannot be read, are among the failures.
pub fn pair(inputs: &[PathBuf], output: &Path) -> Result<Jobs> {
    let to_file = match inputs {
        [input] => !input.is_dir() && !output.is_dir() && !ends_with_separator(output),
        _ => false,
    };
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            let name = input.file_name().map_or_else(|| input.clone(), PathBuf::from);
            let target = if to_file { output.to_owned() } else { output.join(writable(name)) };
            found.push(Job { input: input.clone(), output: target });
            continue;
        }
        found.extend(pictures_below(input, output, &mut failures).into_iter().map(|name| Job {
            input: input.join(&name),
            output: output.join(writable_beside(name)),
        }));
    }
    if to_file {
        Format::of(output)?;
        check_parent(output)?;
    } else {
        check_folder(output)?;
    }
    check_distinct(&found)?;
    set_apart(&mut found, || ignores_case(output));
    for Job { input, output } in &found {
        if same_file(input, output) {
            let what = "is the input itself and would be overwritten; choose another output".into();
            return Err(Error::Image { path: output.clone(), what });
        }
    }
    let folder = (!to_file).then(|| output.to_owned());
    Ok(Jobs { jobs: found, failures, folder })
}

/// Makes the folders that the results go to.
///
/// # Errors
/// [`Error::Io`] names the folder that could not be made.
pub fn create_folders(jobs: &[Job]) -> Result<()> {
    folders(jobs).iter().try_for_each(|folder| create_folder(folder))
}

/// The folders that the results go to.
pub fn folders(jobs: &[Job]) -> Vec<PathBuf> {
    // The parent of a plain file name is the empty path: the current folder.
    let parents = jobs.iter().filter_map(|job| job.output.parent());
    let mut folders: Vec<PathBuf> =
        parents.filter(|folder| !folder.as_os_str().is_empty()).map(PathBuf::from).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Io`] names it.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "create the folder",
        path: folder.to_owned(),
        source,
    })
}

/// A name with an extension that says in which format to write: its own, or `.png`.
fn writable(name: PathBuf) -> PathBuf {
    if Format::of(&name).is_ok() { name } else { name.with_extension("png") }
}

/// Extensions of pictures that are read but not written, and of pictures that phones and browsers
/// leave among photos: those are refused by their name, not passed over.
const OTHERS: [&str; 10] =
    ["pgm", "pbm", "pam", "heic", "heif", "hif", "avif", "jxl", "jp2", "gif"];

/// Whether a folder's file is taken for a picture.
fn is_picture(name: &Path) -> bool {
    let extension = name.extension().and_then(|e| e.to_str()).unwrap_or_default();
    Format::of(name).is_ok() || OTHERS.contains(&extension.to_ascii_lowercase().as_str())
}

/// [`writable`] for a file among others, whose name may be taken by a picture beside it: `.png` is
/// put behind its own extension.
fn writable_beside(name: PathBuf) -> PathBuf {
    if Format::of(&name).is_ok() { name } else { name.with_added_extension("png") }
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

/// Whether a path can only be that of a folder.
pub fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

fn check_folder(output: &Path) -> Result<()> {
    let is_file = output.exists() && !output.is_dir();
    let looks_like_one = !output.exists() && Format::of(output).is_ok();
    if is_file || (looks_like_one && !ends_with_separator(output)) {
        return Err(Error::Io {
            action: "write several pictures to",
            path: output.to_owned(),
            source: std::io::Error::other("it is a file; -o must name a folder here"),
        });
    }
    Ok(())
}

fn check_parent(output: &Path) -> Result<()> {
    let parent = output.parent().filter(|p| !p.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => Err(Error::Io {
            action: "write",
            path: output.to_owned(),
            source: std::io::Error::other(format!("there is no folder {}", parent.display())),
        }),
        _ => Ok(()),
    }
}

fn check_distinct(jobs: &[Job]) -> Result<()> {
    let mut taken: HashMap<PathBuf, &Path> = HashMap::new();
    for Job { input, output } in jobs {
        if let Some(other) = taken.insert(output.clone(), input) {
            return Err(Error::Image {
                path: output.clone(),
                what: format!(
                    "both {} and {} would be written there; restore them in two runs, to two \
                     folders",
                    other.display(),
                    input.display()
                ),
            });
        }
    }
    Ok(())
}

/// Gives outputs whose names differ only in case names of their own, "a (2).png", where the file
/// system would take them for one.
fn set_apart(jobs: &mut [Job], ignores_case: impl FnOnce() -> bool) {
    let folded = |path: &Path| path.to_string_lossy().to_lowercase();
    let mut taken: HashSet<String> = jobs.iter().map(|job| folded(&job.output)).collect();
    if taken.len() == jobs.len() || !ignores_case() {
        return;
    }
    let mut seen = HashSet::new();
    for job in jobs {
        if seen.insert(folded(&job.output)) {
            continue;
        }
        let stem = job.output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let extension = job.output.extension().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = |n: usize| job.output.with_file_name(format!("{stem} ({n}).{extension}"));
        let free = (2..).map(numbered).find(|path| taken.insert(folded(path)));
        job.output = free.unwrap_or_else(|| job.output.clone());
    }
}

/// Whether the file system of `folder`, or of the nearest one above it that exists, takes names
/// that differ only in case for the same.
fn ignores_case(folder: &Path) -> bool {
    let there = folder.ancestors().find(|path| path.is_dir());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = |file: &tempfile::NamedTempFile| {
        let name = file.path().file_name()?.to_str()?.to_lowercase();
        Some(there.join(name))
    };
    match tempfile::Builder::new().prefix(".pentimento-Case-").tempfile_in(there) {
        Ok(file) => name(&file).is_some_and(|lower| lower.exists()),
        // Where nothing can be written, it hardly matters.
        Err(_) => cfg!(any(windows, target_vendor = "apple")),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Names, relative to `folder`, of all files below it with a picture's extension, in the order of
/// [`natural`]. Hidden files, linked folders and what is in `output` are left out. Folders that
/// cannot be read, links to nothing, and a folder without any picture go to `failures`.
fn pictures_below(
    folder: &Path,
    output: &Path,
    failures: &mut Vec<(PathBuf, Error)>,
) -> Vec<PathBuf> {
    let before = failures.len();
    let output = output.canonicalize().ok();
    let mut pictures = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let path = folder.join(&relative);
        let is_output = output.is_some() && path.canonicalize().ok() == output;
        if is_output && !relative.as_os_str().is_empty() {
            continue;
        }
        let mut fail = |path: PathBuf, source| {
            failures.push((path.clone(), Error::Io { action: "read", path, source }));
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
            let (hidden, name) = (name.to_string_lossy().starts_with('.'), relative.join(&name));
            if hidden {
                continue;
            }
            if kind.is_dir() {
                open.push(name);
            } else if is_picture(&name) {
                // Of a link, what it leads to counts.
                match fs::metadata(folder.join(&name)) {
                    Ok(metadata) if metadata.is_file() => pictures.push(name),
                    Ok(_) => {}
                    Err(error) => fail(folder.join(&name), error),
                }
            }
        }
    }
    if pictures.is_empty() && failures.len() == before {
        let what = "the folder holds no pictures (.png, .jpg, .webp, .tif, .bmp or .ppm)".into();
        failures.push((folder.to_owned(), Error::Image { path: folder.to_owned(), what }));
    }
    pictures.sort_by(|a, b| natural(a, b));
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with empty files of these names.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn outputs(root: &Path, inputs: &[&str], output: &str) -> Result<Vec<String>> {
        let inputs: Vec<PathBuf> = inputs.iter().map(|i| root.join(i)).collect();
        let jobs = pair(&inputs, &root.join(output))?;
        assert!(jobs.failures.is_empty(), "{:?}", jobs.failures);
        let relative = |job: &Job| job.output.strip_prefix(root).unwrap().to_owned();
        Ok(jobs.jobs.iter().map(|job| relative(job).to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn one_file_to_a_file_or_into_a_folder() {
        let root = folder(&["a.jpg", "there/b.png", "photo.dat"]);
        let root = root.path();
        assert_eq!(outputs(root, &["a.jpg"], "b.png").unwrap(), ["b.png"]);
        assert_eq!(outputs(root, &["a.jpg"], "there").unwrap(), ["there/a.jpg"]);
        assert_eq!(outputs(root, &["a.jpg"], "new/").unwrap(), ["new/a.jpg"]);
        assert_eq!(outputs(root, &["photo.dat"], "new/").unwrap(), ["new/photo.png"]);
        assert!(outputs(root, &["a.jpg"], "b.xyz").is_err());
        assert!(outputs(root, &["a.jpg"], "missing/b.png").is_err());
    }

    #[test]
    fn folders_keep_their_structure() {
        let names = ["album/b.jpg", "album/a.PNG", "album/.c.jpg", "album/x/a.png", "album/n.txt"];
        let root = folder(&names);
        let expected = ["out/a.PNG", "out/b.jpg", "out/x/a.png"];
        assert_eq!(outputs(root.path(), &["album"], "out").unwrap(), expected);
    }

    #[test]
    fn frames_are_counted_and_other_formats_are_not_passed_over() {
        let names = ["f/a10.png", "f/a9.png", "f/a009.png", "f/a.heic", "f/a.png", "f/b.PGM"];
        let root = folder(&names);
        let expected = ["a.heic.png", "a.png", "a009.png", "a9.png", "a10.png", "b.PGM.png"];
        assert_eq!(
            outputs(root.path(), &["f"], "out").unwrap(),
            expected.map(|name| format!("out/{name}"))
        );
        let order = |a: &str, b: &str| natural(Path::new(a), Path::new(b));
        assert_eq!(order("x/2/b", "x/10/a"), Ordering::Less);
        assert_eq!(order("a1", "a1"), Ordering::Equal);
        assert_eq!(order("a01", "a1"), order("a1", "a01").reverse());
        assert_eq!(order("é2", "é10"), Ordering::Less);
    }

    #[test]
    fn names_that_differ_only_in_case_are_set_apart_where_they_must() {
        let jobs = || -> Vec<Job> {
            let names = ["x/A.png", "x/a.png", "x/a (2).png", "x/a.PNG", "x/b.png"];
            names.map(|n| Job { input: n.into(), output: Path::new("o").join(n) }).into()
        };
        let mut same = jobs();
        set_apart(&mut same, || false);
        assert_eq!(same, jobs());
        let mut apart = jobs();
        set_apart(&mut apart, || true);
        let names: Vec<_> = apart.iter().map(|job| job.output.to_str().unwrap()).collect();
        let expected =
            ["o/x/A.png", "o/x/a (3).png", "o/x/a (2).png", "o/x/a (4).PNG", "o/x/b.png"];
        assert_eq!(names, expected);
        set_apart(&mut [], || panic!("asked for nothing"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_file_system_knows_case_and_nothing_is_left_by_asking() {
        let root = folder(&["a.png"]);
        assert!(!ignores_case(&root.path().join("new/folder")));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_nothing_fails_alone() {
        use std::os::unix::fs::symlink;
        let root = folder(&["album/a.png"]);
        let album = root.path().join("album");
        symlink(album.join("missing.png"), album.join("b.png")).unwrap();
        symlink(album.join("c.png"), album.join("c.png")).unwrap();
        symlink(&album, album.join("loop")).unwrap();
        symlink(album.join("a.png"), album.join("d.png")).unwrap();
        let jobs = pair(&[album], &root.path().join("out")).unwrap();
        let names: Vec<_> = jobs.jobs.iter().map(|job| job.input.file_name().unwrap()).collect();
        assert_eq!(names, ["a.png", "d.png"]);
        assert_eq!(jobs.failures.len(), 2, "{:?}", jobs.failures);
    }

    #[test]
    fn an_output_folder_inside_the_input_is_not_an_input() {
        let root = folder(&["a.jpg", "restored/a.jpg"]);
        assert_eq!(outputs(root.path(), &[""], "restored").unwrap(), ["restored/a.jpg"]);
    }

    #[test]
    fn outputs_that_cannot_be_right() {
        let root = folder(&["x/a.jpg", "y/a.jpg", "file", "file.png"]);
        let message = |inputs: &[&str], output: &str| {
            outputs(root.path(), inputs, output).unwrap_err().to_string()
        };
        assert!(message(&["x/a.jpg", "y/a.jpg"], "out").contains("both"));
        assert!(message(&["x/a.jpg", "y"], "file").contains("folder"));
        assert!(message(&["x/a.jpg", "file.png"], "new.png").contains("folder"));
        assert!(message(&["x"], "file.png").contains("folder"));
        assert!(message(&["x/a.jpg"], "x/a.jpg").contains("overwritten"));
        assert!(message(&["x"], "x").contains("overwritten"));
    }

    #[test]
    fn folders_are_made_when_the_work_begins() {
        let root = folder(&["a.jpg", "file"]);
        let root = root.path();
        let jobs = pair(&[root.join("a.jpg")], &root.join("x/y/")).unwrap().jobs;
        assert!(!root.join("x").exists());
        create_folders(&jobs).unwrap();
        assert!(root.join("x/y").is_dir());
        let jobs = pair(&[root.join("a.jpg")], &root.join("file/y/")).unwrap().jobs;
        assert!(create_folders(&jobs).unwrap_err().to_string().contains("create the folder"));
    }

    #[test]
    fn inputs_without_pictures_are_failures_of_their_own() {
        let root = folder(&["a.jpg", "empty/n.txt"]);
        let inputs = [root.path().join("empty"), root.path().join("a.jpg")];
        let jobs = pair(&inputs, &root.path().join("out")).unwrap();
        assert_eq!((jobs.jobs.len(), jobs.failures.len()), (1, 1));
        assert!(jobs.failures[0].1.to_string().contains("no pictures"));
    }
}
