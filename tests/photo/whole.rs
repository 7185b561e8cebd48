//! Whole portraits, degraded, and restored by the default models.

use std::path::Path;

use pentimento::photo::align::{self, Affine, Landmarks};
use pentimento::photo::mask::Oval;
use pentimento::photo::warp::{Area, View, warp};
use pentimento::photo::{
    self, BlendMask, Detector, DetectorOptions, Face, FaceSelection, GivenFace, Outcome,
    PhotoOptions, PhotoRestorer, Picture,
};
use pentimento::{Engine, EngineOptions, Model, Precision};

use crate::portraits::{SIDE, degraded, error, portraits, seam, ssim};
use crate::print::ink;
use crate::support;
use crate::support::engines::gpu;

pub fn weights(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights").join(name);
    Model::open(path).expect("weights of the repository")
}

fn cpu() -> Engine {
    let options = EngineOptions::new().device("cpu").precision(Precision::F32);
    Engine::new(&options).expect("the CPU is there")
}

/// YuNet's own weights.
fn detector(engine: &Engine, shared: &Path) -> Detector {
    let model = Model::open(shared.join("models/yunet_n.pth")).expect("a detector");
    Detector::new(engine, &model, DetectorOptions::default()).expect("a detector")
}

/// The default model with the default detector.
fn default_restorer() -> PhotoRestorer {
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let detector =
        Detector::new(&engine, &weights("face-detector.safetensors"), DetectorOptions::default());
    let detector = Some(detector.expect("a detector"));
    PhotoRestorer::new(&engine, &model, detector, None, PhotoOptions::default())
        .expect("a face model")
}

/// From here on a seam shows, on average: over sixty portraits restored faces have 1.21, those that
/// are 8 levels brighter and end at once 1.37.
const SEAM: f64 = 1.25;
/// The most of a single face: among the sixty it is 1.43.
const CLEAR_SEAM: f64 = 1.5;

/// Restores the first portraits; says by how much their faces gain, and asserts it.
fn restore(count: usize) {
    let Some(shared) = support::shared() else { return };
    let mut restorer = default_restorer();
    let (mut psnr, mut similarity) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut seams, mut cuts, mut missed, mut wrong) = (Vec::new(), Vec::new(), 0, 0);
    for (seed, (clear, landmarks)) in (1..).zip(portraits(&shared, count)) {
        let input = degraded(&clear, seed);
        let output = restorer.restore(&input, None).expect("a portrait");
        let place = |i: usize| [(i % SIDE) as f64, (i / SIDE) as f64];
        let labelled = Oval::of(&landmarks);
        let inside = |i: usize| labelled.at(place(i)) > 0.5;
        for (i, picture) in [&input, &output.picture].into_iter().enumerate() {
            psnr[i].push(10.0 * (255.0_f64.powi(2) / error(picture, &clear, inside)).log10());
            similarity[i].push(ssim(picture, &clear, inside));
        }
        // Further faces that are restored are wrong ones; a missed face stays as it was.
        let off = |face: &Outcome| {
            let ([x, y], [u, v]) = (face.face.landmarks[2], landmarks[2]);
            (x - u).hypot(y - v) / face.face.eye_distance()
        };
        let is_right = |face: &&Outcome| face.skipped.is_none() && off(face) < 0.3;
        let Some(outcome) = output.faces.iter().find(is_right) else {
            missed += 1;
            continue;
        };
        let restored = output.faces.iter().filter(|face| face.skipped.is_none()).count();
        wrong += restored - 1;
        // Heads that are turned far are cut out and masked in another way.
        if outcome.turned || restored > 1 {
            continue;
        }
        let oval = Oval::of(&outcome.face.landmarks);
        // The mask is sampled from one in the face's frame: it may reach a pixel further.
        let outside = |i: usize| {
            let near = |i: usize| oval.at(place(i.min(SIDE * SIDE - 1))) == 0.0;
            [i, i + 2, i.saturating_sub(2), i + 2 * SIDE, i.saturating_sub(2 * SIDE)]
                .into_iter()
                .all(near)
        };
        assert_eq!(error(&output.picture, &input, outside), 0.0, "outside of the face");
        seams.push(seam(&output.picture, &input, &clear, |place| oval.at(place)));
        let mut cut = output.picture.clone();
        for i in (0..SIDE * SIDE).filter(|&i| oval.at(place(i)) > 0.5) {
            cut.rgb[3 * i..3 * i + 3].iter_mut().for_each(|v| *v = v.saturating_add(8));
        }
        cuts.push(seam(&cut, &input, &clear, |place| oval.at(place)));
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let gains = |v: &[Vec<f64>; 2]| -> Vec<f64> {
        v[1].iter().zip(&v[0]).map(|(after, before)| after - before).collect()
    };
    let better = |v: &[f64]| v.iter().filter(|&&gain| gain > 0.0).count();
    let least = |v: &[f64]| v.iter().copied().fold(f64::INFINITY, f64::min);
    let most = seams.iter().copied().fold(0.0, f64::max);
    let (more_psnr, more_ssim) = (gains(&psnr), gains(&similarity));
    eprintln!(
        "{missed} of {count} faces missed, {wrong} wrong ones; inside of all: PSNR {:.2} dB, bicubic \
         {:.2} ({:+.2}; {} gain, the least {:+.2}); SSIM {:.4}, bicubic {:.4} ({:+.4}; {} gain, the \
         least {:+.4}); across the edge {:.2} times as steep as before, at most {most:.2}, \
         and {:.2} times where it was cut",
        mean(&psnr[1]),
        mean(&psnr[0]),
        mean(&more_psnr),
        better(&more_psnr),
        least(&more_psnr),
        mean(&similarity[1]),
        mean(&similarity[0]),
        mean(&more_ssim),
        better(&more_ssim),
        least(&more_ssim),
        mean(&seams),
        mean(&cuts),
    );
    assert!(mean(&more_psnr) > 0.25 && mean(&more_ssim) > 0.005);
    assert!(better(&more_psnr) * 10 >= count * 8, "{more_psnr:.2?}");
    // One face that is 8 levels brighter may hide its edge among others; most do not.
    assert!(mean(&seams) < SEAM && most < CLEAR_SEAM, "{seams:.2?}");
    assert!(mean(&cuts) > SEAM, "a seam is not seen: {cuts:.2?}");
    assert!(seams.len() * 10 >= count * 7, "only {} faces alone in their portraits", seams.len());
    assert!(20 * missed <= count && 4 * wrong <= count, "{missed} missed, {wrong} wrong");
}

