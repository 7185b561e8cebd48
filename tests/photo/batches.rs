//! Faces of several photos in one run of the network.

use std::path::Path;

use pentimento::photo::{self, Batch, DetectorOptions, Face, Picture, Pipeline, Restoration};
use pentimento::{Engine, EngineOptions, Error, Precision};

use crate::support;
use crate::support::engines::model as small_model;
use crate::whole::weights;

/// Rows and columns of photos of one face in docs/whole-photo.jpg, and their side in pixels.
const FACES: [[usize; 2]; 6] = [[0, 0], [0, 1], [1, 1], [1, 0], [3, 0], [2, 1]];
const SIDE: usize = 320;

/// The CPU, and a GPU where there is one.
fn engines() -> Vec<Engine> {
    let engine = |device: &str| {
        let options = EngineOptions::new().device(device).precision(Precision::F32);
        Engine::new(&options).expect("a listed device")
    };
    let gpu = Engine::devices().iter().find_map(|device| device.index);
    if gpu.is_none() {
        support::skip("what GPUs compute: there is none");
    }
    std::iter::once(engine("cpu")).chain(gpu.map(|index| engine(&index.to_string()))).collect()
}

/// A row of faces, as many as there are places, of which none may be.
fn photo(source: &Picture, places: &[[usize; 2]]) -> Picture {
    let (height, width) = (SIDE, SIDE * places.len().max(1));
    let mut rgb = vec![120; height * width * 3];
    for (at, [row, column]) in places.iter().enumerate() {
        for y in 0..SIDE {
            let from = ((row * SIDE + y) * source.width + column * SIDE) * 3;
            let to = (y * width + at * SIDE) * 3;
            rgb[to..to + 3 * SIDE].copy_from_slice(&source.rgb[from..from + 3 * SIDE]);
        }
    }
    Picture { height, width, rgb, alpha: None, icc: None }
}

/// Photos with one face, two, none and three.
fn album() -> Vec<Picture> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/whole-photo.jpg");
    let source = photo::read(&file).expect("a picture of the repository");
    [&FACES[..1], &FACES[1..3], &[], &FACES[3..6]].map(|places| photo(&source, places)).into()
}

fn pipeline(engine: &Engine, batch: Batch) -> Pipeline {
    let [model, detector] = ["mmrbnet-256.safetensors", "face-detector.safetensors"].map(weights);
    let builder = Pipeline::builder(engine, &model).batch(batch);
    builder.detector(&detector, DetectorOptions::default()).build().expect("the default models")
}

fn all(photos: &[Picture]) -> Vec<(&Picture, Option<&[Face]>)> {
    photos.iter().map(|photo| (photo, None)).collect()
}

fn same(found: &Restoration, expected: &Restoration) {
    assert!(found.picture == expected.picture, "other bytes");
    let [found, expected] =
        [found, expected].map(|r| serde_json::to_string(&r.faces).expect("a report"));
    assert_eq!(found, expected);
}

#[test]
fn an_album_is_the_same_however_many_faces_are_restored_at_a_time() {
    let photos = album();
    let mut finder = pipeline(&engines()[0], Batch::Faces(1));
    let faces: Vec<_> = photos.iter().map(|photo| finder.find(photo).expect("faces")).collect();
    let given: Vec<_> =
        photos.iter().zip(&faces).map(|(photo, faces)| (photo, Some(&faces[..]))).collect();
    for engine in engines() {
        let is_cpu = engine.device().kind == "cpu";
        // The default model takes a driver on the CPU a minute a face. The small one's faces agree with
        // no photo: what is compared is by how much, and that nothing is changed.
        let model = if is_cpu { weights("mmrbnet-256.safetensors") } else { small_model() };
        let pipeline = |batch| {
            let builder = Pipeline::builder(&engine, &model).batch(batch).given_faces();
            builder.build().expect("the default model")
        };
        let mut alone = pipeline(Batch::Faces(1));
        let expected: Vec<_> = given
            .iter()
            .map(|(photo, faces)| alone.restore(photo, *faces).expect("a photo"))
            .collect();
        let restored = expected.iter().flat_map(|r| r.faces.iter().flatten());
        let restored = restored.filter(|face| face.skipped.is_none()).count();
        assert!(restored >= 5 || !is_cpu, "only {restored} faces are restored");
        for (batch, most) in [(Batch::Faces(4), 4), (Batch::Auto, 1)] {
            let mut together = pipeline(batch);
            let found = together.restore_all(&given);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                same(found.as_ref().expect("a photo"), expected);
            }
            let report = together.batch().expect("photos");
            // Of itself neither the CPU nor a driver that runs on it takes several.
            assert!(report.faces == most || engine.device().kind == "discrete", "{report:?}");
            assert!(most == 1 || report.together >= most, "{report:?}");
            assert!(report.together + report.alone >= restored, "{report:?}");
        }
        // A photo's own faces, too.
        let mut together = pipeline(Batch::Faces(3));
        let [.., (photo, faces)] = given[..] else { unreachable!() };
        same(&together.restore(photo, faces).expect("a photo"), &expected[3]);
        assert_eq!(together.batch().expect("photos").together, 3);
    }
}

#[test]
fn a_photo_that_fails_among_others_fails_alone() {
    let engine = engines().remove(0);
    let photos = album();
    let mut wrong = photos[1].clone();
    // Nobody has as much transparency.
    wrong.alpha = Some(vec![0; 7]);
    let photos = [photos[0].clone(), wrong, photos[3].clone()];
    let mut alone = pipeline(&engine, Batch::Faces(1));
    let expected: Vec<_> = photos.iter().map(|photo| alone.restore(photo, None)).collect();
    let found = pipeline(&engine, Batch::Faces(4)).restore_all(&all(&photos));
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        match (found, expected) {
            (Ok(found), Ok(expected)) if at != 1 => same(found, expected),
            (Err(found), Err(expected)) if at == 1 => {
                assert_eq!(found.to_string(), expected.to_string());
            }
            _ => panic!("photo {at}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn what_has_no_room_for_several_faces_restores_each_alone() {
    let photos = album();
    let one = pipeline(&engines()[0], Batch::Faces(1));
    let needed = one.session().expect("a session").memory().total;
    let options = EngineOptions::new().device("cpu").memory(needed + needed / 8);
    let engine = Engine::new(&options).expect("the CPU is there");
    let mut restorer = pipeline(&engine, Batch::Faces(4));
    let found = restorer.restore_all(&all(&photos));
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    let report = restorer.batch().expect("photos");
    assert_eq!((report.faces, report.together), (1, 0));
    let notes = engine.take_notes();
    assert!(notes.iter().any(|note| note.contains("each is restored alone")), "{notes:?}");
}

#[test]
fn a_batch_has_bounds() {
    let engine = engines().remove(0);
    let model = weights("mmrbnet-256.safetensors");
    for faces in [0, Batch::MOST + 1] {
        let builder = Pipeline::builder(&engine, &model).batch(Batch::Faces(faces));
        let refused = builder.given_faces().build();
        assert!(matches!(refused, Err(Error::Input(what)) if what.contains("1 to 64 faces")));
    }
    let builder = Pipeline::builder(&engine, &model);
    assert!(builder.batch(Batch::Faces(Batch::MOST)).given_faces().build().is_ok());
}
