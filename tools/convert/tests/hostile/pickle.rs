//! Pickles that would run something, or run forever.

use pentimento_convert::{Error, Limits, Options};

use crate::build::*;

/// Reads a zip checkpoint with this pickle.
fn read_pickle(pickle: Vec<u8>) -> Result<pentimento_convert::Checkpoint, Error> {
    read(&archive(&pickle, &[("0", &six_floats())]))
}

fn message(pickle: Vec<u8>) -> String {
    read_pickle(pickle).expect_err("the pickle was read").to_string()
}

/// `{"x": <operations>, "w": tensor}`
fn beside_weights(operations: &[u8]) -> Vec<u8> {
    let p = Pickle::new().raw(b"}").text("x").raw(operations).raw(b"s");
    p.text("w").tensor(&SIX).stop(b"s")
}

#[test]
fn a_foreign_function_is_named_and_never_called() {
    // Every way a pickle can call something, the class by GLOBAL at offset 9 or by INST.
    let calls: [&[u8]; 7] = [
        b"cos\nsystem\n",
        b"cos\nsystem\nX\x02\0\0\0id\x85R",
        b"cos\nsystem\nX\x02\0\0\0id\x85\x81",
        b"cos\nsystem\nX\x02\0\0\0id\x85}\x92",
        b"cos\nsystem\n)R}b",
        b"(X\x02\0\0\0idios\nsystem\n",
        b"(cos\nsystem\nX\x02\0\0\0ido",
    ];
    for call in calls {
        let pickle = beside_weights(call);
        let error = read_pickle(pickle.clone()).unwrap_err();
        let Error::ForeignGlobal { module, name, at } = &error else { panic!("{call:?}: {error}") };
        assert_eq!((module.as_str(), name.as_str(), at.stream), ("os", "system", "data.pkl"));
        let first = pickle.windows(3).position(|w| w == b"cos" || w == b"ios").unwrap();
        assert_eq!(at.offset, first as u64);

        let file = archive(&pickle, &[("0", &six_floats())]);
        let checkpoint = read_with(&file, &skipping()).unwrap_or_else(|e| panic!("{call:?}: {e}"));
        assert_eq!(checkpoint.dropped, ["x (an object of os.system)"]);
        assert_eq!(checkpoint.tensors.len(), 1);
    }
    let by_stack = b"X\x02\0\0\0osX\x06\0\0\0system\x93X\x02\0\0\0id\x85R";
    let error = read_pickle(beside_weights(by_stack)).unwrap_err();
    assert!(matches!(error, Error::ForeignGlobal { module, .. } if module == "os"));
}