#[test]
fn faces_gain_without_a_seam_and_the_rest_stays() {
    restore(12);
}

#[test]
#[ignore = "takes some minutes"]
fn sixty_faces_gain_without_a_seam_and_the_rest_stays() {
    restore(60);
}

/// Cut to its middle, reduced and enlarged again: at this size detectors miss a face or misplace it.
#[test]
fn a_face_that_fills_the_picture_is_found() {
    let Some(shared) = support::shared() else { return };
    let engine = cpu();
    let options = DetectorOptions::default();
    let mut detector =
        Detector::new(&engine, &weights("face-detector.safetensors"), options).expect("a detector");
    let mut worst = 0.0_f64;
    for (i, (portrait, landmarks)) in portraits(&shared, 6).into_iter().enumerate() {
        let [[lx, ly], [rx, ry], ..] = landmarks;
        let eyes = (rx - lx).hypot(ry - ly);
        let corner = [0, 1].map(|axis| {
            let middle = landmarks.iter().map(|point| point[axis]).sum::<f64>() / 5.0;
            (middle - 1.35 * eyes).max(0.0) as usize
        });
        let side = (2.7 * eyes) as usize;
        let height = side.min(SIDE - corner[1]);
        let width = side.min(SIDE - corner[0]);
        let rows = (0..height).flat_map(|row| {
            let start = 3 * ((corner[1] + row) * SIDE + corner[0]);
            portrait.rgb[start..start + 3 * width].iter().copied()
        });
        let crop = Picture { height, width, rgb: rows.collect(), alpha: None, icc: None };
        let factor = [1, 4, 8][i % 3];
        let small = crop.resized(height / factor, width / factor).expect("a size");
        let scale = 900.0 / height.max(width) as f64;
        let sides = [height, width].map(|n| (n as f64 * scale) as usize);
        let large = small.resized(sides[0], sides[1]).expect("a size");
        let faces = detector.find(&large).expect("a search");
        let [face] = &faces[..] else { panic!("{i}: {faces:?}") };
        for (found, known) in face.landmarks.iter().zip(landmarks) {
            let known = [0, 1].map(|axis| (known[axis] - corner[axis] as f64) * scale);
            let off = (found[0] - known[0]).hypot(found[1] - known[1]) / (eyes * scale);
            worst = worst.max(off);
        }
    }
    eprintln!("landmarks are off by {:.1} % of the eyes' distance at most", 100.0 * worst);
    assert!(worst < 0.25, "{worst:.3}");
}

