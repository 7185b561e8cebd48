//! System calls of a C program fail while two of its threads restore: the library says so, and the same
//! process does it all again.
//!
//! As in tests/cli/faults.rs, the test takes some places of each sweep, and all of them with
//! `PENTIMENTO_FAULTS=all`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[allow(dead_code)]
mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use support::faults::{self, Outcome};
use support::{Library, compile, model, root, succeeds, text};

/// Places of a sweep that are taken where not all are asked for, about twice as many.
const SOME: usize = 3;
const SIGABRT: i32 = 6;

fn last_line(printed: &str) -> &str {
    printed.lines().rfind(|line| !line.is_empty()).unwrap_or_default()
}

#[test]
fn two_threads_of_a_c_program_outlive_every_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (program, log) = (at("threads"), at("met"));
    let source = root().join("bindings/c/tests/threads.c");
    let (Some(()), Some(library)) =
        (compile(&source, &program, Library::Shared), faults::library("faults"))
    else {
        return;
    };
    let own = at("work");
    fs::create_dir(&own).expect("a folder");
    fs::copy(model(), own.join("model.safetensors")).expect("a model");
    let command = |attempts: &str| {
        let mut command = Command::new(&program);
        command.arg(own.join("model.safetensors")).arg(attempts);
        command.env("RAYON_NUM_THREADS", "2").env("RUST_BACKTRACE", "0");
        command
    };
    let expected = last_line(&succeeds(&mut command("1"))).to_owned();
    assert!(expected.starts_with("results "), "{expected}");
    // The model is mapped, so that no read can be short.
    for kind in ["eio", "eio+", "eintr", "emfile", "emfile+", "eacces", "memory", "thread"] {
        let outcomes = faults::sweep(kind, SOME, |fault| {
            let _ = fs::remove_file(&log);
            let mut run = command("2");
            run.env("LD_PRELOAD", &library).env("FAULTS", fault);
            let output = run.env("FAULTS_UNDER", &own).env("FAULTS_LOG", &log).output();
            let output = output.expect("it runs");
            let met = fs::read_to_string(&log).ok()?;
            let printed = text(&output);
            let what = format!("{fault} ({}): {printed}", met.trim_end());
            assert!(!printed.contains("panicked") && !printed.contains("report"), "{what}");
            let out = String::from_utf8_lossy(&output.stdout);
            let lines: Vec<&str> = out.lines().collect();
            let mut results = lines.iter().filter(|line| line.starts_with("results"));
            assert!(results.all(|line| *line == expected), "another result: {what}");
            let outcome = match (output.status.code(), output.status.signal()) {
                (Some(0), _) if lines == [expected.as_str()] => Outcome::Unharmed,
                // Said in the first attempt, and the second one succeeds.
                (Some(0), _) => {
                    let is_said = lines[0].starts_with("status ") && lines[0].len() > 20;
                    assert!(is_said && last_line(&out) == expected, "{what}");
                    Outcome::Said
                }
                (Some(1), _) if kind.ends_with('+') => Outcome::Said,
                (None, Some(SIGABRT)) if kind == "memory" => Outcome::Ended,
                _ => panic!("{what}"),
            };
            Some((outcome, met))
        });
        assert!(outcomes.places > 0, "no {kind} was met");
        outcomes.note("the C library in two threads", kind);
    }
}
