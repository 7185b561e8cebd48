//! How an operation is added, tried on a copy of the crate: one that is only named does not compile,
//! nor does one of which a part is forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An operation: its file, all parts there.
const SQUARE: &str = "
use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `x²`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Square;

impl Operation for Square {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0])
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
";

/// The CPU's version.
const TWIN: &str = "
use super::kernel::{Quality, Ready};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Square;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    step.op::<Square>()?;
    Ok(Ready::new(0, move |io| {
        let x = io.x();
        io.output.fill_planes(|n, c, plane| {
            plane.iter_mut().zip(x.plane(n, c)).for_each(|(y, v)| *y = v * v);
            io.epilogue.apply(n, c, 0, plane);
        });
    }))
}
";

/// The GPU's host side.
const HOST: &str = r#"
use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Square;
use crate::plan::{Plan, Step};

/// `y = x²`
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    step.op::<Square>()?;
    let mut launch = Builder::new(plan, "square");
    launch.view("X", step.x()?);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(64))])
}
"#;

/// What the crate needs to be checked.
const PARTS: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "benches",
    "bindings",
    "core",
    "examples",
    "include",
    "kernels",
    "src",
    "tools/convert",
    "weights",
];

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else if from.is_file() {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(from, to).expect("a copy");
    }
}

struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in PARTS {
            copy(&root.join(part), &folder.path().join(part));
        }
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("a file");
    }

    /// The one line that an addition puts before another into a list.
    fn insert(&self, file: &str, before: &str, line: &str) {
        let text = fs::read_to_string(self.path(file)).expect("a file");
        assert_eq!(text.matches(before).count(), 1, "{before} in {file}");
        self.write(file, &text.replace(before, &format!("{line}\n{before}")));
    }

    /// What the compiler says against it; `None` when it compiles.
    fn errors(&self) -> Option<String> {
        // Where the dependencies were checked for clippy. With the whole workspace and a benchmark
        // they have the same features, and need not be compiled again.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder");
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells this test of its package would make build scripts run again, and after
        // them everything.
        for (name, _) in std::env::vars_os() {
            let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
            if name.to_str().is_some_and(|name| told.iter().any(|start| name.starts_with(start))) {
                cargo.env_remove(name);
            }
        }
        let output = cargo
            .args(["check", "--offline", "--quiet", "--workspace", "--lib", "--bench", "kernels"])
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", target)
            .output()
            .expect("cargo");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(text)
    }

    fn fails_with(&self, expected: &[&str]) {
        let errors = self.errors().expect("it must not compile");
        for expected in expected {
            assert!(errors.contains(expected), "{expected} is not in:\n{errors}");
        }
    }
}

#[test]
fn an_operation_is_new_files_and_two_lines() {
    let copy = Copy::new();
    let op = "core/src/graph/ops/square.rs";

    // Only named.
    copy.insert(
        "core/src/graph/ops/mod.rs",
        "            upfirdn2d: Upfirdn2d,",
        "            square: Square,",
    );
    copy.fails_with(&["square"]);

    // Without one of its parts.
    let part = SQUARE.find("    fn multiply_adds").expect("a part");
    let end = SQUARE.find("    fn planning").expect("a part");
    copy.write(op, &format!("{}{}", &SQUARE[..part], &SQUARE[end..]));
    copy.fails_with(&["E0046", "multiply_adds"]);

    // Without a kernel.
    copy.write(op, SQUARE);
    copy.fails_with(&["E0004", "Op::Square"]);

    // With a row whose files are not there.
    copy.insert(
        "core/src/plan/kernels.rs",
        "                /// Filtered resampling.",
        "                /// Squares.\n                Square: square [\"square\"],",
    );
    copy.fails_with(&["core/src/cpu/square.rs"]);
    copy.write("core/src/cpu/square.rs", TWIN);
    copy.fails_with(&["src/gpu/ops/square.rs"]);

    // With all of them.
    copy.write("src/gpu/ops/square.rs", HOST);
    copy.fails_with(&["kernels/square.wgsl"]);
    copy.write("kernels/square.wgsl", "// y = x²\n");
    let errors = copy.errors();
    assert!(errors.is_none(), "{}", errors.unwrap_or_default());
}