#[test]
fn the_allow_list_is_exact() {
    let near = [
        ("torch", "load"),
        ("torch", "FloatStorage.from_file"),
        ("torch", "ComplexFloatStorage"),
        ("torch", "FloatStorage "),
        ("torch._utils", "_rebuild_tensor_v4"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch", "_utils._rebuild_tensor_v2"),
        ("collections", "defaultdict"),
        ("collections.abc", "OrderedDict"),
        ("builtins", "eval"),
        ("", ""),
    ];
    for (module, name) in near {
        let error =
            read_pickle(beside_weights(format!("c{module}\n{name}\n").as_bytes())).unwrap_err();
        assert!(matches!(error, Error::ForeignGlobal { .. }), "{module}.{name}: {error}");
    }
    // What is allowed is not free to be called otherwise.
    assert!(message(beside_weights(b"ctorch\nFloatStorage\n)R")).contains("is called"));
    assert!(message(beside_weights(b"(ccollections\nOrderedDict\no")).contains("builds an object"));
    assert!(message(beside_weights(b"ccollections\nOrderedDict\n)}\x92")).contains("keywords"));
    assert!(message(beside_weights(b"K\x01)R")).contains("an integer is called"));
    assert!(message(beside_weights(b"ccollections\nOrderedDict\n]R")).contains("not a tuple"));
}

#[test]
fn lengths_are_checked_before_use() {
    let huge32 = u32::MAX.to_le_bytes();
    let huge64 = u64::MAX.to_le_bytes();
    let cases: [(&[u8], &[u8]); 9] = [
        (b"X", &huge32),
        (b"T", &huge32),
        (b"B", &huge32),
        (b"\x8b", &huge32),
        (b"\x8d", &huge64),
        (b"\x8e", &huge64),
        (b"\x96", &huge64),
        (b"\x95", &huge64),
        (b"\x8a", b"\xff"),
    ];
    for (operation, length) in cases {
        let error = read_pickle(Pickle::new().raw(operation).raw(length).stop(b"")).unwrap_err();
        assert!(matches!(error, Error::Truncated { left: 1, .. }), "{operation:?}: {error}");
    }
    for operation in [&b"cos"[..], b"cos\nsystem", b"I12", b"g1", b"F1.5", b"p"] {
        let error = read_pickle(Pickle::new().raw(operation).0).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{operation:?}: {error}");
    }
}

#[test]
fn frames_end() {
    assert!(matches!(
        read_pickle(Pickle::new().repeat(b"\x95\0\0\0\0\0\0\0\0", 100_000).0),
        Err(Error::Truncated { left: 0, .. })
    ));
    // A sound one does no harm.
    let framed = beside_weights(b"\x95\x02\0\0\0\0\0\0\0K\x01");
    assert_eq!(read_pickle(framed).unwrap().tensors.len(), 1);
}

#[test]
fn nesting_is_bounded_and_cheap() {
    let error = read_pickle(Pickle::new().repeat(b"(", 100_000).0).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "depth", value: 1001, limit: 1000, .. }));
    // Without marks: [[[…]]], 800,000 deep, and ((…),) likewise.
    let lists = Pickle::new().repeat(b"]", 800_000).repeat(b"a", 799_999).stop(b"");
    assert!(message(lists).contains("holds a list"));
    let tuples = Pickle::new().raw(b")").repeat(b"\x85", 800_000).stop(b"");
    assert!(message(tuples).contains("holds a tuple"));
    // A dictionary that contains itself.
    let cycle = Pickle::new().raw(b"}q\0").text("model").raw(b"h\0s").text("x").stop(b"h\0s");
    assert!(message(cycle).contains("model (a dictionary)"));
}

#[test]
fn memo_bombs_stay_small() {
    // Each tuple holds the one before it twice: 2^500 leaves in 3 kB.
    let laughs = Pickle::new().raw(b")q\0").repeat(b"0h\0h\0\x86q\0", 500).stop(b"");
    assert!(message(laughs).contains("holds a tuple"));
    // A key for every byte of the file.
    let mut many = Pickle::new().raw(b"N");
    for key in 0..300_000_u32 {
        many = many.raw(b"r").raw(&key.to_le_bytes());
    }
    let error = read_pickle(many.stop(b"")).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "memo", .. }), "{error}");
    // The largest key takes no more room than the smallest.
    assert!(message(Pickle::new().stop(b"Nr\xff\xff\xff\xff")).contains("holds None"));
    assert!(message(Pickle::new().stop(b"h\x07")).contains("refers to the value 7"));
    assert!(message(Pickle::new().stop(b"Ng-1\n")).contains("memo key"));
}

#[test]
fn the_number_of_values_is_bounded() {
    let error = read_pickle(Pickle::new().repeat(b"N", 1_200_000).0).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "objects", .. }));
    let references = Pickle::new().raw(b"Nq\0").repeat(b"h\0", 1_200_000).0;
    assert!(matches!(read_pickle(references), Err(Error::Limit { option: "objects", .. })));
    let copies = Pickle::new().raw(b"N").repeat(b"2", 1_200_000).0;
    assert!(matches!(read_pickle(copies), Err(Error::Limit { option: "objects", .. })));
    // One list of 1,000 pairs, copied into 10,000 dictionaries.
    let pairs = Pickle::new().raw(b"ccollections\nOrderedDict\nq\0](").repeat(b"NN\x86", 1000);
    let pairs = pairs.raw(b"eq\x01").repeat(b"h\0h\x01\x85R0", 10_000).0;
    assert!(matches!(read_pickle(pairs), Err(Error::Limit { option: "objects", .. })));

    let limits = Limits { pickle_bytes: 50, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    for file in [small_zip(), small_legacy()] {
        let error = read_with(&file, &options).unwrap_err();
        assert!(matches!(error, Error::Limit { option: "pickle_bytes", limit: 50, .. }), "{error}");
    }
}

