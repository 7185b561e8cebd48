//! What PyTorch exports (`export_onnx.py`) is found again tensor by tensor: in every file each tensor
//! has one value of its own, so that none can take the place of another.

use std::{fs, io::Read, path::Path};

use pentimento_convert::{Checkpoint, Options, from_bytes};

/// Rounding of a factor that was multiplied with and divided out.
const ROUNDING: f32 = 1e-6;

fn exported(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nameless/exported");
    let packed = fs::read(folder.join(format!("{name}.onnx.gz"))).unwrap();
    let mut file = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut file).unwrap();
    file
}

/// Checks names, dimensions and values.
fn found(name: &str) -> Checkpoint {
    let found = from_bytes(exported(name), &Options::default()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nameless/exported");
    let list = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    for line in list.lines() {
        let mut words = line.split(' ');
        let (tensor, value) = (words.next().unwrap(), words.next().unwrap());
        let dims: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
        let own = found.get(tensor).unwrap_or_else(|| panic!("{name}: {tensor} is missing"));
        assert_eq!(own.shape, dims, "{name}: {tensor}");
        let Ok(value) = value.parse::<f32>() else { continue };
        for other in own.to_f32() {
            assert!(
                (other - value).abs() <= ROUNDING * value,
                "{name}: {tensor} is {other}, not {value}"
            );
        }
    }
    assert_eq!(found.tensors.len(), list.lines().count(), "{name}");
    found
}

#[test]
fn gfpgan() {
    let found = found("gfpgan");
    // Noise and strength came as their product.
    let noise = found.get("stylegan_decoder.noises.noise0").unwrap();
    assert_eq!(noise.shape, [1, 1, 4, 4]);
    assert!(noise.to_f32().iter().all(|&value| value > 0.0));
    assert_eq!(found.get("stylegan_decoder.style_conv1.weight").unwrap().to_f32(), [1.0]);
}

#[test]
fn gpen() {
    found("gpen");
    found("gpen-simplified");
}

#[test]
fn restoreformer() {
    found("restoreformer");
}

#[test]
fn codeformer() {
    assert_eq!(found("codeformer").dropped.len(), 1);
    let plain = found("codeformer-plain");
    assert!(plain.dropped[0].contains("adain"), "{:?}", plain.dropped);
}

#[test]
fn retinaface() {
    found("retinaface");
}

#[test]
fn parsenet() {
    let found = found("parsenet");
    // The normalisation is a part of the convolution, and its own one changes nothing.
    let values =
        |name: &str| found.get(&format!("encoder.1.conv1.norm.norm.{name}")).unwrap().to_f32();
    assert!(values("weight").iter().all(|&v| v == 1.0));
    assert!(values("running_mean").iter().all(|&v| v == 0.0));
}

#[test]
fn bisenet() {
    let found = found("bisenet");
    assert!(found.dropped.is_empty(), "{:?}", found.dropped);
}

#[test]
fn nafnet() {
    found("nafnet");
    found("nafnet-simplified");
}

#[test]
fn span() {
    found("span");
}
