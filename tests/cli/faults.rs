//! Every system call of a run fails once, and a run dies at every one that changes a file.
//!
//! `tools/faults/faults.c` stands between the program and its C library. It fails the n-th place of
//! a kind, for n = 1, 2, 3 and so on until a run meets none. After each run nothing is half written,
//! no original is changed, and a run without faults makes the same files as if nothing had been.
//!
//! The tests take some places of each sweep; `tools/faults/run` sets `PENTIMENTO_FAULTS=all` and takes all.
//! `PENTIMENTO_FAULTS_TABLE` names a file that gets a line for each sweep.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::support::faults::{self, Outcome, library};
use super::support::{Workspace, upscaler};

/// No run of these takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Places of a sweep that are taken where not all are asked for, about twice as many.
const SOME: usize = 8;
/// Calls fail, once each. With "+" all from there on, as on a full disk.
const FAILING: [&str; 9] =
    ["enospc", "enospc+", "eio", "eio+", "eintr", "emfile", "emfile+", "eacces", "short"];
/// The program ends at a call; in the second case everything that was not synced is gone.
const DEADLY: [&str; 2] = ["kill", "power"];
const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// Something that the program does to files.
struct Workload {
    name: &'static str,
    /// Makes the inputs in an empty workspace.
    prepare: fn(&Workspace),
    /// With "{server}" for an address from which the tiny model comes.
    arguments: &'static str,
    /// The exit code of a run without faults.
    code: i32,
    /// Files that a run writes anew each time, with times in them.
    unlike: &'static [&'static str],
}

const ONE: Workload = Workload {
    name: "one photo",
    prepare: |workspace| workspace.picture("a.png", 150, 150),
    arguments: "restore a.png -o b.png --force --model x2.safetensors --device cpu",
    code: 0,
    unlike: &[],
};
const REPLACED: Workload = Workload {
    name: "a photo in another's place",
    prepare: |workspace| {
        workspace.picture("a.png", 12, 9);
        workspace.picture("b.png", 9, 12);
    },
    arguments: "restore a.png -o b.png --force --model x2.safetensors --device cpu",
    code: 0,
    unlike: &[],
};
const ALBUM: Workload = Workload {
    name: "an album of 12 with a bad one",
    prepare: |workspace| {
        for i in 0..11 {
            workspace.picture(&format!("album/{i:02}.png"), 12 + i, 9);
        }
        fs::write(workspace.path("album/bad.png"), "not a picture").unwrap();
    },
    arguments: "restore album -o out --model x2.safetensors --device cpu --report report.json",
    code: 1,
    unlike: &["out/.pentimento.jsonl", "report.json"],
};
const CONVERT: Workload = Workload {
    name: "a conversion",
    prepare: |_| (),
    arguments: "convert x2.safetensors -o converted.safetensors --force",
    code: 0,
    unlike: &[],
};
const PULL: Workload = Workload {
    name: "a model from a server",
    prepare: |_| (),
    arguments: "models pull restoreformer++ -q --mirror {server}",
    code: 0,
    unlike: &[],
};
const FILM: Workload = Workload {
    name: "a YUV4MPEG2 film",
    prepare: |workspace| {
        let frame = [&b"FRAME\n"[..], &[90; 16 * 16 * 3 / 2]].concat();
        let film = [&b"YUV4MPEG2 W16 H16 F25:1 C420jpeg\n"[..], &frame.repeat(3)].concat();
        fs::write(workspace.path("film.y4m"), film).unwrap();
    },
    arguments: "restore --y4m film.y4m -o out.y4m --force --model x2.safetensors --device cpu",
    code: 0,
    unlike: &[],
};

/// Serves the tiny model, to whoever asks for anything, until the test ends.
fn server() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let model = upscaler(&[8, 8]);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // Programs that are killed take no answer.
                let _ = stream.read(&mut [0; 2048]);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", model.len());
                let _ = stream.write_all(&[head.as_bytes(), &model].concat());
            }
        });
        address
    })
}

/// How a run of the program ended.
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    err: String,
    /// The call that failed, where one did.
    met: Option<String>,
}

