//! Runs the tests of the Python package with the extension module of this build, where there is a
//! Python with numpy and pytest: that of the environment variable PENTIMENTO_PYTHON, or python3.

use std::path::Path;
use std::process::Command;

#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use skipped::skip;

#[test]
fn the_python_package_passes_its_tests() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var("PENTIMENTO_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let needed = "import sys, numpy, pytest; assert sys.version_info >= (3, 9)";
    let there = Command::new(&python).args(["-c", needed]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        skip(format_args!("{python} is missing, or has no numpy or pytest"));
        return;
    }
    if !cfg!(target_os = "linux") {
        skip("the test knows the extension module's name for Linux only");
        return;
    }
    // The package as a wheel would install it.
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("pentimento");
    for part in ["", "ray"] {
        std::fs::create_dir(package.join(part)).expect("an empty folder");
        for entry in std::fs::read_dir(here.join("pentimento").join(part)).expect("the package") {
            let path = entry.expect("readable").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                std::fs::copy(&path, package.join(part).join(name)).expect("copied");
            }
        }
    }
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.parent().expect("the folder deps");
    std::fs::copy(built.join("libpentimento_python.so"), package.join("_native.abi3.so"))
        .expect("the extension module was built");
    let program = built.with_file_name("pentimento");
    let mut command = Command::new(&python);
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs"]);
    command.arg(here.join("tests")).current_dir(folder.path());
    // Such as "-k faults", for some of them.
    command.args(std::env::var("PENTIMENTO_PYTEST").unwrap_or_default().split_whitespace());
    command.env("PYTHONPATH", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env_remove("PENTIMENTO_PROGRAM");
    if program.is_file() {
        command.env("PENTIMENTO_PROGRAM", program);
    }
    let output = command.output().expect("Python runs");
    let [out, err] =
        [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    eprintln!("{out}{err}");
    assert!(output.status.success(), "{out}{err}");
    out.lines().filter_map(|line| line.strip_prefix("SKIPPED ")).for_each(skip);
}
