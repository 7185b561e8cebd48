//! `pentimento models`: the table, and models that are pulled.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

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
