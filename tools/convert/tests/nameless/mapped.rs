//! What is recognised gets the names and the values that the architecture has.

use pentimento_convert::{Format, Options, from_bytes, from_ncnn};

use crate::ncnn;
use crate::networks::*;
use crate::onnx::Store;

fn same(found: &pentimento_convert::Checkpoint, tensors: &[Named], tolerance: f32) {
    assert_eq!(found.tensors.len(), tensors.len());
    for (name, dims, values) in tensors {
        let tensor = found.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(&tensor.shape, dims, "{name}");
        for (a, b) in tensor.to_f32().iter().zip(values) {
            assert!((a - b).abs() <= tolerance, "{name}: {a} instead of {b}");
        }
    }
}

#[test]
fn srvgg_from_onnx_however_its_constants_are_stored() {
    let tensors = srvgg();
    let stores: [fn(usize, usize) -> Store<'static>; 4] = [
        |_, _| Store::Raw,
        |_, _| Store::Listed,
        |_, _| Store::RawHalf,
        |i, _| if i % 2 == 0 { Store::RawHalf } else { Store::Listed },
    ];
    for store in stores {
        let found = from_bytes(srvgg_onnx(&tensors, store), &Options::default()).unwrap();
        assert_eq!(found.format, Format::Onnx);
        same(&found, &tensors, 0.0);
        assert_eq!(found.dropped, [""; 0]);
    }
}

#[test]
fn rrdb_from_onnx_folded_or_not() {
    let tensors = rrdb();
    for (folded, tolerance) in [(false, 0.0), (true, 1e-7)] {
        let file = rrdb_onnx(&tensors, Rrdb { folded, ..RRDB });
        same(&from_bytes(file, &Options::default()).unwrap(), &tensors, tolerance);
    }
}

#[test]
fn relatives_are_refused_with_the_place_where_they_differ() {
    let tensors = rrdb();
    let cases = [
        (Rrdb { slope: 0.1, ..RRDB }, "a leaky ReLU of slope 0.2 where this has LeakyRelu"),
        (Rrdb { residual: 0.1, ..RRDB }, "where this has"),
        (Rrdb { dense: false, ..RRDB }, "all results before it where this has Concat"),
    ];
    for (how, says) in cases {
        let error = from_bytes(rrdb_onnx(&tensors, how), &Options::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("it is most like RRDBNet, which has"), "{text}");
        assert!(text.contains(says), "{text}");
        assert!(text.contains("Bring the .pth or .safetensors file"), "{text}");
    }
}

/// Whole numbers, which all ways of storing hold.
fn whole(tensors: Vec<Named>, unsigned: bool) -> Vec<Named> {
    let whole = |v: f32| if unsigned { (v * 20.0).abs().round() } else { (v * 20.0).round() };
    let convs = |(name, dims, values): Named| {
        let values = match dims.len() {
            4 => values.into_iter().map(whole).collect(),
            _ => values,
        };
        (name, dims, values)
    };
    tensors.into_iter().map(convs).collect()
}

#[test]
fn ncnn_however_its_weights_are_stored() {
    use ncnn::Store::{F16, F32, I8, Table};
    for store in [F32, F16, I8, Table] {
        let nets = [whole(srvgg(), store == Table), whole(rrdb(), store == Table)];
        for (i, tensors) in nets.into_iter().enumerate() {
            let model = match i {
                0 => srvgg_ncnn(&tensors, store, false),
                _ => rrdb_ncnn(&tensors, store),
            };
            let found = from_ncnn(model.text(), model.bin, &Options::default()).unwrap();
            assert_eq!(found.format, Format::Ncnn);
            // The scale of integers is 2.
            let expected: Vec<Named> = tensors
                .into_iter()
                .map(|(name, dims, values)| {
                    let by = if store == I8 && dims.len() == 4 { 2.0 } else { 1.0 };
                    (name, dims, values.iter().map(|v| v / by).collect())
                })
                .collect();
            same(&found, &expected, 0.0);
            let said =
                found.dropped.iter().any(|note| note.contains("rounding of values to 8 bits"));
            assert_eq!(said, store == I8);
        }
    }
}

#[test]
fn a_resize_after_the_network_is_said() {
    let model = srvgg_ncnn(&srvgg(), ncnn::Store::F32, true);
    let found = from_ncnn(model.text(), model.bin, &Options::default()).unwrap();
    same(&found, &srvgg(), 0.0);
    assert!(found.dropped[0].contains("resizes the result by 0.5"), "{:?}", found.dropped);
}

#[test]
fn a_binary_list_of_layers_is_the_same() {
    for model in
        [srvgg_ncnn(&srvgg(), ncnn::Store::F16, false), rrdb_ncnn(&rrdb(), ncnn::Store::F32)]
    {
        let read = |param| from_ncnn(param, model.bin.clone(), &Options::default()).unwrap();
        let (text, binary) = (read(model.text()), read(model.binary()));
        for (a, b) in text.tensors.iter().zip(&binary.tensors) {
            assert_eq!((&a.name, a.to_f32()), (&b.name, b.to_f32()));
        }
        assert_eq!(text.tensors.len(), binary.tensors.len());
    }
}