/// A shaded ball with two holes and a bar is a face to some detectors and to every restoring network.
#[test]
fn what_is_no_face_stays_as_it_was() {
    let Some(shared) = support::shared() else { return };
    let (engine, options) = (cpu(), DetectorOptions::default());
    let mut detector =
        Detector::new(&engine, &weights("face-detector.safetensors"), options).expect("a detector");
    let (portrait, landmarks) = portraits(&shared, 1).remove(0);
    let nose = landmarks[2];
    let photo = Picture {
        rgb: (0..SIDE * SIDE)
            .flat_map(|i| {
                let [x, y] = [(i % SIDE) as f64 - nose[0], (i / SIDE) as f64 - nose[1]];
                // A knob lies where the face was.
                let depth = (1.0 - (x * x + y * y) / 120.0_f64.powi(2)).max(0.0).sqrt();
                let shade = 60.0 + 150.0 * (0.8 * depth - 0.002 * x - 0.002 * y).clamp(0.0, 1.0);
                let is_hole = (x.abs() - 40.0).hypot(y + 30.0) < 12.0;
                [shade * if is_hole { 0.3 } else { 1.0 }; 3].map(|v| v as u8)
            })
            .collect(),
        ..portrait.clone()
    };
    // Found by some, so that the second look alone decides.
    let seen = Face { landmarks, score: Some(0.9), bounds: None };
    let asked = detector.ask(&photo, &seen).expect("an answer");
    let known = detector.ask(&portrait, &seen).expect("an answer");
    eprintln!("a knob has {asked:?} at the second look, a face {known:?}");
    assert!(asked < 0.6 && known > 0.85 && (0.6..0.85).contains(&detector.asked_score()));
}

#[test]
fn options_are_kept() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    let (portrait, landmarks) = portraits(&shared, 1).remove(0);
    let face = Face { landmarks, score: None, bounds: None };
    let tiny = Face { landmarks: landmarks.map(|p| p.map(|v| v / 60.0)), ..face.clone() };
    let run = |options: PhotoOptions| {
        let mut restorer =
            PhotoRestorer::new(&engine, &model, None, None, options).expect("options");
        restorer.restore(&portrait, Some(&[face.clone(), tiny.clone()])).expect("a portrait")
    };
    let still = run(PhotoOptions { strength: 0.0, ..Default::default() });
    assert!(still.picture == portrait, "strength 0 changed something");
    let doubled = run(PhotoOptions { scale: 2, ..Default::default() });
    assert_eq!((doubled.picture.height, doubled.picture.width), (2 * SIDE, 2 * SIDE));
    let skipped: Vec<bool> =
        doubled.faces.iter().map(|outcome| outcome.skipped.is_some()).collect();
    assert_eq!(skipped, [true, false], "the tiny face at the left is left, the other is not");
    for (which, expected) in
        [(FaceSelection::Largest, [true, false]), (FaceSelection::Central, [true, false])]
    {
        let options = PhotoOptions { which, smallest: 0.0, ..Default::default() };
        let skipped: Vec<bool> =
            run(options).faces.iter().map(|face| face.skipped.is_some()).collect();
        assert_eq!(skipped, expected, "{which:?}");
    }
    let [oval, square] = [BlendMask::Oval, BlendMask::Square]
        .map(|mask| run(PhotoOptions { mask, ..Default::default() }).picture);
    // At the corner of the crop the square still shows, the oval does not.
    let to_photo = align::align(&landmarks, 256).expect("a face").to_face.inverse();
    let [x, y] = to_photo.apply([40.0, 40.0]).map(|v| v as usize);
    let block = |p: &Picture| -> Vec<u8> {
        let row = |row: usize| p.rgb[((y + row) * SIDE + x) * 3..][..24].to_vec();
        (0..8).flat_map(row).collect()
    };
    assert_eq!(block(&oval), block(&portrait));
    assert_ne!(block(&square), block(&portrait));
    let wrong = PhotoOptions { scale: 9, ..Default::default() };
    assert!(PhotoRestorer::new(&engine, &model, None, None, wrong).is_err());
}

