//! Names of results that differ only in case.

use std::collections::HashSet;
use std::path::Path;

use super::inputs::Job;

/// Gives outputs whose names differ only in case names of their own, "a (2).png", where the file
/// system would take them for one.
pub fn set_apart(jobs: &mut [Job], ignores_case: impl FnOnce() -> bool) {
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
pub fn is_ignored(folder: &Path) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let root = tempfile::tempdir().unwrap();
        assert!(!is_ignored(&root.path().join("new/folder")));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
