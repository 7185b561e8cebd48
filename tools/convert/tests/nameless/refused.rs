//! Damaged files and those that ask for too much: one sentence each, in little time.

use pentimento_convert::{Limits, Options, from_bytes, from_ncnn};

use crate::ncnn;
use crate::networks::*;
use crate::onnx::{Attr, Onnx, Store, bytes, int, ints, model, tensor};

fn refused(file: Vec<u8>, says: &str) {
    let error = from_bytes(file, &Options::default()).unwrap_err().to_string();
    assert!(error.contains(says), "{error}: not {says:?}");
    assert!(!error.contains(char::is_control), "{error}");
}

#[test]
fn a_file_that_ends_anywhere() {
    let file = rrdb_onnx(&rrdb(), RRDB);
    for cut in (0..file.len()).step_by(7).chain(file.len() - 40..file.len()) {
        assert!(from_bytes(file[..cut].to_vec(), &Options::default()).is_err(), "{cut}");
    }
    let model = srvgg_ncnn(&srvgg(), ncnn::Store::F16, false);
    for cut in 0..model.bin.len() {
        let error = from_ncnn(model.text(), model.bin[..cut].to_vec(), &Options::default());
        assert!(error.unwrap_err().to_string().contains("it is cut short"), "{cut}");
    }
    for list in [model.text(), model.binary()] {
        for cut in 0..list.len() - 1 {
            let found = from_ncnn(list[..cut].to_vec(), model.bin.clone(), &Options::default());
            // The last number of the text may lose its last digits.
            assert!(found.is_err() || cut + 8 > list.len(), "{cut}");
        }
    }
    let longer = [&model.bin[..], &[0; 4]].concat();
    let error = from_ncnn(model.text(), longer, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("4 bytes more than the layers need"), "{error}");
}

/// A model of one constant and one layer.
fn with_constant(message: &[u8]) -> Vec<u8> {
    let mut onnx = Onnx::new(17);
    onnx.constant(message);
    let y = onnx.layer("Relu", &["input"], &[]);
    onnx.finish(&y)
}

#[test]
fn tensors_that_are_not_what_they_say() {
    let cases: [(Vec<usize>, &str); 4] = [
        (vec![3], "is [3] of float32 in 8 bytes"),
        (vec![usize::MAX / 2, usize::MAX / 2], "in 8 bytes"),
        (vec![1 << 62, 4], "in 8 bytes"),
        (vec![1; 65], "more than 64 dimensions"),
    ];
    for (dims, says) in cases {
        refused(with_constant(&tensor("t", &dims, &[1.0, 2.0], Store::Raw)), says);
    }
    let mut negative = tensor("t", &[], &[1.0], Store::Raw);
    int(&mut negative, 1, -1);
    refused(with_constant(&negative), "has a negative dimension");
    let mut kind = Vec::new();
    int(&mut kind, 2, 8);
    refused(with_constant(&kind), "has the element type 8");
    let mut mixed = Vec::new();
    int(&mut mixed, 2, 1);
    bytes(&mut mixed, 7, &[1, 2, 3]);
    refused(with_constant(&mixed), "in the field of another type");
    refused(
        with_constant(&tensor("t", &[2], &[1.0, 2.0], Store::Elsewhere("w", 0))),
        "is read from a path, not from memory",
    );
}

#[test]
fn graphs_that_contradict_themselves() {
    let mut unknown = Onnx::new(17);
    let y = unknown.layer("Relu", &["nobody"], &[]);
    refused(unknown.finish(&y), "which nothing before it gives");
    let mut onnx = Onnx::new(17);
    onnx.layer("Relu", &["input"], &[]);
    refused(onnx.finish("nobody"), "nothing in it gives one of its outputs");
    let mut twice = Onnx::new(17);
    twice.constant(&tensor("t", &[1], &[1.0], Store::Raw));
    twice.constant(&tensor("t", &[1], &[1.0], Store::Raw));
    refused(twice.finish("t"), "two layers give the result");
    let mut sparse = Vec::new();
    bytes(&mut sparse, 15, b"");
    refused(model(&sparse, 17), "sparse tensors");
    let mut list = Onnx::new(17);
    let y = list.layer("MaxPool", &["input"], &[Attr::Ints("kernel_shape", &[1; 300])]);
    refused(list.finish(&y), "too many numbers");
    refused(vec![8, 8, 0x12, 0], "it holds no graph");
    refused(vec![8, 8, 0x12, 0xff, 0xff, 0xff, 0x7f], "fetch it again");
    refused(Onnx::new(17).finish("input"), "it has no convolutions");
}

#[test]
fn names_cannot_reach_a_terminal() {
    let mut onnx = Onnx::new(17);
    let mut y = onnx.layer("\u{1b}[31mRed", &["input"], &[]);
    for i in 0..3 {
        let weight = format!("w{i}\u{7}");
        onnx.constant(&tensor(&weight, &[3, 3, 3, 3], &[0.5; 81], Store::Raw));
        y = onnx.layer("Conv", &[&y, &weight], &[Attr::Ints("pads", &[1; 4])]);
    }
    refused(onnx.finish(&y), "3 convolutions");
}

