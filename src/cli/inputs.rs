//! Which pictures a command reads and where the results go.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pentimento::photo::Format;
use pentimento::{Error, Result};

use super::below::Below;
use super::case;

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
    case::set_apart(&mut jobs, || case::is_ignored(output));
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

/// [`writable`] for a file among others, whose name may be taken by a picture beside it: `.png` is
/// put behind its own extension.
fn writable_beside(name: PathBuf) -> PathBuf {
    if Format::of(&name).is_ok() { name } else { name.with_added_extension("png") }
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

/// Whether both lead to one file.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::below;
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
        assert_eq!((below::few(&jobs.passed_over).as_str(), jobs.results), ("b.dng, notes", 1));
        let named = pair(&[root.path().join("in/done")], &root.path().join("out")).unwrap();
        assert_eq!(named.jobs.len(), 2, "whoever names results means them");
    }
}