fn run(workspace: &Workspace, arguments: &str, faults: Option<(&Path, &str)>) -> Ended {
    let log = workspace.path("").with_extension("met");
    let own: String;
    let arguments = match arguments.contains("{server}") {
        true => {
            own = arguments.replace("{server}", server());
            &own
        }
        false => arguments,
    };
    let _ = fs::remove_file(&log);
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pentimento"));
    command
        .args(arguments.split_whitespace())
        .current_dir(workspace.path(""))
        .env_remove("PENTIMENTO_MODEL")
        .env("PENTIMENTO_CACHE", workspace.path("cache"))
        .env("NODEVICE_SELECT", "1")
        .env("RUST_BACKTRACE", "0")
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some((library, faults)) = faults {
        command
            .env("LD_PRELOAD", library)
            .env("FAULTS", faults)
            .env("FAULTS_UNDER", workspace.path(""))
            .env("FAULTS_LOG", &log);
    }
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{arguments}: {faults:?} never ended");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let met = fs::read_to_string(&log).ok();
    let _ = fs::remove_file(&log);
    Ended {
        code: output.status.code(),
        signal: output.status.signal(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        met,
    }
}

/// All files of a workspace with their bytes, but those of `unlike`.
fn files(workspace: &Workspace, unlike: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![workspace.path("")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(workspace.path("")).unwrap().to_str().unwrap().to_owned();
            if !unlike.contains(&name.as_str()) {
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

fn is_temporary(name: &str) -> bool {
    Path::new(name).file_name().unwrap().to_str().unwrap().starts_with(".pentimento-")
}

/// Fails the places of `kind` in `work`, one a run: all, or [`SOME`] spread over the sweep.
fn sweep(work: &Workload, kind: &str) {
    let Some(library) = library("faults") else { return };
    let prepared = || {
        let workspace = Workspace::new();
        (work.prepare)(&workspace);
        workspace
    };
    let workspace = prepared();
    let before = files(&workspace, work.unlike);
    let expected = run(&workspace, work.arguments, None);
    assert_eq!(expected.code, Some(work.code), "{}: {}", work.name, expected.err);
    let good = files(&workspace, work.unlike);
    assert!(good != before, "{} does nothing", work.name);

    let outcomes = faults::sweep(kind, SOME, |fault| {
        let workspace = prepared();
        let ended = run(&workspace, work.arguments, Some((&library, fault)));
        let met = ended.met.as_ref()?;
        let what = format!("{}, {fault} ({}): {}", work.name, met.trim_end(), ended.err);
        let outcome = judge(&ended, work, kind, &what);

        let after = files(&workspace, work.unlike);
        for (name, bytes) in &before {
            let now = after.get(name).unwrap_or_else(|| panic!("{name} is gone: {what}"));
            assert!(now == bytes || Some(now) == good.get(name), "{name} was damaged: {what}");
        }
        for (name, bytes) in &after {
            let has_come = name.ends_with(".ckpt") && before.values().any(|model| model == bytes);
            if work.name == PULL.name && (name.ends_with(".part") || has_come) {
                // Of a model what has come so far is kept, and all of it until it is converted.
                continue;
            }
            if is_temporary(name) {
                // Nobody removes it when the program dies, or where nothing can be removed. An album
                // that loses its journal ends while others write: its next run removes their files.
                let stays = ended.signal.is_some()
                    || kind == "eio+"
                    || met.starts_with("unlink")
                    || ended.err.contains(".pentimento.jsonl");
                assert!(stays, "{name} was left: {what}");
            } else {
                let whole = good.get(name) == Some(bytes) || before.get(name) == Some(bytes);
                assert!(whole, "{name} is partial: {what}");
            }
        }
        // As if nothing had been.
        let again = run(&workspace, work.arguments, None);
        assert_eq!(again.code, Some(work.code), "the next run: {}; {what}", again.err);
        let mut finally = files(&workspace, work.unlike);
        // An album's run removes what others have left in its folder. A single run removes nothing
        // that it does not know.
        finally.retain(|name, _| {
            !is_temporary(name) || (work.name == ALBUM.name && name.starts_with("out/"))
        });
        assert!(finally == good, "the next run makes other files: {what}");
        Some((outcome, met.clone()))
    });
    assert!(outcomes.places > 0 || kind == "memory", "{} met no {kind}", work.name);
    outcomes.note(work.name, kind);
}

/// What a run came to, which ended as it must.
fn judge(ended: &Ended, work: &Workload, kind: &str, what: &str) -> Outcome {
    assert!(!ended.err.contains("panicked"), "a panic: {what}");
    match (ended.code, ended.signal) {
        (Some(code), _) if code == work.code && (code == 0 || is_usual(&ended.err)) => {
            Outcome::Unharmed
        }
        (Some(1), _) => {
            let errors: Vec<&str> =
                ended.err.lines().filter(|line| line.starts_with("error: ")).collect();
            let told = errors.iter().any(|error| !is_usual(error));
            assert!(told && errors.len() == ended.err.trim_end().lines().count(), "{what}");
            assert!(!ended.err.contains("please report"), "not a fault of the program: {what}");
            for unknown in ["uncategorized", "os error 0"] {
                assert!(!ended.err.contains(unknown), "no cause: {what}");
            }
            Outcome::Said
        }
        (None, Some(SIGKILL)) if DEADLY.contains(&kind) => Outcome::Ended,
        // Rust ends a program whose small needs are not met; what it had written is whole.
        (None, Some(SIGABRT)) if kind == "memory" => Outcome::Ended,
        _ => panic!("it ended with {:?}, {:?}: {what}", ended.code, ended.signal),
    }
}

/// Only the picture that is bad anyway failed.
fn is_usual(errors: &str) -> bool {
    errors.trim_end().lines().count() == 1 && errors.contains("album/bad.png: not a picture")
}

#[test]
fn one_photo() {
    FAILING.iter().chain(&DEADLY).chain(&["memory", "thread"]).for_each(|kind| sweep(&ONE, kind));
}

#[test]
fn a_photo_in_the_place_of_another() {
    FAILING.iter().chain(&DEADLY).for_each(|kind| sweep(&REPLACED, kind));
}

#[test]
fn an_album() {
    FAILING.iter().chain(&["thread"]).for_each(|kind| sweep(&ALBUM, kind));
}

#[test]
fn an_album_that_dies() {
    DEADLY.iter().for_each(|kind| sweep(&ALBUM, kind));
}

#[test]
fn a_conversion() {
    FAILING.iter().chain(&DEADLY).chain(&["memory"]).for_each(|kind| sweep(&CONVERT, kind));
}

#[test]
fn a_pull() {
    FAILING.iter().chain(&DEADLY).chain(&["thread"]).for_each(|kind| sweep(&PULL, kind));
}

#[test]
fn a_film() {
    FAILING.iter().chain(&["thread"]).for_each(|kind| sweep(&FILM, kind));
}