#[test]
fn a_box_is_enough() {
    let Some(shared) = support::shared() else { return };
    let (engine, model) = (cpu(), weights("mmrbnet-256.safetensors"));
    for detector in [Some(detector(&engine, &shared)), None] {
        // Without a detector, landmarks are put where they lie in most boxes.
        let most = if detector.is_some() { 0.15 } else { 0.4 };
        let mut restorer =
            PhotoRestorer::new(&engine, &model, detector, None, PhotoOptions::default())
                .expect("a face model");
        for (portrait, landmarks) in portraits(&shared, 4) {
            let [[lx, ly], [rx, ry], ..] = landmarks;
            let (x, y) = ((lx + rx) / 2.0, (ly + ry) / 2.0);
            let eyes = (rx - lx).hypot(ry - ly);
            let bounds = [x - 1.1 * eyes, y - 1.1 * eyes, x + 1.1 * eyes, y + 1.7 * eyes];
            let outside = [900.0, 900.0, 990.0, 990.0];
            let given = [bounds.map(|v| v as f32), outside].map(GivenFace::Box);
            let faces = restorer.locate(&portrait, &given).expect("places");
            for (found, known) in faces[0].landmarks.iter().zip(landmarks) {
                let off = (found[0] - known[0]).hypot(found[1] - known[1]) / eyes;
                assert!(off < most, "{off:.3} of {most}");
            }
            let restored = restorer.restore(&portrait, Some(&faces)).expect("a photo");
            assert_eq!(restored.faces[0].skipped, None);
            let skipped = restored.faces[1].skipped.as_deref();
            assert_eq!(skipped, Some("it lies outside of the photo"));
        }
    }
}

/// `portrait` as ink of one colour prints it.
fn printed(portrait: &Picture) -> Picture {
    let mut printed = portrait.clone();
    for (i, pixel) in printed.rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [ink([(i % SIDE) as f64, (i / SIDE) as f64], pixel[1]); 3];
    }
    printed
}

#[test]
fn the_dots_of_a_print_do_not_come_back_as_a_mesh() {
    let Some(shared) = support::shared() else { return };
    let [(clear, landmarks)] = portraits(&shared, 1).try_into().expect("a portrait");
    let print = printed(&clear);
    let oval = Oval::of(&landmarks);
    let inside = |i: usize| oval.at([(i % SIDE) as f64, (i / SIDE) as f64]) > 0.9;
    // What neighbours differ by, on average.
    let unrest = |picture: &Picture| {
        let at = |i: usize| f64::from(picture.rgb[3 * i + 1]);
        let differ = (1..SIDE * SIDE).filter(|&i| inside(i)).map(|i| (at(i) - at(i - 1)).abs());
        differ.clone().sum::<f64>() / differ.count() as f64
    };
    let model = weights("mmrbnet-256.safetensors");
    let face = Face { landmarks, score: None, bounds: None };
    for engine in std::iter::once(cpu()).chain(gpu()) {
        let mut restorer = PhotoRestorer::new(&engine, &model, None, None, PhotoOptions::default())
            .expect("a face model");
        let restored =
            restorer.restore(&print, Some(std::slice::from_ref(&face))).expect("a photo");
        assert_eq!((&restored.faces[0].skipped, restored.faces[0].printed), (&None, true));
        let [before, after] = [&print, &restored.picture].map(unrest);
        eprintln!("unrest {before:.2} → {after:.2}, of the original {:.2}", unrest(&clear));
        assert!(8.0 * after < before, "{before:.2} → {after:.2}");
        let [before, after] = [&print, &restored.picture].map(|p| error(p, &clear, inside));
        assert!(5.0 * after < before, "{before:.0} → {after:.0}");
    }
}

/// `portrait` turned around its middle, with the clock for positive degrees, and its landmarks.
fn turned(portrait: &Picture, landmarks: &Landmarks, degrees: f64) -> (Picture, Landmarks) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let shift = [middle - cos * middle + sin * middle, middle - sin * middle - cos * middle];
    let affine = Affine([[cos, -sin, shift[0]], [sin, cos, shift[1]]]);
    let (pixels, _) = portrait.rgb.as_chunks();
    let view = View { pixels, height: SIDE, width: SIDE };
    let area = Area { top: 0, left: 0, height: SIDE, width: SIDE };
    let rgb = warp(view, &affine, area, [128; 3]).into_flattened();
    (Picture { rgb, ..portrait.clone() }, landmarks.map(|point| affine.apply(point)))
}

