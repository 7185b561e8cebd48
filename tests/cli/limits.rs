//! Files of nearly 64 MB without real weights, through the whole program: each takes little memory,
//! which the system bounds, and little time, whatever comes of it.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::build::{self, Entry, Pickle, SIX, Tensor, six_floats};
use super::onnx;
use super::support::Workspace;

/// Bytes that the program may have of its own, besides the mapped file.
const MEMORY: usize = 256 << 20;
/// Two seconds of an optimised program on a quiet machine; tests are slower, and run beside others.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 2 });
/// No file is as large.
const LARGEST: usize = 64 << 20;

/// A file's name and its bytes.
type Hostile = (&'static str, fn() -> Vec<u8>);

const FILES: &[Hostile] = &[
    ("tensors.safetensors", || safetensors(700_000, 0)),
    ("long-names.safetensors", || safetensors(16_000, 900)),
    ("nested.safetensors", || {
        let header = format!("{{\"__metadata__\":{}", "[".repeat(15 << 20));
        build::safetensors(&header, &[])
    }),
    ("claims.safetensors", || {
        let big = u64::MAX / 8;
        let header = format!(
            "{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{big},8],\"data_offsets\":[0,{big}]}}}}"
        );
        build::safetensors(&header, &[0; 64])
    }),
    ("nested.pth", || build::archive(&Pickle::new().repeat(b"}X\x01\0\0\0a", 900_000).0, &[])),
    ("lists.pth", || build::archive(&Pickle::new().repeat(b"]", 1 << 20).0, &[])),
    ("bomb.pth", || {
        let pickle = Pickle::dict(&[("w", SIX)]);
        let bomb = Entry::deflated("a/data/0", &vec![0; 1 << 28]);
        build::zip(&[Entry::stored("a/data.pkl", &pickle), bomb])
    }),
    ("bomb-pickle.pth", || {
        let pickle = [b"\x80\x02", &b"N0".repeat(31 << 20)[..], b"}."].concat();
        build::zip(&[Entry::deflated("a/data.pkl", &pickle)])
    }),
    ("stride-0.pth", || {
        let wide = Tensor { shape: &[190_000_000], strides: &[0], ..SIX };
        build::archive(&Pickle::dict(&[("w", wide)]), &[("0", &six_floats())])
    }),
    ("stride-0-large.pth", || {
        // Eight megabytes that claim a hundred times as much.
        let wide = Tensor { numel: 2 << 20, shape: &[100, 2 << 20], strides: &[0, 1], ..SIX };
        let data = vec![0_u8; 8 << 20];
        build::archive(&Pickle::dict(&[("body.0.weight", wide)]), &[("0", &data)])
    }),
    ("layers.onnx", || nodes(1_500_000, 0)),
    ("long-names.onnx", || nodes(60_000, 900)),
    ("attributes.onnx", || {
        let mut node = Vec::new();
        onnx::bytes(&mut node, 4, b"Relu");
        let mut attribute = Vec::new();
        onnx::bytes(&mut attribute, 1, b"a");
        onnx::bytes(&mut attribute, 5, &onnx::tensor("", &[0], &[], onnx::Store::Raw));
        for _ in 0..1_500_000 {
            onnx::bytes(&mut node, 5, &attribute);
        }
        graph(1, &[node])
    }),
    ("constants.onnx", || {
        let empty = onnx::tensor("c", &[1, 0, 1, 1], &[], onnx::Store::Raw);
        graph(5, &vec![empty; 2_000_000])
    }),
    ("numbers.onnx", || {
        // A byte for each integer, of eight bytes.
        let mut tensor = Vec::new();
        onnx::int(&mut tensor, 1, 60_000_000);
        onnx::int(&mut tensor, 2, 7);
        onnx::bytes(&mut tensor, 7, &vec![1; 60_000_000]);
        graph(5, &[tensor])
    }),
    ("single-numbers.onnx", || {
        // Floating-point numbers, each a field of its own.
        let mut tensor = Vec::new();
        onnx::int(&mut tensor, 1, 12_000_000);
        onnx::int(&mut tensor, 2, 1);
        tensor.extend([4 << 3 | 5, 0, 0, 0, 0].repeat(12_000_000));
        graph(5, &[tensor])
    }),
    ("graphs.onnx", || {
        // A graph in an attribute of a layer of a graph, and so on.
        let mut inner = Vec::new();
        for _ in 0..5_000 {
            let (mut attribute, mut node, mut outer) = (Vec::new(), Vec::new(), Vec::new());
            onnx::bytes(&mut attribute, 6, &inner);
            onnx::bytes(&mut node, 5, &attribute);
            onnx::bytes(&mut outer, 1, &node);
            inner = outer;
        }
        onnx::model(&inner, 17)
    }),
    ("chain.onnx", || {
        let node = |i: usize| {
            let mut node = Vec::new();
            onnx::bytes(&mut node, 1, format!("r{i}").as_bytes());
            onnx::bytes(&mut node, 2, format!("r{}", i + 1).as_bytes());
            onnx::bytes(&mut node, 4, b"Relu");
            node
        };
        graph(1, &(0..65_000).map(node).collect::<Vec<_>>())
    }),
    ("layers.param", || {
        let lines = "ReLU a 1 1 b c\n".repeat(1_100_000);
        format!("7767517\n1100000 1100000\n{lines}").into_bytes()
    }),
    ("long-names.param", || {
        let lines = format!("ReLU {0} 1 1 {0} {0}\n", "x".repeat(80)).repeat(60_000);
        format!("7767517\n60000 60000\n{lines}").into_bytes()
    }),
    ("wide.param", || {
        let names = "x ".repeat(8_000_000);
        format!("7767517\n1 1\nSplit s 0 8000000 {names}\n").into_bytes()
    }),
    ("claims.param", || b"7767517\n1 1\nSplit s 18446744073709551615 1 x y\n".to_vec()),
];

/// A header with that many empty tensors, their names that much longer.
fn safetensors(tensors: usize, longer: usize) -> Vec<u8> {
    let name = "x".repeat(longer);
    let entries: Vec<String> = (0..tensors)
        .map(|i| {
            format!("\"{name}{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}")
        })
        .collect();
    build::safetensors(&format!("{{{}}}", entries.join(",")), &[])
}

/// A graph with these messages in one field.
fn graph(field: u64, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut graph = Vec::new();
    for message in messages {
        onnx::bytes(&mut graph, field, message);
    }
    onnx::model(&graph, 17)
}

/// Layers that take what nobody gives.
fn nodes(count: usize, longer: usize) -> Vec<u8> {
    let mut node = Vec::new();
    for field in [1, 2] {
        onnx::bytes(&mut node, field, "x".repeat(1 + longer / 2).as_bytes());
    }
    onnx::bytes(&mut node, 4, b"Relu");
    graph(1, &vec![node; count])
}

#[test]
fn no_file_without_weights_takes_long_or_much() {
    let workspace = Workspace::new();
    let mut slowest = Duration::ZERO;
    for (name, bytes) in FILES {
        let bytes = bytes();
        assert!(bytes.len() < LARGEST, "{name}: {}", bytes.len());
        fs::write(workspace.path(name), &bytes).expect("room");
        if name.ends_with(".param") {
            fs::write(workspace.path(name).with_extension("bin"), [0; 64]).expect("room");
        }
        for arguments in [format!("inspect {name} --device cpu"), format!("convert {name}")] {
            let start = Instant::now();
            // What is mapped from files does not count.
            let command = format!("ulimit -d {}; exec \"$0\" {arguments} --force", MEMORY >> 10);
            let command = match arguments.starts_with("convert") {
                true => command,
                false => command.replace(" --force", ""),
            };
            let output = Command::new("sh")
                .args(["-c", &command, env!("CARGO_BIN_EXE_pentimento")])
                .current_dir(workspace.path(""))
                .stdin(Stdio::null())
                .output()
                .expect("a shell");
            let elapsed = start.elapsed();
            slowest = slowest.max(elapsed);
            let told = String::from_utf8_lossy(&output.stderr);
            println!("{arguments}: {elapsed:.1?}, {}", told.trim_end());
            assert!(elapsed < TIME, "{arguments}: {elapsed:?}");
            // Of a signal, or of a failed allocation, there is another code.
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 1)), "{arguments}: {:?} {told}", output.status);
            if code == Some(1) {
                assert!(told.starts_with("error: "), "{arguments}: {told}");
                assert_eq!(told.trim_end().lines().count(), 1, "{arguments}: {told}");
                assert!(told.len() < 2000, "{arguments}: {} bytes", told.len());
            }
        }
        fs::remove_file(workspace.path(name)).expect("it was written");
    }
    println!("the slowest took {slowest:?}");
}
