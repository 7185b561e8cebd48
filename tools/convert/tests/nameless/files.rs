//! Models on disk, with the files beside them.

use std::fs;

use pentimento_convert::{Convert, Options, convert, open};

use crate::ncnn;
use crate::networks::*;
use crate::onnx::Store;

#[test]
fn weights_beside_a_model_are_found_and_hashed() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let tensors = srvgg();
    let model = srvgg_ncnn(&tensors, ncnn::Store::F16, false);
    for (param, bin) in [("a.param", "a.bin"), ("b.ncnn.param", "b.ncnn.bin")] {
        fs::write(place(param), model.text()).unwrap();
        fs::write(place(bin), &model.bin).unwrap();
        let output = place(&format!("{param}.safetensors"));
        let report = convert(&place(param), &output, &Convert::default(), &mut |_, _| {}).unwrap();
        assert_eq!(report.tensors, tensors.len());
        assert_eq!(report.source_sha256.split(',').count(), 2);
        assert_eq!(open(&output, &Options::default()).unwrap().tensors.len(), tensors.len());
    }
    fs::write(place("c.param.bin"), model.binary()).unwrap();
    fs::write(place("c.bin"), &model.bin).unwrap();
    assert!(open(&place("c.param.bin"), &Options::default()).is_ok());
    // The advice is to name the list, which was done above.
    let error = open(&place("a.bin"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("name the list of its layers") && error.contains("a.param"), "{error}");
    fs::remove_file(place("a.bin")).unwrap();
    let error = open(&place("a.param"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("a.bin"), "{error}");
    // An output that would be the second file of the input.
    let same =
        convert(&place("b.ncnn.param"), &place("b.ncnn.bin"), &Convert::default(), &mut |_, _| {});
    assert!(same.unwrap_err().to_string().contains("is the input itself"));
}

#[test]
fn values_in_a_second_file_of_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let tensors = srvgg();
    let elsewhere = |_, offset| Store::Elsewhere("m.onnx.data", offset);
    fs::write(place("m.onnx"), srvgg_onnx(&tensors, elsewhere)).unwrap();
    let all: Vec<u8> =
        tensors.iter().flat_map(|(.., v)| v.iter().flat_map(|v| v.to_le_bytes())).collect();
    fs::write(place("m.onnx.data"), &all).unwrap();
    let found = open(&place("m.onnx"), &Options::default()).unwrap();
    for (name, _, values) in &tensors {
        assert_eq!(&found.get(name).unwrap().to_f32(), values);
    }
    fs::write(place("m.onnx.data"), &all[..all.len() - 1]).unwrap();
    let error = open(&place("m.onnx"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("reaches past the end of m.onnx.data"), "{error}");
    for name in ["../m.onnx.data", "/etc/passwd", "a/b", "a\\b", "..", ""] {
        let leak: &'static str = Box::leak(name.to_string().into_boxed_str());
        let file = srvgg_onnx(&tensors, move |_, offset| Store::Elsewhere(leak, offset));
        fs::write(place("n.onnx"), file).unwrap();
        let error = open(&place("n.onnx"), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("outside its folder"), "{name}: {error}");
    }
}

/// YuNet's ONNX export, with normalisations folded, against its checkpoint.
#[test]
fn yunet_from_onnx_is_the_checkpoint_folded() {
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED") else {
        crate::skipped::skip("PENTIMENTO_SHARED is not set");
        return;
    };
    let models = std::path::Path::new(&shared).join("models");
    let options = Options { skip_unknown: true, ..Options::default() };
    let exported = open(&models.join("yunet_n_640_640.onnx"), &options).unwrap();
    let original = open(&models.join("yunet_n.pth"), &options).unwrap();
    let get = |name: &str| original.get(name).unwrap_or_else(|| panic!("{name}")).to_f32();
    let own = |name: &str| exported.get(name).unwrap_or_else(|| panic!("{name}")).to_f32();
    let mut folded = 0;
    for tensor in &original.tensors {
        if tensor.name.ends_with("num_batches_tracked") {
            continue;
        }
        let found = exported.get(&tensor.name).unwrap_or_else(|| panic!("{}", tensor.name));
        assert_eq!(found.shape, tensor.shape, "{}", tensor.name);
        let Some(prefix) = tensor.name.strip_suffix(".running_mean") else { continue };
        let (norm, conv) = match prefix.strip_suffix(".bn1") {
            Some(stem) => (prefix, format!("{stem}.conv1")),
            None => (prefix, format!("{}.conv2", prefix.strip_suffix(".bn").unwrap())),
        };
        let (scale, variance) =
            (get(&format!("{norm}.weight")), get(&format!("{norm}.running_var")));
        let (weight, now) = (get(&format!("{conv}.weight")), own(&format!("{conv}.weight")));
        let taps = weight.len() / scale.len();
        for (i, (before, now)) in weight.iter().zip(now).enumerate() {
            let factor = scale[i / taps] / (variance[i / taps] + 1e-5).sqrt();
            assert!((before * factor - now).abs() <= 1e-5 * now.abs().max(1e-3), "{conv} {i}");
        }
        folded += 1;
    }
    assert_eq!(folded, 18);
    let heads = "bbox_head.multi_level_kps.1.conv2.weight";
    assert_eq!(get(heads), own(heads));
}
