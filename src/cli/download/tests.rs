//! Against servers on this machine that behave well, and others.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// A server that answers one connection after the other with these functions, which get the
/// request's first line and its Range header; and the thread that ends with the last of them.
fn server(answers: Vec<fn(&mut TcpStream, &str, Option<u64>)>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/model.pth", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            let mut range = None;
            for line in lines {
                let line = line.unwrap().to_ascii_lowercase();
                if let Some(start) = line.strip_prefix("range: bytes=") {
                    range = start.trim_end_matches('-').parse().ok();
                }
                if line.is_empty() {
                    break;
                }
            }
            answer(&mut stream, &first, range);
        }
    });
    (url, thread)
}

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect()
}

fn digest() -> String {
    Sha256::digest(content()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    // The client may have hung up, which is what some of these tests are about.
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// All of it, or the rest from where it was asked.
fn serve(stream: &mut TcpStream, _: &str, range: Option<u64>) {
    let content = content();
    match range {
        None => send(stream, &format!("200 OK\r\nContent-Length: {}", content.len()), &content),
        Some(start) => {
            let rest = &content[start as usize..];
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            let length = rest.len();
            let head = format!("206 Partial\r\nContent-Range: {range}\r\nContent-Length: {length}");
            send(stream, &head, rest);
        }
    }
}

/// Promises all of it and hangs up in the middle.
fn cut(stream: &mut TcpStream, _: &str, range: Option<u64>) {
    let content = content();
    let start = range.unwrap_or(0) as usize;
    let length = content.len() - start;
    let head = match range {
        None => format!("200 OK\r\nContent-Length: {length}"),
        Some(_) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            format!("206 Partial\r\nContent-Range: {range}\r\nContent-Length: {length}")
        }
    };
    send(stream, &head, &content[start..start + length / 2]);
}

fn refuse(stream: &mut TcpStream, _: &str, _: Option<u64>) {
    send(stream, "404 Not Found\r\nContent-Length: 0", &[]);
}

fn hang_up(_: &mut TcpStream, _: &str, _: Option<u64>) {}

struct Outcome {
    result: Result<()>,
    file: Option<Vec<u8>>,
    part: Option<u64>,
}

/// Fetches from a server with these answers; `before` is what an earlier attempt left.
fn fetch(
    answers: Vec<fn(&mut TcpStream, &str, Option<u64>)>,
    bytes: Option<u64>,
    sha256: Option<&str>,
    before: Option<&[u8]>,
) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    if let Some(before) = before {
        fs::write(part(&path), before).unwrap();
    }
    let (url, thread) = server(answers);
    let mut last = 0;
    let result = Download { url: &url, bytes, sha256 }.fetch(&path, |have, _| last = have);
    thread.join().unwrap();
    if result.is_ok() {
        assert_eq!(last, content().len() as u64, "the last progress");
    }
    let part = fs::metadata(part(&path)).ok().map(|part| part.len());
    Outcome { result, file: fs::read(&path).ok(), part }
}

#[track_caller]
fn succeeds(outcome: &Outcome) {
    outcome.result.as_ref().unwrap();
    assert!(outcome.file.as_ref() == Some(&content()), "the file differs");
    assert_eq!(outcome.part, None);
}

#[track_caller]
fn fails(outcome: &Outcome, message: &str) {
    let error = outcome.result.as_ref().unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert_eq!(outcome.file, None, "nothing half-written");
}

#[test]
fn a_file_comes_whole() {
    let length = content().len() as u64;
    succeeds(&fetch(vec![serve], Some(length), Some(&digest()), None));
    succeeds(&fetch(vec![serve], None, None, None));
}

#[test]
fn a_cut_connection_goes_on_where_it_stopped() {
    let length = content().len() as u64;
    succeeds(&fetch(vec![cut, cut, serve], Some(length), Some(&digest()), None));
}