#[test]
fn every_operation_fails_cleanly_on_an_empty_stack() {
    for opcode in 0..=255_u8 {
        for operands in [&b""[..], b"\0", b"1\n1\n", b"\x01\0\0\0\0\0\0\0\0"] {
            for before in [&b""[..], b"(", b"N", b"(N", b"NN", b")", b"}", b"]", b"](", b"}("] {
                let pickle = Pickle::new().raw(before).raw(&[opcode]).raw(operands).stop(b"");
                let file = archive(&pickle, &[]);
                assert!(read(&file).is_err(), "{opcode:#x} {operands:?} {before:?}");
                assert!(
                    read_with(&file, &skipping()).is_err(),
                    "{opcode:#x} {operands:?} {before:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_pickle_of_protocol_2_to_5_is_refused() {
    assert!(message(b"(lp0\n.".to_vec()).contains("does not start with its protocol"));
    for protocol in [0, 1, 6, 255] {
        assert!(message(vec![0x80, protocol, b'N', b'.']).contains("none of 2 to 5"));
    }
    assert!(message(Pickle::new().stop(b"NN")).contains("left over"));
    assert!(message(Pickle::new().stop(b"N(")).contains("not there"));
    assert!(message(Pickle::new().stop(b"(N")).contains("left over"));
    assert!(message([beside_weights(b"N"), b"N".to_vec()].concat()).contains("follows its end"));
    for (operation, name) in
        [(b"S'a'\n", "STRING"), (b"Va\n\n\n", "UNICODE"), (b"P1\n\n\n", "PERSID")]
    {
        assert!(message(beside_weights(operation)).contains(name));
    }
    for (opcode, name) in [(0x82, "EXT1"), (0x97, "NEXT_BUFFER"), (0xf0, "unknown")] {
        assert!(message(beside_weights(&[opcode, 1])).contains(name));
    }
}

#[test]
fn texts_must_be_utf_8() {
    assert!(message(beside_weights(b"X\x01\0\0\0\xff")).contains("not UTF-8"));
    assert!(message(beside_weights(b"\x8c\x03\xed\xa0\x80")).contains("not UTF-8"));
    assert!(message(beside_weights(b"c\xff\nx\n")).contains("not UTF-8"));
    // Python 2's texts may be bytes; as such they name nothing.
    let checkpoint = read_pickle(beside_weights(b"U\x01\xff")).unwrap();
    assert_eq!(checkpoint.dropped, ["x (bytes)"]);
}

#[test]
fn the_rest_of_the_protocols_is_read() {
    let harmless: [(&[u8], &str); 20] = [
        (b"I01\n", "a truth value"),
        (b"I-7\n", "an integer"),
        (b"L7L\n", "an integer"),
        (b"\x8b\x09\0\0\0abcdefghi", "an integer"),
        (b"F1.5\n", "a number"),
        (b"G\0\0\0\0\0\0\0\0", "a number"),
        (b"\x8f(K\x01\x90", "a list"),
        (b"(K\x01\x91", "a list"),
        (b"(K\x01l", "a list"),
        (b"(K\x01K\x02d", "a dictionary"),
        (b"C\x01a", "bytes"),
        (b"\x96\x01\0\0\0\0\0\0\0a", "bytes"),
        (b"K\x01(K\x021", "an integer"),
        (b"K\x01p300\n0g300\n", "an integer"),
        (b"NK\x01\x940j\0\0\0\0\x860K\x01", "an integer"),
        (b"ctorch\nSize\n(K\x02K\x03t\x85R", "a tuple"),
        (b"ctorch\nfloat32\n", "a class or function"),
        (b"cnumpy\ndtype\n(X\x02\0\0\0f8\x89\x88tR(K\x03X\x01\0\0\0<tb", "a numpy value"),
        (b"cnumpy._core.multiarray\nscalar\n(NC\x08\0\0\0\0\0\0\xf8?tR", "a numpy value"),
        (b"c_codecs\nencode\nX\x01\0\0\0aX\x06\0\0\0latin1\x86R", "bytes"),
    ];
    for (operations, what) in harmless {
        let checkpoint = read_pickle(beside_weights(operations))
            .unwrap_or_else(|e| panic!("{operations:?}: {e}"));
        assert_eq!(checkpoint.dropped, [format!("x ({what})")], "{operations:?}");
    }
}
