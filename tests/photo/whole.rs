//! Whole portraits, degraded, and restored by the default models.

use std::path::Path;

use pentimento::photo::align::{self, Landmarks};
use pentimento::photo::mask::Oval;
use pentimento::photo::{self, Face, PhotoOptions, PhotoRestorer, Picture};
use pentimento::{Engine, EngineOptions, Model, Precision};

use crate::support;

/// Side of the portraits here; their faces have about half of it.
const SIDE: usize = 512;

fn weights(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights").join(name);
    Model::open(path).expect("weights of the repository")
}

fn cpu() -> Engine {
    let options =
        EngineOptions { device: Some("cpu".to_owned()), precision: Precision::F32, memory: None };
    Engine::new(&options).expect("the CPU is there")
}

/// The first portraits and their landmarks, at [`SIDE`].
fn portraits(shared: &Path, count: usize) -> Vec<(Picture, Landmarks)> {
    let folder = shared.join("data/photos");
    let labels = support::json(&folder.join("landmarks.json"));
    let mut names: Vec<&String> = labels.as_object().expect("a table").keys().collect();
    names.sort();
    names[..count]
        .iter()
        .map(|name| {
            let portrait = photo::read(&folder.join(name)).expect("a portrait");
            let scale = SIDE as f64 / portrait.width as f64;
            let number = |v: &serde_json::Value| v.as_f64().expect("a number") * scale;
            let points = &labels[name.as_str()]["landmarks"];
            let landmarks = std::array::from_fn(|i| std::array::from_fn(|j| number(&points[i][j])));
            (portrait.resized(SIDE, SIDE).expect("a size"), landmarks)
        })
        .collect()
}

/// Shrunk four times, noise, JPEG, and enlarged again.
fn degraded(picture: &Picture, seed: u64) -> Picture {
    let mut small = picture.resized(SIDE / 4, SIDE / 4).expect("a size");
    for (value, noise) in small.rgb.iter_mut().zip(support::noise(seed, SIDE * SIDE * 3 / 16)) {
        *value = (f32::from(*value) + 5.0 * noise).round() as u8;
    }
    let side = (SIDE / 4) as u32;
    let mut file = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 60);
    encoder.encode(&small.rgb, side, side, image::ExtendedColorType::Rgb8).expect("a JPEG");
    let small = photo::decode(&file, Path::new("small.jpg")).expect("a JPEG");
    small.resized(SIDE, SIDE).expect("a size")
}

/// Mean squared error where `inside` says so.
fn error(a: &Picture, b: &Picture, inside: impl Fn(usize) -> bool) -> f64 {
    let pixels = a.rgb.as_chunks::<3>().0.iter().zip(b.rgb.as_chunks::<3>().0).enumerate();
    let (mut sum, mut count) = (0.0, 0);
    for (_, (p, q)) in pixels.filter(|(i, _)| inside(*i)) {
        sum += (0..3).map(|c| f64::from(p[c].abs_diff(q[c])).powi(2)).sum::<f64>();
        count += 3;
    }
    sum / f64::from(count.max(1))
}

#[test]
fn faces_gain_and_the_rest_stays() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let mut restorer = PhotoRestorer::new(&engine, &model, None, None, PhotoOptions::default())
        .expect("a face model");
    let mut gains = Vec::new();
    for (seed, (clear, landmarks)) in (1..).zip(portraits(&shared, 12)) {
        let input = degraded(&clear, seed);
        let face = Face { landmarks, score: None, bounds: None };
        let output = restorer.restore(&input, Some(&[face])).expect("a portrait");
        assert_eq!(output.faces.len(), 1);
        assert_eq!(output.faces[0].left, None);
        let oval = Oval::of(&landmarks);
        let mask = |i: usize| oval.at([(i % SIDE) as f64, (i / SIDE) as f64]);
        let before = error(&input, &clear, |i| mask(i) > 0.5);
        let after = error(&output.picture, &clear, |i| mask(i) > 0.5);
        gains.push(10.0 * (before / after).log10());
        assert_eq!(error(&output.picture, &input, |i| mask(i) == 0.0), 0.0, "outside of the face");
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    eprintln!("gain inside of the faces: {mean:.2} dB ({gains:.2?})");
    assert!(mean > 0.3, "{mean:.2} dB");
    assert!(gains.iter().filter(|&&gain| gain > 0.0).count() >= 10, "{gains:.2?}");
}

#[test]
fn no_seam_shows_where_a_face_ends() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let mut restorer = PhotoRestorer::new(&engine, &model, None, None, PhotoOptions::default())
        .expect("a face model");
    for (clear, landmarks) in portraits(&shared, 4) {
        let input = degraded(&clear, 1);
        let face = Face { landmarks, score: None, bounds: None };
        let output = restorer.restore(&input, Some(&[face])).expect("a portrait").picture;
        let oval = Oval::of(&landmarks);
        // How much steeper the result is than the input, on the mask's slope and inside of it.
        let steeper = |low: f64, high: f64| {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in 1..SIDE - 1 {
                for x in 1..SIDE - 1 {
                    let m = oval.at([x as f64, y as f64]);
                    if m <= low || m >= high {
                        continue;
                    }
                    let slope = |p: &Picture| {
                        let at = |y: usize, x: usize| f64::from(p.rgb[(y * SIDE + x) * 3 + 1]);
                        (at(y, x + 1) - at(y, x - 1)).hypot(at(y + 1, x) - at(y - 1, x))
                    };
                    sum += slope(&output) - slope(&input);
                    count += 1.0;
                }
            }
            sum / f64::max(count, 1.0)
        };
        let (edge, inside) = (steeper(0.01, 0.5), steeper(0.9, 2.0));
        assert!(edge < inside.max(0.5), "slope added: {edge:.2} at the edge, {inside:.2} inside");
    }
}

#[test]
fn options_are_kept() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let (portrait, landmarks) = portraits(&shared, 1).remove(0);
    let face = Face { landmarks, score: None, bounds: None };
    let tiny = Face { landmarks: landmarks.map(|p| p.map(|v| v / 60.0)), ..face.clone() };
    let run = |options| {
        let mut restorer =
            PhotoRestorer::new(&engine, &model, None, None, options).expect("options");
        restorer.restore(&portrait, Some(&[face.clone(), tiny.clone()])).expect("a portrait")
    };
    let still = run(PhotoOptions { strength: 0.0, ..Default::default() });
    assert!(still.picture == portrait, "strength 0 changed something");
    let doubled = run(PhotoOptions { scale: 2, ..Default::default() });
    assert_eq!((doubled.picture.height, doubled.picture.width), (2 * SIDE, 2 * SIDE));
    let left: Vec<bool> = doubled.faces.iter().map(|outcome| outcome.left.is_some()).collect();
    assert_eq!(left, [true, false], "the tiny face at the left is left, the other is not");
    assert!(align::align(&landmarks, 256).is_some());
    let wrong = PhotoOptions { scale: 9, ..Default::default() };
    assert!(PhotoRestorer::new(&engine, &model, None, None, wrong).is_err());
}