#[test]
fn what_would_take_much_is_bounded() {
    // Each layer doubles: 2⁶⁰ parts, or an expansion to 2⁴⁰ values.
    let mut onnx = Onnx::new(17);
    let mut y = "input".to_string();
    for _ in 0..60 {
        y = onnx.layer("Concat", &[&y, &y], &[Attr::Int("axis", 1)]);
    }
    for _ in 0..60 {
        y = onnx.layer("Add", &[&y, &y], &[]);
    }
    refused(onnx.finish(&y), "none of");
    let mut onnx = Onnx::new(17);
    onnx.constant(&tensor("one", &[1], &[1.0], Store::Raw));
    onnx.constant(&ints("shape", &[2], &[1 << 20, 1 << 20]));
    let big = onnx.layer("Expand", &["one", "shape"], &[]);
    let zeros = onnx.layer("ConstantOfShape", &["shape"], &[]);
    let y = onnx.layer("Add", &[&big, &zeros], &[]);
    let y = onnx.layer("Add", &["input", &y], &[]);
    refused(onnx.finish(&y), "none of");
    // Many layers, constants and wires.
    let limits = Limits { layers: 8, tensors: 8, objects: 64, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let says = |file: Vec<u8>, says: &str| {
        let error = from_bytes(file, &options).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    let mut many = Onnx::new(17);
    (0..9).for_each(|_| drop(many.layer("Relu", &["input"], &[])));
    says(many.finish("r1"), "Limits::layers");
    let mut many = Onnx::new(17);
    (0..9).for_each(|i| many.constant(&tensor(&i.to_string(), &[1], &[1.0], Store::Raw)));
    says(many.finish("1"), "Limits::tensors");
    let mut many = Onnx::new(17);
    many.layer("Concat", &["input"; 65], &[]);
    says(many.finish("r1"), "Limits::objects");
    let list = b"7767517\n1000000000 1\n".to_vec();
    let error = from_ncnn(list, Vec::new(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("Limits::layers"), "{error}");
}

#[test]
fn ncnn_lists_that_are_not_sound() {
    let cases = [
        ("7767518\n1 1\n", "does not begin with 7767517"),
        ("7767517\n1\n", "second line"),
        ("7767517\n2 1\nInput a 0 1 x\n", "it has 1 layers and says 2"),
        ("7767517\n1 1\nInput a 0 1 x\nInput b 0 1 y\n", "more layers than the 1"),
        ("7767517\n1 1\nInput a 99999999999 1 x\n", "is not a layer"),
        ("7767517\n1 1\nReLU a 1 1 y x\n", "which no layer before it gives"),
        ("7767517\n2 2\nInput a 0 1 x\nInput b 0 1 x\n", "two layers give the result x"),
        ("7767517\n1 1\nInput a 0 1 x 99=1\n", "is not a layer"),
        ("7767517\n1 1\nInput a 0 1 x 0=z\n", "is not a layer"),
        ("7767517\n2 2\nInput a 0 1 x\nLSTM b 1 1 x y\n", "how many weights such a layer has"),
        (
            "7767517\n2 2\nInput a 0 1 x\nConvolution b 1 1 x y 0=4 1=3 6=2000000000\n",
            "the number of weights does not fit",
        ),
        (
            "7767517\n2 2\nInput a 0 1 x\nConvolution b 1 1 x y 0=4 1=3 6=1800000000\n",
            "it is cut short",
        ),
        (
            "7767517\n2 2\nInput a 0 1 x\nConvolution b 1 1 x y 0=-4 1=3 6=36\n",
            "a size is not sound",
        ),
        (
            "7767517\n2 2\nInput a 0 1 x\nMemoryData b 0 1 y 0=2000000000 1=2000000000 2=2000000000\n",
            "the .bin file ends",
        ),
        ("7767517\n2 2\nInput a 0 1 x\nPReLU b 1 1 x y 0=-1\n", "is negative"),
    ];
    for (list, says) in cases {
        let error =
            from_ncnn(list.as_bytes().to_vec(), vec![0; 64], &Options::default()).unwrap_err();
        assert!(error.to_string().contains(says), "{list:?}: {error}");
    }
    // One scale is zero.
    let mut model = srvgg_ncnn(&srvgg(), ncnn::Store::I8, false);
    let scale = model.bin.len() - 4 - 4 * 12;
    model.bin[scale..scale + 4].fill(0);
    let error = from_ncnn(model.text(), model.bin, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("zero or infinity is a scale"), "{error}");
}

#[test]
fn others_are_called_what_they_are() {
    let mut swapper = Onnx::new(17);
    let graph = |onnx: &mut Onnx, kind: &str, weight: &[usize]| {
        let count = weight.iter().product();
        onnx.constant(&tensor("w", weight, &vec![0.1; count], Store::Raw));
        let mut y = "input".to_string();
        for _ in 0..21 {
            y = onnx.layer(kind, &[&y, "w"], &[]);
        }
        y
    };
    let y = graph(&mut swapper, "Conv", &[3, 3, 1, 1]);
    swapper.constant(&tensor("l", &[3, 3], &[0.1; 9], Store::Raw));
    let y = swapper.layer("Gemm", &[&y, "l"], &[Attr::Int("transB", 1)]);
    refused(swapper.finish(&y), "a recogniser of faces or of classes");
    let mut up = Onnx::new(17);
    let y = graph(&mut up, "Conv", &[3, 3, 1, 1]);
    let y = up.layer("ConvTranspose", &[&y, "w"], &[]);
    refused(up.finish(&y), "a network with transposed convolutions");
}
