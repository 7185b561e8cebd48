//! Which pictures a command reads and where the results go.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use pentimento::photo::Format;
use pentimento::{Error, Result};

use super::journal;

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
    /// Files of the folders that are taken for no pictures.
    pub passed_over: Vec<PathBuf>,
    /// How many files of the folders are results of earlier runs, which are not restored again.
    pub results: usize,
}

/// Pairs every picture of `inputs` (files, and folders with all that is below them) with an output.
///
/// One file goes to `output`, unless that is a folder or ends with a slash. Otherwise `output` is a
/// folder; there every picture has the name that it has in its input folder, with `.png` in place
/// of (behind, below a folder) an extension that is none that is written.
///
/// A picture that is named twice is done once. Of two pictures for one name the first gets it, the
/// other is among the failures, as are pictures whose result would replace an input, folders without
/// pictures, and those that cannot be read.
///
/// # Errors
/// When no output can be right: several inputs for one file, inputs that would all be overwritten,
/// an extension that says no format, a file where a folder must be.
pub fn pair(inputs: &[PathBuf], output: &Path) -> Result<Jobs> {
    let to_file = match inputs {
        [input] => !input.is_dir() && !output.is_dir() && !ends_with_separator(output),
        _ => false,
    };
    let mut jobs = Vec::new();
    let mut below = Below { output: output.canonicalize().ok(), ..Below::default() };
    for input in inputs {
        if !input.is_dir() {
            let name = input.file_name().map_or_else(|| input.clone(), PathBuf::from);
            let target = if to_file { output.to_owned() } else { output.join(writable(name)) };
            jobs.push(Job { input: input.clone(), output: target });
            continue;
        }
        jobs.extend(below.pictures(input).into_iter().map(|name| Job {
            input: input.join(&name),
            output: output.join(writable_beside(name)),
        }));
    }
    let Below { mut failures, passed_over, results, .. } = below;
    if to_file {
        Format::of(output)?;
        check_parent(output)?;
    } else {
        check_folder(output)?;
    }
    spare_inputs(&mut jobs, &mut failures)?;
    keep_apart(&mut jobs, &mut failures);
    set_apart(&mut jobs, || ignores_case(output));
    let folder = (!to_file).then(|| output.to_owned());
    Ok(Jobs { jobs, failures, folder, passed_over, results })
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
const OTHERS: [&str; 9] = ["pgm", "pbm", "pam", "heic", "heif", "hif", "jxl", "jp2", "gif"];

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

/// Of pictures for one name keeps the first. The same picture once more is no failure.
fn keep_apart(jobs: &mut Vec<Job>, failures: &mut Vec<(PathBuf, Error)>) {
    let mut taken: HashMap<PathBuf, PathBuf> = HashMap::new();
    jobs.retain(|Job { input, output }| {
        let Some(first) = taken.get(output) else {
            taken.insert(output.clone(), input.clone());
            return true;
        };
        if first != input && !same_file(first, input) {
            let what = format!(
                "both {} and this would be written to {}; restore it in another run, to another \
                 folder",
                first.display(),
                output.display()
            );
            failures.push((input.clone(), Error::Image { path: input.clone(), what }));
        }
        false
    });
}

/// Takes out what would be written over an input.
///
/// # Errors
/// When all would be written over themselves.
fn spare_inputs(jobs: &mut Vec<Job>, failures: &mut Vec<(PathBuf, Error)>) -> Result<()> {
    let inputs: HashMap<PathBuf, PathBuf> = jobs
        .iter()
        .filter_map(|job| Some((job.input.canonicalize().ok()?, job.input.clone())))
        .collect();
    let (mut spared, mut others) = (Vec::new(), 0);
    jobs.retain(|Job { input, output }| {
        let Some(other) = output.canonicalize().ok().and_then(|output| inputs.get(&output)) else {
            return true;
        };
        let own = other == input || same_file(other, input);
        others += usize::from(!own);
        let whose = if own { "is the input itself" } else { "is an input, too," };
        let what = format!("{whose} and would be overwritten; choose another output");
        spared.push((input.clone(), Error::Image { path: output.clone(), what }));
        false
    });
    if jobs.is_empty() && others == 0 && !spared.is_empty() {
        return Err(spared.swap_remove(0).1);
    }
    failures.append(&mut spared);
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

/// Whether both lead to one file.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// What is found below folders.
#[derive(Default)]
struct Below {
    /// Where the results go, whole: what is there is left out.
    output: Option<PathBuf>,
    /// Folders that cannot be read, links to nothing, and folders without any picture.
    failures: Vec<(PathBuf, Error)>,
    passed_over: Vec<PathBuf>,
    results: usize,
}

impl Below {
    /// Names, relative to `folder`, of all files below it with a picture's extension, in the order
    /// of [`natural`]. Hidden files, linked folders and results of earlier runs are left out; but
    /// not the results in `folder` itself, which somebody has named.
    fn pictures(&mut self, folder: &Path) -> Vec<PathBuf> {
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
                } else if !is_picture(&name) {
                    if kind.is_file() {
                        self.passed_over.push(folder.join(&name));
                    }
                } else {
                    // Of a link, what it leads to counts.
                    match fs::metadata(folder.join(&name)) {
                        Ok(metadata) if metadata.is_file() => pictures.push(name),
                        Ok(_) => {}
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
            let what =
                "the folder holds no pictures (.png, .jpg, .webp, .tif, .bmp or .ppm)".to_owned();
            let error = Error::Image { path: folder.to_owned(), what };
            self.failures.push((folder.to_owned(), error));
        }
        pictures.sort_by(|a, b| natural(a, b));
        pictures
    }
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

    #[test]
    fn two_pictures_for_one_name_and_one_picture_named_twice() {
        let root = folder(&["x/a.jpg", "y/a.jpg", "y/b.jpg"]);
        let inputs = ["x", "y", "y/b.jpg"].map(|name| root.path().join(name));
        let jobs = pair(&inputs, &root.path().join("out")).unwrap();
        let names: Vec<_> = jobs.jobs.iter().map(|job| &job.input).collect();
        assert_eq!(names, [&root.path().join("x/a.jpg"), &root.path().join("y/b.jpg")]);
        let [(input, error)] = &jobs.failures[..] else { panic!("{:?}", jobs.failures) };
        assert_eq!(input, &root.path().join("y/a.jpg"));
        assert!(error.to_string().contains("both"), "{error}");
    }

    #[test]
    fn an_input_is_never_written_over() {
        let root = folder(&["trip/a.jpg", "trip/day/a.jpg", "trip/day/b.jpg"]);
        let inputs = ["trip/day", "trip/a.jpg"].map(|name| root.path().join(name));
        let jobs = pair(&inputs, &root.path().join("trip")).unwrap();
        let names: Vec<_> = jobs.jobs.iter().map(|job| &job.input).collect();
        assert_eq!(names, [&root.path().join("trip/day/b.jpg")]);
        assert_eq!(jobs.failures.len(), 2, "{:?}", jobs.failures);
    }

    #[test]
    fn results_of_earlier_runs_and_other_files_are_left_out_and_counted() {
        let names = ["in/a.jpg", "in/b.dng", "in/notes", "in/done/a.jpg", "in/done/own.jpg"];
        let root = folder(&names);
        let journal = root.path().join("in/done/.pentimento.jsonl");
        fs::write(journal, "{\"output\": \"a.jpg\"}\n{\"torn").unwrap();
        let jobs = pair(&[root.path().join("in")], &root.path().join("out")).unwrap();
        let inputs: Vec<_> = jobs.jobs.iter().map(|job| job.input.clone()).collect();
        assert_eq!(inputs, ["in/a.jpg", "in/done/own.jpg"].map(|name| root.path().join(name)));
        assert_eq!((few(&jobs.passed_over).as_str(), jobs.results), ("b.dng, notes", 1));
        let named = pair(&[root.path().join("in/done")], &root.path().join("out")).unwrap();
        assert_eq!(named.jobs.len(), 2, "whoever names results means them");
    }
}
