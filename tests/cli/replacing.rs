//! Files of the user are never replaced, unless they are given up.

use std::fs;

use super::support::Workspace;

const NO_FACE: &str = "--model face.safetensors --faces none.json";

/// A workspace in which no picture has a face.
fn without_faces() -> Workspace {
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), "{\"faces\": []}").unwrap();
    workspace
}

#[test]
fn results_do_not_replace_pictures_of_the_same_name() {
    let workspace = Workspace::new();
    for name in ["2019/a.png", "2019/b.png", "2020/a.png"] {
        workspace.picture(name, 12, 9);
    }
    let own = fs::read(workspace.path("2020/a.png")).unwrap();
    let restore = "restore 2019 -o 2020 --model x2.safetensors";
    for _ in 0..2 {
        let run = workspace.run(restore);
        assert_eq!(run.code, 1);
        assert!(run.err.contains("2020/a.png: there is a file of this name"), "{}", run.err);
        assert!(run.err.contains("--force"), "{}", run.err);
        assert_eq!(fs::read(workspace.path("2020/a.png")).unwrap(), own);
        assert!(workspace.path("2020/b.png").exists(), "the other picture is done");
    }
    let forced = workspace.run(&format!("{restore} --force"));
    assert!(forced.succeeds().err.contains("replaced a file"), "{}", forced.err);
    assert_ne!(fs::read(workspace.path("2020/a.png")).unwrap(), own);
    // Now it is a result, and replaced by another without a question.
    let again = workspace.run(&format!("{restore} --memory 1GB"));
    assert!(again.succeeds().out.contains("2 restored"), "{}", again.out);
}

#[test]
fn a_result_that_was_edited_is_the_users() {
    let workspace = Workspace::new();
    workspace.picture("in/a.png", 12, 9);
    let restore = "restore in -o out --model x2.safetensors";
    workspace.run(restore).succeeds();
    let mut edited = fs::read(workspace.path("out/a.png")).unwrap();
    *edited.last_mut().unwrap() ^= 1;
    fs::write(workspace.path("out/a.png"), &edited).unwrap();
    let run = workspace.run(&format!("{restore} --precision f32"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("out/a.png: there is a file"), "{}", run.err);
    assert_eq!(fs::read(workspace.path("out/a.png")).unwrap(), edited);
}

#[test]
fn one_file_is_not_replaced_either() {
    let workspace = without_faces();
    workspace.picture("a.png", 12, 9);
    workspace.picture("b.png", 7, 7);
    let restore = format!("restore a.png -o b.png {NO_FACE}");
    workspace.run(&restore).fails_with(&["b.png", "--force"]);
    assert_eq!(image::image_dimensions(workspace.path("b.png")).unwrap(), (7, 7));
    let forced = workspace.run(&format!("{restore} --force"));
    assert!(forced.succeeds().err.contains("replaced a file"), "{}", forced.err);
    assert_eq!(image::image_dimensions(workspace.path("b.png")).unwrap(), (12, 9));
}

#[test]
#[cfg(unix)]
fn links_and_read_only_files_stay_what_they_are() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let workspace = without_faces();
    for name in ["a.png", "target.png", "shut.png"] {
        workspace.picture(name, 12, 9);
    }
    let shut = fs::Permissions::from_mode(0o444);
    fs::set_permissions(workspace.path("shut.png"), shut).unwrap();
    symlink("target.png", workspace.path("link.png")).unwrap();
    symlink("nowhere.png", workspace.path("dangling.png")).unwrap();
    for name in ["link.png", "dangling.png", "shut.png"] {
        let restore = format!("restore a.png -o {name} {NO_FACE}");
        workspace.run(&restore).fails_with(&[name, "--force"]);
    }
    assert!(workspace.path("link.png").is_symlink() && workspace.path("dangling.png").is_symlink());
    let target = fs::read(workspace.path("target.png")).unwrap();
    let forced = workspace.run(&format!("restore a.png -o link.png {NO_FACE} --force"));
    assert!(forced.succeeds().err.contains("replaced a symbolic link"), "{}", forced.err);
    assert_eq!(fs::read(workspace.path("target.png")).unwrap(), target);
}

#[test]
fn an_input_is_never_an_output() {
    let workspace = without_faces();
    workspace.picture("trip/a.png", 9, 9);
    workspace.picture("trip/day/a.png", 12, 9);
    let own = fs::read(workspace.path("trip/a.png")).unwrap();
    let restore = format!("restore trip/day trip/a.png -o trip --force {NO_FACE}");
    let run = workspace.run(&restore);
    assert_eq!(run.code, 1);
    assert_eq!(run.err.matches("would be overwritten").count(), 2, "{}", run.err);
    assert_eq!(fs::read(workspace.path("trip/a.png")).unwrap(), own);
}

