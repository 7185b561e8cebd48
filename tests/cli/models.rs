//! `pentimento models`: the table, and models that are pulled.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::support::Workspace;

#[test]
fn the_table_names_licences_and_what_is_here() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let table = workspace.run_with("models", &cache);
    for part in ["gfpgan-1.4", "GFPGANv1Clean", "348.6 MB", "no          S-Lab License 1.0"] {
        assert!(table.succeeds().out.contains(part), "{part}: {}", table.out);
    }
    let rows = table.out.split("\n\n").next().unwrap_or_default();
    assert!(rows.lines().all(|line| line.len() <= 120), "{rows}");
    assert!(!table.out.contains(" *  "), "nothing is here: {}", table.out);
    let report = workspace.run_with("models --json", &cache).succeeds().json();
    let digest = &report.as_array().unwrap()[3]["sha256"];
    assert_eq!(digest.as_str().unwrap().len(), 64);
}

/// The file of a model of which neither length nor digest is known.
const NAME: &str = "restoreformer++";

#[test]
fn a_file_at_hand_is_converted_into_the_cache_and_used_by_name() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    workspace.picture("a.png", 10, 10);
    let run = workspace.run_with(&format!("restore a.png -o b.png --model {NAME}"), &cache);
    run.fails_with(&["is not on this machine", "pentimento models pull restoreformer++"]);
    let run = workspace.run_with(&format!("models pull {NAME} --from x2.safetensors"), &cache);
    assert!(run.succeeds().out.contains("restoreformer++ -> "), "{}", run.out);
    assert!(
        run.err.contains("Apache-2.0") && run.err.contains("no digest is known"),
        "{}",
        run.err
    );
    assert_eq!(workspace.files("cache"), ["models/restoreformer++.safetensors"]);
    let device = "--device cpu";
    let run = workspace.run_with(&format!("restore a.png -o b.png -m {NAME} {device}"), &cache);
    assert!(run.succeeds().out.contains("20x20"), "{}", run.out);
    assert!(workspace.run_with("models", &cache).out.contains("restoreformer++ *"));
}

#[test]
fn another_file_than_the_published_is_refused() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let pull = "models pull gfpgan-1.4 -q --from x2.safetensors";
    let run = workspace.run_with(pull, &cache);
    run.fails_with(&["x2.safetensors", "the published file has 348632874"]);
    let run = workspace.run_with("models pull gpen-512 -q", &cache);
    assert_eq!(run.code, 1);
    let lines: Vec<&str> = run.err.lines().collect();
    assert!(lines[0].contains("forbids commercial use"), "{}", run.err);
    assert!(lines[1].contains("--from GPEN-BFR-512.pth"), "{}", run.err);
    workspace.run_with("models pull gfpgan", &cache).fails_with(&["there are gfpgan-1.0,"]);
    workspace.run_with("models pull nothing", &cache).fails_with(&["pentimento models"]);
    assert_eq!(workspace.files("cache"), Vec::<String>::new());
}

#[test]
fn a_mirror_serves_the_file_and_what_is_no_checkpoint_is_not_kept() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let model = fs::read(workspace.path("x2.safetensors")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for body in [b"<html>not found</html>".to_vec(), model] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 2048];
            let n = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..n]);
            assert!(request.starts_with("GET /weights/RestoreFormer++.ckpt "), "{request}");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    let pull = format!("models pull {NAME} -q --mirror http://{address}/weights/");
    workspace.run_with(&pull, &cache).fails_with(&["RestoreFormer++.ckpt"]);
    assert!(workspace.files("cache").iter().all(|name| !name.ends_with(".safetensors")));
    workspace.run_with(&pull, &cache).succeeds();
    server.join().unwrap();
    assert_eq!(workspace.files("cache"), ["models/restoreformer++.safetensors"]);
}

/// The default files of the source tree.
const DEFAULTS: [&str; 2] = ["face-detector.safetensors", "mmrbnet-256.safetensors"];

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("weights")
}

#[test]
fn the_default_files_come_from_a_folder_and_must_be_those_of_this_version() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let folder = weights();
    let pull = format!("models pull default --from {}", folder.display());
    let run = workspace.run_with(&pull, &cache);
    assert_eq!(run.succeeds().out.lines().count(), 2, "{}", run.out);
    let pulled = DEFAULTS.map(|name| format!("models/{name}"));
    assert_eq!(workspace.files("cache"), pulled);

    let other = workspace.path("other");
    fs::create_dir(&other).unwrap();
    for name in DEFAULTS {
        fs::write(other.join(name), "another file").unwrap();
    }
    let run = workspace.run_with("models pull default --from other", &cache);
    run.fails_with(&["other", "has the SHA-256"]);
    assert_eq!(workspace.files("cache"), pulled, "what was there is kept");
}

#[test]
fn the_default_files_come_from_a_mirror_unless_one_was_changed() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut bodies = DEFAULTS.map(|name| fs::read(weights().join(name)).unwrap()).to_vec();
    bodies.insert(0, b"another file".to_vec());
    let server = std::thread::spawn(move || {
        for body in bodies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    let pull = format!("models pull default -q --mirror http://{address}");
    workspace.run_with(&pull, &cache).fails_with(&["changed on the way"]);
    assert_eq!(workspace.files("cache"), Vec::<String>::new());
    workspace.run_with(&pull, &cache).succeeds();
    server.join().unwrap();
    assert_eq!(workspace.files("cache"), DEFAULTS.map(|name| format!("models/{name}")));
}

#[test]
fn nothing_is_fetched_offline() {
    let workspace = Workspace::new();
    let cache = workspace.path("cache");
    let cache = [("PENTIMENTO_CACHE", cache.to_str().unwrap())];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mirror = format!("--offline --mirror http://{}", listener.local_addr().unwrap());
    let run = workspace.run_with(&format!("models pull {NAME} -q {mirror}"), &cache);
    run.fails_with(&["--offline", NAME, "--from"]);
    // These are in the source tree.
    let run = workspace.run_with(&format!("models pull default {mirror}"), &cache);
    assert!(DEFAULTS.iter().all(|name| run.succeeds().out.contains(name)), "{}", run.out);
    assert!(listener.accept().is_err(), "somebody asked for a file");
}
