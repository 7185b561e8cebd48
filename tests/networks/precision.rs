//! Real weights on real photos: f16 changes a picture by less than anybody can see.

use image::imageops;
use pentimento::{Engine, EngineOptions, Model, Precision, Session};

use crate::support;

/// Side of the part of a photo that is enlarged.
const SIDE: u32 = 48;

#[test]
fn upscalers_in_f16_stay_within_a_level() {
    let Some(shared) = support::shared() else { return };
    let Some(device) = Engine::devices().into_iter().find(|d| d.features.contains(&"f16")) else {
        support::skip("no device has f16");
        return;
    };
    let engine = |precision| {
        let index = device.index.expect("a GPU").to_string();
        let options = EngineOptions::new().device(index).precision(precision);
        Engine::new(&options).expect("a listed device")
    };
    let (exact, half) = (engine(Precision::F32), engine(Precision::F16));
    let photo = image::open(shared.join("data/photos/portrait_00.jpg")).expect("a photo").to_rgb8();
    // An eye.
    let part = imageops::crop_imm(&photo, 420, 310, SIDE, SIDE).to_image();
    for name in ["realesr-general-x4v3.f16.safetensors", "realesr-animevideov3.pth"] {
        let model = Model::open(shared.join("models").join(name)).expect("real weights");
        let run = |engine| {
            let side = SIDE as usize;
            let mut session = Session::new(engine, &model, side, side).expect("a session");
            session.run(part.as_raw()).expect("a picture")
        };
        let (expected, actual) = (run(&exact), run(&half));
        let differences = expected.iter().zip(&actual).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let (sum, largest) = differences.fold((0, 0), |(sum, max), d| (sum + d, max.max(d)));
        let mean = sum as f64 / expected.len() as f64;
        eprintln!("{name}: f16 differs by {mean:.3} levels, {largest} at most");
        assert!(mean <= 1.0, "{name}: {mean:.3} levels");
        assert!(expected.iter().max() > expected.iter().min(), "{name}: a flat picture");
    }
}