#[test]
fn faces_are_found_however_the_photo_is_turned() {
    let Some(shared) = support::shared() else { return };
    let mut detector = detector(&cpu(), &shared);
    let mut worst = 0.0_f64;
    for (portrait, landmarks) in portraits(&shared, 4) {
        for degrees in [-35.0, 20.0, 90.0, 180.0, 270.0] {
            let (photo, known) = turned(&portrait, &landmarks, degrees);
            let faces = detector.find(&photo).expect("a search");
            let [face] = &faces[..] else { panic!("{degrees}: {faces:?}") };
            let eyes = (known[1][0] - known[0][0]).hypot(known[1][1] - known[0][1]);
            for (found, known) in face.landmarks.iter().zip(known) {
                worst = worst.max((found[0] - known[0]).hypot(found[1] - known[1]) / eyes);
            }
        }
    }
    eprintln!("landmarks are off by {:.1} % of the eyes' distance at most", 100.0 * worst);
    assert!(worst < 0.15, "{worst:.3}");
}

#[test]
fn a_face_of_24_pixels_is_found() {
    let Some(shared) = support::shared() else { return };
    let mut detector = detector(&cpu(), &shared);
    let (portrait, landmarks) = portraits(&shared, 1).remove(0);
    // Eyes and mouth are 10.9 pixels apart in a face of 24.
    let length = align::Frame::of(&landmarks).length;
    let side = (SIDE as f64 * 24.0 / 2.2 / length).round() as usize;
    let small = portrait.resized(side, side).expect("a size");
    let mut rgb = vec![110; 3 * SIDE * SIDE];
    for (row, line) in small.rgb.chunks_exact(3 * side).enumerate() {
        rgb[3 * ((200 + row) * SIDE + 300)..][..3 * side].copy_from_slice(line);
    }
    let large = Picture { rgb, ..portrait };
    let [face] = &detector.find(&large).expect("a search")[..] else { panic!("one face") };
    let nose = landmarks[2].map(|v| v * side as f64 / SIDE as f64);
    let [x, y] = face.landmarks[2];
    let off = (x - 300.0 - nose[0]).hypot(y - 200.0 - nose[1]);
    assert!(off < 2.0, "{off:.1} pixels");
}

#[test]
fn a_class_of_fifty_is_found() {
    const CELL: usize = 128;
    const COLUMNS: usize = 10;
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("data/scenes");
    let labels = support::json(&folder.join("landmarks.json"));
    let mut names: Vec<&String> = labels.as_object().expect("a table").keys().collect();
    names.sort();
    let (height, width) = (5 * CELL, COLUMNS * CELL);
    let mut rgb = vec![0; 3 * height * width];
    let mut noses = Vec::new();
    for (i, name) in names[..50].iter().enumerate() {
        let scene = photo::read(&folder.join(name)).expect("a scene");
        let (top, left) = (i / COLUMNS * CELL, i % COLUMNS * CELL);
        let cell = scene.resized(CELL, CELL).expect("a size");
        for (row, line) in cell.rgb.chunks_exact(3 * CELL).enumerate() {
            rgb[3 * ((top + row) * width + left)..][..3 * CELL].copy_from_slice(line);
        }
        let nose = &labels[name.as_str()]["landmarks"][2];
        let at = |axis: usize, side: usize| {
            nose[axis].as_f64().expect("a number") * CELL as f64 / side as f64
        };
        noses.push([left as f64 + at(0, scene.width), top as f64 + at(1, scene.height)]);
    }
    let class = Picture { height, width, rgb, alpha: None, icc: None };
    let faces = detector(&cpu(), &shared).find(&class).expect("a search");
    let is_found = |[x, y]: [f64; 2]| {
        let off = |face: &Face| (face.landmarks[2][0] - x).hypot(face.landmarks[2][1] - y);
        faces.iter().filter(|face| off(face) < 6.0).count() == 1
    };
    let found = noses.iter().filter(|&&nose| is_found(nose)).count();
    eprintln!("{found} of 50 faces, {} in all", faces.len());
    assert!(found >= 45);
}
