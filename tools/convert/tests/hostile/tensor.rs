//! Tensors that do not fit their storages.

use pentimento_convert::{Dtype, Error};

use crate::build::*;

fn read_tensor(tensor: Tensor) -> Result<pentimento_convert::Tensor, Error> {
    let file = archive(&Pickle::dict(&[("w", tensor)]), &[("0", &six_floats())]);
    read(&file).map(|mut checkpoint| checkpoint.tensors.remove(0))
}

#[track_caller]
fn message(tensor: Tensor) -> String {
    let error = read_tensor(tensor).unwrap_err();
    assert!(matches!(&error, Error::Tensor { name, .. } if name == "w"), "{error}");
    error.to_string()
}

#[test]
fn views_are_gathered() {
    let transposed = Tensor { shape: &[3, 2], strides: &[1, 3], ..SIX };
    let tensor = read_tensor(transposed).unwrap();
    assert_eq!(tensor.to_f32(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!((tensor.shape.as_slice(), tensor.strides()), (&[3, 2][..], &[1, 3][..]));
    let expanded = Tensor { offset: 4, shape: &[2, 2], strides: &[0, 1], ..SIX };
    assert_eq!(read_tensor(expanded).unwrap().to_f32(), [5.0, 6.0, 5.0, 6.0]);
    let tail = Tensor { offset: 4, shape: &[1, 2], strides: &[77, 1], ..SIX };
    assert_eq!(read_tensor(tail).unwrap().to_f32(), [5.0, 6.0]);
    let scalar = Tensor { offset: 5, shape: &[], strides: &[], ..SIX };
    assert_eq!(read_tensor(scalar).unwrap().to_f32(), [6.0]);
    let overlapping = Tensor { shape: &[3, 2, 2], strides: &[2, 1, 0], ..SIX };
    assert_eq!(
        read_tensor(overlapping).unwrap().to_f32(),
        [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 6.0]
    );
    let empty = Tensor { offset: 6, shape: &[0, 3], strides: &[3, 1], ..SIX };
    assert_eq!(read_tensor(empty).unwrap().to_f32(), [0.0; 0]);
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let inside = Tensor { shape: &[2, 2], strides: &[4, 1], ..SIX };
    assert!(read_tensor(inside).is_ok());
    assert!(message(Tensor { offset: 1, ..inside }).contains("reach element 6 of 6"));
    assert!(message(Tensor { shape: &[2, 3], ..inside }).contains("reach element 6 of 6"));
    assert!(message(Tensor { strides: &[5, 1], ..inside }).contains("reach element 6 of 6"));
    assert!(message(Tensor { shape: &[7], strides: &[1], ..SIX }).contains("reach element 6 of 6"));
}

#[test]
fn numbers_that_are_negative_or_overflow_are_refused() {
    for strides in [&[-1, 1][..], &[i64::MIN, 1]] {
        assert!(message(Tensor { strides, ..SIX }).contains("strides are not"));
    }
    assert!(message(Tensor { offset: -1, ..SIX }).contains("offset is not"));
    assert!(message(Tensor { shape: &[2, -3], ..SIX }).contains("shape is not"));
    assert!(message(Tensor { offset: i64::MAX, ..SIX }).contains("reach element"));
    assert!(message(Tensor { strides: &[i64::MAX, i64::MAX], ..SIX }).contains("beyond 2^64"));
    for shape in
        [&[1 << 32, 1 << 32][..], &[i64::MAX, i64::MAX], &[1 << 62, 1 << 62, 0], &[0, i64::MAX, 2]]
    {
        let message = message(Tensor { shape, strides: &[0, 0, 0][..shape.len()], ..SIX });
        assert!(message.contains("overflows"), "{message}");
    }
    // A Python integer of 80 bits.
    let p =
        Pickle::new().raw(b"}").text("w").global("torch._utils", "_rebuild_tensor_v2").raw(b"(");
    let p = p.storage("FloatStorage", "0", 6, None).raw(b"\x8a\x0a1234567890))\x89}");
    let file = archive(&p.stop(b"tRs"), &[("0", &six_floats())]);
    assert!(refused(&file).contains("offset is not"));
}

#[test]
fn a_tensor_of_stride_0_cannot_ask_for_all_memory() {
    let error = read_tensor(Tensor { shape: &[1 << 40], strides: &[0], ..SIX }).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "expansion_ratio", .. }), "{error}");
    // Nor can many of them together.
    let part = Tensor { shape: &[1 << 20], strides: &[0], ..SIX };
    let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), part)).collect();
    let file = archive(&Pickle::dict(&tensors), &[("0", &six_floats())]);
    assert!(matches!(read(&file), Err(Error::Limit { option: "expansion_ratio", .. })));
    assert_eq!(read_tensor(part).unwrap().to_f32(), vec![1.0; 1 << 20]);
}

