//! C and C++ programs: the examples, bad use, and the same under valgrind.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::faults::{self, GPU as NAME};
use support::{Library, command_line, compile, has, model, ppm, root, skip, succeeds, text};

#[test]
fn the_c_example_equals_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("ppm");
    let source = root().join("examples/c/ppm.c");
    let (Some(()), Some(pentimento)) =
        (compile(&source, &program, Library::Shared), command_line())
    else {
        return;
    };
    let at = |name: &str| folder.path().join(name);
    let restored = |arguments: &[&Path], own: &[&str]| {
        let output = at("line.ppm");
        succeeds(
            Command::new(&pentimento)
                .args(["restore", "--device", "cpu", "--quiet", "--force", "--output"])
                .arg(&output)
                .args(own)
                .args(arguments),
        );
        std::fs::read(output).expect("a picture")
    };
    for (width, height) in [(32, 32), (45, 40)] {
        let (input, output) = (at("in.ppm"), at("out.ppm"));
        ppm(&input, width, height);
        succeeds(Command::new(&program).args([&model(), &input, &output]).arg("cpu"));
        let own = std::fs::read(output).expect("a picture");
        let model = model();
        let line = restored(&[&input, Path::new("--model"), &model], &["--aligned"]);
        assert!(own == line, "{width}×{height} differs");
    }

    // A whole photo, with a detector and the default model.
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from) else {
        skip("PENTIMENTO_SHARED does not name the folder with detectors and photos");
        return;
    };
    let detector = shared.join("models/yunet_n.pth");
    let weights = root().join("weights/mmrbnet-256.safetensors");
    let mut photos: Vec<PathBuf> = std::fs::read_dir(shared.join("data/photos"))
        .expect("photos")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jpg" || e == "png"))
        .collect();
    photos.sort();
    let photo = photos.first().expect("a photo");
    // The command line reads what it wrote, so that both see the same bytes.
    let (input, output) = (at("photo.ppm"), at("photo-out.ppm"));
    let still = ["--strength", "0"];
    std::fs::write(&input, restored(&[photo, Path::new("--detector"), &detector], &still))
        .expect("written");
    succeeds(Command::new(&program).args([&weights, &input, &output]).arg("cpu").arg(&detector));
    let own = std::fs::read(output).expect("a picture");
    let line = restored(
        &[&input, Path::new("--detector"), &detector],
        &["--model", weights.to_str().expect("UTF-8")],
    );
    assert!(own == line, "the photo differs");
    assert!(own != std::fs::read(&input).expect("the photo"), "no face was restored");
}

#[test]
fn the_c_example_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("ppm");
    if compile(&root().join("examples/c/ppm.c"), &program, Library::Shared).is_none() {
        return;
    }
    let output = Command::new(&program)
        .args(["missing.pth", "in.ppm", "out.ppm", "cpu"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    assert!(text(&output).contains("error: cannot read missing.pth"), "{}", text(&output));
}

#[test]
fn the_cpp_example_runs_with_the_static_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("progress");
    let source = root().join("examples/c/progress.cpp");
    if compile(&source, &program, Library::Static).is_none() {
        return;
    }
    let printed = succeeds(Command::new(&program).arg(model()).arg("cpu"));
    assert!(printed.contains("  0 %") && printed.contains("100 %"), "{printed}");
    assert!(printed.contains("32 x 32, pentimento "), "{printed}");
}

#[test]
fn the_measured_program_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("start");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/start.cpp");
    if compile(&source, &program, Library::Shared).is_none() {
        return;
    }
    let printed = succeeds(Command::new(&program).arg(model()).arg("cpu"));
    assert!(printed.contains("the second") && printed.contains("CPU"), "{printed}");
}

/// Bad use must give errors and no crash; what the programs leave behind must be nothing.
#[test]
fn bad_use_is_an_error_and_nothing_leaks() {
    let folder = tempfile::tempdir().expect("a folder");
    let [input, output] = ["in.ppm", "out.ppm"].map(|name| folder.path().join(name));
    ppm(&input, 32, 32);
    let (model, cpu) = (model(), PathBuf::from("cpu"));
    let no_model = root().join("tests/goldens/mmrbnet/default_32/input.npy");
    for (source, arguments, expected) in [
        ("bindings/c/tests/bad_use.c", vec![&model, &no_model], "all as expected"),
        ("bindings/c/tests/throwing.cpp", vec![&model], "all as expected"),
        ("examples/c/ppm.c", vec![&model, &input, &output, &cpu], ""),
        ("examples/c/progress.cpp", vec![&model, &cpu], "100 %"),
    ] {
        let source = root().join(source);
        let program = folder.path().join(source.file_stem().expect("a name"));
        if compile(&source, &program, Library::Shared).is_none() {
            return;
        }
        let printed = succeeds(Command::new(&program).args(&arguments));
        assert!(printed.contains(expected), "{printed}");
        if !has("valgrind") {
            continue;
        }
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
        valgrind.args(["--errors-for-leak-kinds=definite,indirect", "--num-callers=30"]);
        // What is not ours.
        let loader = root().join("bindings/c/tests/loader.supp");
        valgrind.arg(format!("--suppressions={}", loader.display()));
        valgrind.arg(&program).args(&arguments);
        // One thread: valgrind runs one at a time anyway.
        let printed = succeeds(valgrind.env("RAYON_NUM_THREADS", "1"));
        assert!(printed.contains(expected), "{printed}");
    }
}

/// Where nobody named a device the call succeeds on the CPU, and the log says so. Otherwise it is an
/// error. Other sessions and new ones work in both cases.
#[test]
fn a_lost_gpu_costs_no_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("lost");
    let source = root().join("bindings/c/tests/lost.c");
    if compile(&source, &program, Library::Shared).is_none()
        || faults::layer(folder.path()).is_none()
    {
        return;
    }
    let log = folder.path().join("met");
    let run = |fault: &str, device: &[&str]| {
        let _ = std::fs::remove_file(&log);
        succeeds(Command::new(&program).arg(model()).args(device).envs(faults::variables(
            folder.path(),
            fault,
            &log,
        )))
    };
    if !run("lost:0", &[]).contains(NAME) {
        skip("there is no Vulkan driver that runs on the CPU");
        return;
    }
    for kind in ["device", "buffer", "pipeline", "lost", "lost-while-waiting"] {
        for place in [1, 2, 5, 9] {
            let fault = format!("{kind}:{place}");
            let printed = run(&fault, &[]);
            // The fault was not met, or only by the session that is opened afterwards.
            if !log.exists() || !printed.contains(&format!("then {NAME}")) {
                break;
            }
            assert!(printed.contains("status 0: "), "{fault}: {printed}");
            let lines = printed.matches("the CPU").count();
            let is_said = lines == 1 && printed.contains("CPU (");
            assert!(is_said || lines == 0 && printed.starts_with(NAME), "{fault}: {printed}");
            let printed = run(&fault, &["vulkan"]);
            assert!(!printed.contains("the CPU"), "{fault}: {printed}");
            assert!(printed.contains(&format!("then {NAME}")), "{fault}: {printed}");
            if kind == "lost" {
                assert!(printed.contains("status 6: "), "{fault}: {printed}");
            }
        }
    }
}
