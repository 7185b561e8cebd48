//! The cases of `goldens/pipeline`: what facexlib and OpenCV computed from stored landmarks, faces
//! and classes.

use std::path::Path;

use pentimento::models::parsenet::FACE_CLASSES;
use pentimento::photo::align::{self, Affine, Landmarks};
use pentimento::photo::enlarge::enlarged;
use pentimento::photo::paste::{Blend, Canvas};

use crate::support;

fn doubles(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    npyz::NpyFile::new(&bytes[..]).expect("a .npy file").into_vec().expect("a golden of f64")
}

fn landmarks(path: &Path) -> Vec<Landmarks> {
    let points: Vec<[f64; 2]> = doubles(path).as_chunks().0.to_vec();
    points.as_chunks().0.to_vec()
}

fn affines(path: &Path) -> Vec<Affine> {
    let rows: Vec<[f64; 3]> = doubles(path).as_chunks().0.to_vec();
    rows.as_chunks().0.iter().map(|&rows| Affine(rows)).collect()
}

/// Pictures of a file in OpenCV's order of colours, with their height and width.
fn pictures(path: &Path) -> (Vec<Vec<[u8; 3]>>, usize, usize) {
    let (dims, bytes) = support::npy_u8(path);
    let &[.., height, width, 3] = dims.as_slice() else { panic!("{dims:?}") };
    let pixels: Vec<[u8; 3]> = bytes.as_chunks().0.iter().map(|&[b, g, r]| [r, g, b]).collect();
    (pixels.chunks(height * width).map(<[_]>::to_vec).collect(), height, width)
}

fn largest_difference(a: &[[u8; 3]], b: &[[u8; 3]]) -> u8 {
    assert_eq!(a.len(), b.len());
    let pairs = a.as_flattened().iter().zip(b.as_flattened());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

fn close(a: &Affine, b: &Affine, tolerance: f64) -> bool {
    let pairs = a.0.as_flattened().iter().zip(b.0.as_flattened());
    pairs.into_iter().all(|(a, b)| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

#[test]
fn similarities_are_opencvs() {
    let Some(shared) = support::shared() else { return };
    let folders = support::folders(&shared.join("goldens/pipeline"));
    for folder in folders.iter().filter(|folder| folder.join("inliers_u8.npy").exists()) {
        let landmarks = landmarks(&folder.join("landmarks_f64.npy"));
        let expected = affines(&folder.join("affine_f64.npy"));
        let inverses = affines(&folder.join("inverse_f64.npy"));
        let (_, inliers) = support::npy_u8(&folder.join("inliers_u8.npy"));
        let mut equal = 0;
        for (i, points) in landmarks.iter().enumerate() {
            let fit = align::align(points, 512).expect("five points that differ");
            let same = fit.inliers.iter().zip(&inliers[5 * i..]).all(|(&a, &b)| a == (b != 0));
            // Single-precision points bound what the reference itself holds.
            if same
                && close(&fit.to_face, &expected[i], 1e-9)
                && close(&fit.to_face.inverse(), &inverses[i], 1e-9)
            {
                equal += 1;
            }
        }
        assert_eq!(equal, landmarks.len(), "of {} similarities", landmarks.len());
    }
}

#[test]
fn crops_and_pasted_photos_are_facexlibs() {
    let Some(shared) = support::shared() else { return };
    for folder in support::folders(&shared.join("goldens/pipeline")) {
        let meta = support::json(&folder.join("meta.json"));
        let Some(size) = meta["face_size"].as_u64() else { continue };
        check(&folder, size as usize, meta["upscale"].as_u64().expect("a factor") as usize);
    }
}

fn check(folder: &Path, size: usize, factor: usize) {
    let name = folder.file_name().expect("a folder").to_string_lossy();
    let (photo, height, width) = pictures(&folder.join("photo_bgr_u8.npy"));
    let photo = Canvas { pixels: photo[0].clone(), height, width };
    let (crops, ..) = pictures(&folder.join("cropped_bgr_u8.npy"));
    let (restored, ..) = pictures(&folder.join("restored_bgr_u8.npy"));
    let (result, ..) = pictures(&folder.join("result_bgr_u8.npy"));
    let landmarks = landmarks(&folder.join("landmarks_f64.npy"));
    let expected = affines(&folder.join("affine_f64.npy"));

    let background = folder.join("background_bgr_u8.npy");
    let (background, h, w) = if background.exists() {
        pictures(&background)
    } else {
        (vec![photo.pixels.clone()], height, width)
    };
    let to = [height * factor, width * factor];
    let background = enlarged(&background[0], h, w, to);
    let (resized, ..) = pictures(&folder.join("step00_resize.npy"));
    assert_eq!(largest_difference(&background, &resized[0]), 0, "{name}: background");

    let mut canvas = Canvas { pixels: background, height: to[0], width: to[1] };
    for (i, landmarks) in landmarks.iter().enumerate() {
        let fit = align::align(landmarks, size).expect("a face");
        assert!(close(&fit.to_face, &expected[i], 1e-9), "{name}: {:?}", fit.to_face);
        let crop = photo.crop(&fit.to_face, size);
        assert_eq!(largest_difference(&crop, &crops[i]), 0, "{name}: crop {i}");
        let classes = folder.join("parse_labels_u8.npy");
        let classes = classes.exists().then(|| support::npy_u8(&classes).1);
        let seen = |&class: &u8| FACE_CLASSES[usize::from(class)];
        let classes: Option<Vec<bool>> = classes.map(|all| all.iter().map(seen).collect());
        let blend = match &classes {
            Some(classes) => Blend::Parsed(&classes[i * 512 * 512..][..512 * 512]),
            None => Blend::Square,
        };
        let to_photo = fit.to_face.inverse().enlarged(factor);
        canvas.paste(&restored[i], size, &to_photo, factor, blend);
    }
    let worst = largest_difference(&canvas.pixels, &result[0]);
    let pairs = canvas.pixels.as_flattened().iter().zip(result[0].as_flattened());
    let differing = pairs.filter(|(a, b)| a != b).count() as f64 / result[0].len() as f64 / 3.0;
    eprintln!("{name}: {:.3} % of the values differ, by {worst} at most", 100.0 * differing);
    assert!(worst <= 1, "{name}: {worst} levels");
}