#[test]
fn an_earlier_attempt_is_continued() {
    let (length, half) = (content().len() as u64, &content()[..100_000]);
    fn rest_only(stream: &mut TcpStream, first: &str, range: Option<u64>) {
        assert_eq!(range, Some(100_000));
        serve(stream, first, range);
    }
    succeeds(&fetch(vec![rest_only], Some(length), Some(&digest()), Some(half)));
    // All of it is there already: the server is not asked.
    succeeds_without_progress(length);
}

#[track_caller]
fn succeeds_without_progress(length: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    fs::write(part(&path), content()).unwrap();
    let digest = digest();
    let nowhere = "http://127.0.0.1:9/model.pth";
    let download = Download { url: nowhere, bytes: Some(length), sha256: Some(&digest) };
    download.fetch(&path, |_, _| panic!("nothing is fetched")).unwrap();
    assert!(fs::read(&path).unwrap() == content());
}

#[test]
fn a_server_without_ranges_starts_again() {
    fn whole(stream: &mut TcpStream, first: &str, range: Option<u64>) {
        assert_eq!(range, Some(5));
        serve(stream, first, None);
    }
    let length = content().len() as u64;
    succeeds(&fetch(vec![whole], Some(length), Some(&digest()), Some(b"stale")));
}

#[test]
fn a_server_that_gives_another_part_is_asked_again() {
    fn other(stream: &mut TcpStream, first: &str, _: Option<u64>) {
        serve(stream, first, Some(1));
    }
    let length = content().len() as u64;
    succeeds(&fetch(vec![other, serve], Some(length), Some(&digest()), Some(b"stale")));
}

#[test]
fn redirects_are_followed() {
    fn redirect(stream: &mut TcpStream, first: &str, _: Option<u64>) {
        assert!(first.contains("/model.pth"), "{first}");
        // To the same server's second connection.
        let host = stream.local_addr().unwrap();
        let head = format!("302 Found\r\nLocation: http://{host}/elsewhere\r\nContent-Length: 0");
        send(stream, &head, &[]);
    }
    fn elsewhere(stream: &mut TcpStream, first: &str, range: Option<u64>) {
        assert!(first.contains("/elsewhere"), "{first}");
        serve(stream, first, range);
    }
    let length = content().len() as u64;
    succeeds(&fetch(vec![redirect, elsewhere], Some(length), Some(&digest()), None));
}

#[test]
fn another_file_is_refused_and_not_kept() {
    let length = content().len() as u64;
    let outcome = fetch(vec![serve], Some(length), Some(&"0".repeat(64)), None);
    fails(&outcome, "it was changed on the way");
    assert_eq!(outcome.part, None);
}

#[test]
fn another_length_is_refused_and_not_kept() {
    fn unannounced(stream: &mut TcpStream, _: &str, _: Option<u64>) {
        send(stream, "200 OK", &content());
    }
    let length = content().len() as u64;
    for other in [length - 1, length + 1] {
        let outcome = fetch(vec![serve], Some(other), None, None);
        fails(&outcome, "has 200000 bytes, the published file has");
    }
    let outcome = fetch(vec![unannounced], Some(length - 1), None, None);
    fails(&outcome, "is longer than the 199999 bytes");
    assert_eq!(outcome.part, None);
}

#[test]
fn what_the_server_refuses_is_said_at_once() {
    fails(&fetch(vec![refuse], None, None, None), "the server answered 404 Not Found");
}

#[test]
fn a_dead_server_is_left_with_what_came() {
    let length = content().len() as u64;
    let outcome = fetch(vec![cut, hang_up, hang_up, hang_up], Some(length), None, None);
    fails(&outcome, "100000 bytes are here, run the command again to go on");
    assert_eq!(outcome.part, Some(100_000));
}

/// `/dev/full` takes every write with "No space left on device".
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    std::os::unix::fs::symlink("/dev/full", part(&path)).unwrap();
    let (url, thread) = server(vec![serve]);
    let error = Download { url: &url, bytes: None, sha256: None }.fetch(&path, |_, _| {});
    thread.join().unwrap();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("No space left"), "{error}");
    assert!(!path.exists());
}