/// A tensor of these operations, which follow its name.
fn built(operations: Pickle) -> Result<Vec<f32>, Error> {
    let p = Pickle::new().raw(b"}").text("w").raw(&operations.0[2..]);
    let checkpoint = read(&archive(&p.stop(b"s"), &[("0", &six_floats())]))?;
    Ok(checkpoint.tensors[0].to_f32())
}

#[test]
fn the_marks_of_a_tensor_are_heeded() {
    let marked = |marks: &[u8]| {
        let p = Pickle::new().global("torch._utils", "_rebuild_tensor_v2").raw(b"(");
        let p = p.storage("FloatStorage", "0", 6, None).int(0).ints(&[2, 3]).ints(&[3, 1]);
        let p = p.raw(b"\x89").global("collections", "OrderedDict").raw(b")R").raw(marks);
        built(p.raw(b"tR"))
    };
    let text = |name: &str| [b"X\x04\0\0\0", name.as_bytes()].concat();
    let negative = [&b"}X\x03\0\0\0neg"[..], b"\x88s"].concat();
    let whole = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(marked(&negative).unwrap(), whole.map(|v| -v));
    assert_eq!(marked(b"}X\x03\0\0\0neg\x89s").unwrap(), whole);
    // The conjugate of a real number is that number.
    assert_eq!(marked(&[b"}", &text("conj")[..], b"\x88s"].concat()).unwrap(), whole);
    assert_eq!(marked(b"N").unwrap(), whole);
    let error = marked(&[b"}", &text("mark")[..], b"\x88s"].concat()).unwrap_err().to_string();
    assert!(error.contains("\"mark\"") && error.contains("clone()"), "{error}");
}

#[test]
fn negatives_of_all_types_are_read() {
    for (dtype, bytes, expected) in [
        ("DoubleStorage", 1.5_f64.to_le_bytes().to_vec(), -1.5),
        ("HalfStorage", vec![0, 0x3e], -1.5),
        ("BFloat16Storage", vec![0xc0, 0x3f], -1.5),
        ("LongStorage", 256_i64.to_le_bytes().to_vec(), -256.0),
        ("ShortStorage", (-7_i16).to_le_bytes().to_vec(), 7.0),
        ("CharStorage", vec![1], -1.0),
        ("BoolStorage", vec![1], 1.0),
    ] {
        let p = Pickle::new().raw(b"}").text("w").global("torch._utils", "_rebuild_tensor_v2");
        let p = p.raw(b"(").storage(dtype, "0", 1, None).int(0).ints(&[1]).ints(&[1]);
        let p = p.raw(b"\x89").global("collections", "OrderedDict").raw(b")R}").text("neg");
        let checkpoint = read(&archive(&p.stop(b"\x88stRs"), &[("0", &bytes)])).unwrap();
        assert_eq!(checkpoint.tensors[0].to_f32(), [expected], "{dtype}");
    }
}

#[test]
fn tensors_of_the_first_pytorch_are_read() {
    let p = Pickle::new().global("torch._utils", "_rebuild_tensor").raw(b"(");
    let p = p.storage("FloatStorage", "0", 6, None).int(1).ints(&[2, 2]).ints(&[2, 1]);
    assert_eq!(built(p.clone().raw(b"tR")).unwrap(), [2.0, 3.0, 4.0, 5.0]);
    assert!(built(p.raw(b"\x89tR")).unwrap_err().to_string().contains("4 arguments"));
}