#[test]
fn a_video_is_not_written_over_itself() {
    let workspace = without_faces();
    let mut video = b"YUV4MPEG2 W4 H4 F25:1 Ip A1:1 Cmono\nFRAME\n".to_vec();
    video.extend([100; 16]);
    fs::write(workspace.path("a.y4m"), &video).unwrap();
    fs::write(workspace.path("b.y4m"), b"mine").unwrap();
    let restore = |output: &str| format!("restore --y4m a.y4m -o {output} {NO_FACE}");
    workspace.run(&restore("a.y4m")).fails_with(&["a.y4m", "is the input itself"]);
    workspace.run(&restore("b.y4m")).fails_with(&["b.y4m", "--force"]);
    workspace.run(&restore("b.mp4")).fails_with(&["b.mp4", "y4m"]);
    assert_eq!(fs::read(workspace.path("a.y4m")).unwrap(), video);
    workspace.run(&format!("{} --force", restore("b.y4m"))).succeeds();
    assert!(fs::read(workspace.path("b.y4m")).unwrap().starts_with(b"YUV4MPEG2"));
}

#[test]
fn a_page_among_the_results_needs_no_folder_before() {
    let workspace = Workspace::new();
    workspace.picture("in/a.png", 12, 9);
    let run = workspace.run(
        "restore in/ -o out/ --model x2.safetensors --html out/index.html --report out/report.json",
    );
    run.succeeds();
    for name in ["out/a.png", "out/index.html", "out/report.json"] {
        assert!(workspace.path(name).exists(), "{name}");
    }
}

#[test]
fn reports_are_tried_before_the_work_and_replace_only_reports() {
    let workspace = Workspace::new();
    workspace.picture("in/a.png", 12, 9);
    fs::write(workspace.path("mine"), "a letter").unwrap();
    for option in ["--report", "--html"] {
        let restore = format!("restore in -o out --model x2.safetensors {option}");
        workspace.run(&format!("{restore} nowhere/file")).fails_with(&["no folder nowhere"]);
        workspace.run(&format!("{restore} mine")).fails_with(&["mine", "--force"]);
        workspace
            .run(&format!("{restore} in/a.png"))
            .fails_with(&["in/a.png", "an input of this run"]);
        assert!(!workspace.path("out").exists(), "nothing was done yet");
        for _ in 0..2 {
            workspace.run(&format!("{restore} new{option}")).succeeds();
        }
        fs::remove_dir_all(workspace.path("out")).unwrap();
    }
    assert_eq!(fs::read(workspace.path("mine")).unwrap(), b"a letter");
}

#[test]
fn pictures_do_not_go_through_pipes() {
    let workspace = without_faces();
    workspace.picture("a.png", 12, 9);
    for arguments in ["- -o out.png", "a.png -o -"] {
        workspace.run(&format!("restore {arguments} {NO_FACE}")).fails_with(&["--y4m"]);
    }
}

#[test]
#[cfg(unix)]
fn files_get_the_permissions_of_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let workspace = Workspace::new();
    workspace.picture("in/a.png", 12, 9);
    let program = assert_cmd::cargo::cargo_bin!("pentimento");
    for (mask, mode) in [("022", 0o644), ("007", 0o660)] {
        let arguments = format!(
            "restore in -o out{mask} --model x2.safetensors --device cpu -q --report r{mask} --html \
             h{mask} && '{0}' convert x2.safetensors -o c{mask}.safetensors --quiet",
            program.display()
        );
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("umask {mask}; '{}' {arguments}", program.display()))
            .current_dir(workspace.path("."))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for name in ["out#/a.png", "out#/.pentimento.jsonl", "r#", "h#", "c#.safetensors"] {
            let name = name.replace('#', mask);
            let found = fs::metadata(workspace.path(&name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}: {found:o}");
        }
    }
}

#[test]
fn journals_know_pictures_however_their_path_is_spelt() {
    let workspace = Workspace::new();
    for name in ["in/1.png", "in/2.png", "in/3.png"] {
        workspace.picture(name, 12, 9);
    }
    let restore = |input: &str, output: &str| {
        workspace.run(&format!("restore {input} -o {output} --model x2.safetensors --json")).json()
    };
    assert_eq!(restore("in", "out")["restored"], 3);
    let whole = |name: &str| workspace.path(name).display().to_string();
    for (input, output) in
        [("./in", "out/"), (&*whole("in"), &*whole("out")), ("out/../in", "in/../out")]
    {
        let report = restore(input, output);
        assert_eq!((&report["restored"], &report["kept"]), (&0.into(), &3.into()), "{input}");
    }
}

#[test]
fn results_inside_an_album_are_no_input() {
    let workspace = Workspace::new();
    workspace.picture("in/a.png", 12, 9);
    let restore =
        |output: &str| workspace.run(&format!("restore in -o {output} --model x2.safetensors"));
    restore("in/restored").succeeds();
    let run = restore("in/again");
    assert!(run.succeeds().err.contains("result of an earlier run"), "{}", run.err);
    assert_eq!(workspace.files("in/again"), ["a.png"]);
    // A picture that somebody puts there is one.
    workspace.picture("in/restored/own.png", 12, 9);
    restore("third").succeeds();
    assert_eq!(workspace.files("third"), ["a.png", "restored/own.png"]);
}
