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

/// Mean structural similarity (Wang et al., 2004) of the green channel over the squares of 8 pixels
/// that lie inside.
fn ssim(a: &Picture, b: &Picture, inside: impl Fn(usize) -> bool) -> f64 {
    const SIDE_OF_SQUARE: usize = 8;
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let (mut sum, mut count) = (0.0, 0.0);
    for top in (0..a.height - SIDE_OF_SQUARE).step_by(SIDE_OF_SQUARE) {
        for left in (0..a.width - SIDE_OF_SQUARE).step_by(SIDE_OF_SQUARE) {
            let places: Vec<usize> = (0..SIDE_OF_SQUARE * SIDE_OF_SQUARE)
                .map(|i| (top + i / SIDE_OF_SQUARE) * a.width + left + i % SIDE_OF_SQUARE)
                .collect();
            if !places.iter().all(|&i| inside(i)) {
                continue;
            }
            let values = |p: &Picture| -> Vec<f64> {
                places.iter().map(|&i| f64::from(p.rgb[i * 3 + 1])).collect()
            };
            let (x, y, n) = (values(a), values(b), places.len() as f64);
            let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
            let (mx, my) = (mean(&x), mean(&y));
            let product = |p: &[f64], mp: f64, q: &[f64], mq: f64| {
                p.iter().zip(q).map(|(p, q)| (p - mp) * (q - mq)).sum::<f64>() / (n - 1.0)
            };
            let (vx, vy, both) =
                (product(&x, mx, &x, mx), product(&y, my, &y, my), product(&x, mx, &y, my));
            sum += (2.0 * mx * my + c1) * (2.0 * both + c2)
                / ((mx * mx + my * my + c1) * (vx + vy + c2));
            count += 1.0;
        }
    }
    sum / f64::max(count, 1.0)
}

#[test]
fn faces_gain_and_the_rest_stays() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let mut restorer = PhotoRestorer::new(&engine, &model, None, None, PhotoOptions::default())
        .expect("a face model");
    let (mut gains, mut similarity) = (Vec::new(), Vec::new());
    for (seed, (clear, landmarks)) in (1..).zip(portraits(&shared, 60)) {
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
        let like = |picture| ssim(picture, &clear, |i| mask(i) > 0.5);
        similarity.push(like(&output.picture) - like(&input));
        // Heads that are turned far are cut out and masked in another way.
        if !output.faces[0].turned {
            // The mask is sampled from one in the face's frame: it may reach a pixel further.
            let outside = |i: usize| {
                let near = |i: usize| mask(i.min(SIDE * SIDE - 1)) == 0.0;
                [i, i + 2, i.saturating_sub(2), i + 2 * SIDE, i.saturating_sub(2 * SIDE)]
                    .into_iter()
                    .all(near)
            };
            assert_eq!(error(&output.picture, &input, outside), 0.0, "outside of the face");
        }
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let better = |v: &[f64]| v.iter().filter(|&&gain| gain > 0.0).count();
    eprintln!(
        "inside of {} faces: {:.2} dB ({} gain), {:.4} SSIM ({} gain); the least {:.2} dB",
        gains.len(),
        mean(&gains),
        better(&gains),
        mean(&similarity),
        better(&similarity),
        gains.iter().copied().fold(f64::INFINITY, f64::min),
    );
    assert!(mean(&gains) > 0.25 && mean(&similarity) > 0.005);
    assert!(better(&gains) * 10 >= gains.len() * 8, "{gains:.2?}");
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
