//! Of how many crates the C library is made; what it weighs is in docs/size.md.

use std::collections::BTreeSet;
use std::process::Command;

/// The budget, the two crates of the engine included, for the system that the test runs on.
const CRATES: usize = 136;

#[test]
fn the_library_is_made_of_few_crates() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--package", "pentimento", "--no-default-features", "--features", "capi"]);
    tree.args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe", "--locked"]);
    tree.arg("--offline").current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tree.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout);
    // `name v1.2.3`, and more in parentheses.
    let crates: BTreeSet<String> = (printed.lines())
        .filter(|line| line.contains(" v"))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    eprintln!("{} crates", crates.len());
    assert!(crates.iter().any(|name| name.starts_with("wgpu ")), "{printed}");
    assert!(crates.len() <= CRATES, "{} crates: {crates:?}", crates.len());
    for own in ["clap ", "ureq ", "indicatif ", "ctrlc ", "sha2 "] {
        assert!(!crates.iter().any(|name| name.starts_with(own)), "{own}is the command line's");
    }
}