#[test]
fn types_of_eight_bits_are_read() {
    // Of E4M3: 1.5, -448, the smallest, NaN; of E5M2: 1.5, -57344, the smallest, infinity.
    for (name, bytes, expected) in [
        ("F8_E4M3", [0x3c, 0xfe, 1, 0x7f], [1.5, -448.0, 0.001953125, f32::NAN]),
        ("F8_E5M2", [0x3e, 0xfb, 1, 0x7c], [1.5, -57344.0, 1.525_878_9e-5, f32::INFINITY]),
    ] {
        let header = format!(r#"{{"w":{{"dtype":"{name}","shape":[4],"data_offsets":[0,4]}}}}"#);
        let checkpoint = read(&safetensors(&header, &bytes)).unwrap();
        let values = checkpoint.tensors[0].to_f32();
        assert!(
            values.iter().zip(expected).all(|(a, b)| *a == b || a.is_nan() && b.is_nan()),
            "{values:?}"
        );
    }
}

#[test]
fn dimensions_are_counted() {
    assert!(message(Tensor { strides: &[1], ..SIX }).contains("2 dimensions and 1 strides"));
    let many = [1; 65];
    assert!(read_tensor(Tensor { shape: &many[..64], strides: &many[..64], ..SIX }).is_ok());
    assert!(message(Tensor { shape: &many, strides: &many, ..SIX }).contains("65 dimensions"));
}

#[test]
fn storages_must_be_as_declared() {
    let error = |tensor| read_tensor(tensor).unwrap_err().to_string();
    // Shorter, longer, another width, more than can be.
    assert!(error(Tensor { numel: 7, ..SIX }).contains("7 × float32 do not fit its 24 bytes"));
    assert!(error(Tensor { numel: 5, shape: &[5], strides: &[1], ..SIX }).contains("do not fit"));
    assert!(error(Tensor { class: "DoubleStorage", ..SIX }).contains("do not fit"));
    assert!(error(Tensor { numel: i64::MAX, ..SIX }).contains("do not fit"));
    assert!(error(Tensor { numel: -1, ..SIX }).contains("not a count"));
    let other = Tensor { class: "IntStorage", ..SIX };
    let file = archive(&Pickle::dict(&[("w", SIX), ("v", other)]), &[("0", &six_floats())]);
    assert!(refused(&file).contains("declared as 6 × float32 and as 6 × int32"));
}

#[test]
fn tensors_must_be_built_as_pytorch_does() {
    let build = |operations: &[u8]| {
        let p = Pickle::new().raw(b"}").text("w").raw(operations);
        refused(&archive(&p.stop(b"s"), &[("0", &six_floats())]))
    };
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n";
    let parameter = b"ctorch._utils\n_rebuild_parameter\n";
    assert!(build(&[rebuild, &b")R"[..]].concat()).contains("6 or 7 arguments"));
    assert!(build(&[rebuild, &b"(K\0K\0))\x89}tR"[..]].concat()).contains("not a storage"));
    assert!(build(&[parameter, &b")R"[..]].concat()).contains("something other than one tensor"));
    assert!(
        build(&[parameter, &b"(N\x89}tR"[..]].concat()).contains("something other than one tensor")
    );
    // A parameter of a parameter, a thousand deep.
    let deep = [&parameter.repeat(1000)[..], b"N", &b"\x89}\x87R".repeat(1000)].concat();
    assert!(build(&deep).contains("something other than one tensor"));
    for reference in [&b"NQ"[..], b")Q", b"X\x01\0\0\0a\x85Q", b"(NNNNNtQ"] {
        assert!(build(reference).contains("a reference"));
    }
    assert!(build(b"(X\x07\0\0\0storageNX\x01\0\0\x000NK\x06tQ").contains("torch's ten"));
}

#[test]
fn every_element_type_is_read() {
    let cases: [(&str, Dtype, &[u8], [f32; 2]); 10] = [
        (
            "DoubleStorage",
            Dtype::F64,
            &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0],
            [1.5, -2.0],
        ),
        ("FloatStorage", Dtype::F32, &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0], [1.5, -2.0]),
        ("HalfStorage", Dtype::F16, &[0, 0x3e, 0, 0xc0], [1.5, -2.0]),
        ("BFloat16Storage", Dtype::Bf16, &[0xc0, 0x3f, 0, 0xc0], [1.5, -2.0]),
        (
            "LongStorage",
            Dtype::I64,
            &[1, 1, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
            [257.0, -1.0],
        ),
        ("IntStorage", Dtype::I32, &[1, 1, 0, 0, 255, 255, 255, 255], [257.0, -1.0]),
        ("ShortStorage", Dtype::I16, &[1, 1, 255, 255], [257.0, -1.0]),
        ("CharStorage", Dtype::I8, &[1, 255], [1.0, -1.0]),
        ("ByteStorage", Dtype::U8, &[1, 255], [1.0, 255.0]),
        ("BoolStorage", Dtype::Bool, &[1, 0], [1.0, 0.0]),
    ];
    for (class, dtype, bytes, expected) in cases {
        let tensor = Tensor { class, numel: 2, shape: &[2], strides: &[1], view: None, ..SIX };
        let checkpoint = read(&archive(&Pickle::dict(&[("w", tensor)]), &[("0", bytes)])).unwrap();
        let tensor = &checkpoint.tensors[0];
        assert_eq!((tensor.dtype, tensor.to_f32().as_slice()), (dtype, &expected[..]));
        assert_eq!(*tensor.to_contiguous_le(), *bytes);
    }
}
