//! What a [`Pipeline`] refuses, in the sentences that C, Python and the command line must give too:
//! `src/ffi/tests.rs`, `bindings/python/tests` and `tests/cli/faces.rs` hold the same ones.

use pentimento::Error;
use pentimento::photo::{
    BlendMask, DetectorOptions, PhotoOptions, Picture, Pipeline, PipelineBuilder,
};

use crate::support::engines::{cpu, model};
use crate::whole::weights;

fn sentence(builder: PipelineBuilder) -> String {
    match builder.build() {
        Err(Error::Input(sentence)) => sentence,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn what_does_not_fit_is_said_at_once() {
    let (engine, face, detector) = (cpu(), model(), weights("face-detector.safetensors"));
    let plain = || Pipeline::builder(&engine, &face);
    let photo = || plain().detector(&detector, DetectorOptions::default());
    let with = |options: PhotoOptions| photo().options(options);
    let (scale, default) =
        (PhotoOptions { scale: 2, ..Default::default() }, PhotoOptions::default());
    let sharp = DetectorOptions { threshold: 1.5, ..DetectorOptions::default() };
    for (builder, expected) in [
        (plain().background(&face), "background needs a detector, or faces that are given"),
        (plain().options(scale), "scale needs a detector, or faces that are given"),
        (
            plain().parser(&face).options(PhotoOptions { strength: 0.5, ..default }),
            "parser and strength need a detector, or faces that are given",
        ),
        (
            plain().detector(&face, DetectorOptions::default()),
            "MMRB-Net finds no faces; use a detector",
        ),
        (
            photo().background(&face),
            "MMRB-Net enlarges no pictures; use an upscaling model as background",
        ),
        (photo().parser(&face), "MMRB-Net does not say what a face's pixels show; use a parser"),
        (
            photo().parser(&face).options(PhotoOptions { mask: BlendMask::Oval, ..default }),
            "a parser is of use to the mask \"face\" alone; leave one of them out",
        ),
        (
            with(PhotoOptions { scale: 9, ..default }),
            "strength and grain lie between 0 and 1, the scale between 1 and 4",
        ),
        (
            with(PhotoOptions { smallest: f64::NAN, ..default }),
            "the smallest distance of the eyes is a number of pixels",
        ),
        (
            plain().detector(&detector, sharp),
            "the detector's threshold and overlap lie between 0 and 1, and its long side has a \
             pixel or more",
        ),
        (
            Pipeline::builder(&engine, &detector),
            "YuNet looks at pictures, it does not restore any; use another model",
        ),
    ] {
        assert_eq!(sentence(builder), expected);
    }
}

#[test]
fn faces_that_are_given_need_no_detector() {
    let (engine, face) = (cpu(), model());
    let options = PhotoOptions { scale: 2, ..Default::default() };
    let builder = Pipeline::builder(&engine, &face).options(options).given_faces();
    let mut pipeline = builder.build().expect("faces will be given");
    let rgb = vec![90; 40 * 50 * 3];
    let photo = Picture { height: 40, width: 50, rgb, alpha: None, icc: None };
    let restored = pipeline.restore(&photo, Some(&[])).expect("a photo without a face");
    assert_eq!((restored.picture.height, restored.picture.width), (80, 100));
    assert_eq!(restored.faces.map(|faces| faces.len()), Some(0));
    assert!(restored.tiles.is_none());
    let error = pipeline.restore(&photo, None).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("there is no detector, and no faces are given"));
}

#[test]
fn a_picture_alone_is_one_face() {
    let mut pipeline = Pipeline::builder(&cpu(), &model()).build().expect("a face model");
    assert!(!pipeline.is_photo());
    let rgb = vec![90; 40 * 40 * 3];
    let photo = Picture { height: 40, width: 40, rgb, alpha: None, icc: None };
    let restored = pipeline.restore(&photo, None).expect("a face");
    assert_eq!((restored.picture.height, restored.picture.width), (32, 32));
    assert_eq!(
        (restored.tiles.map(|tiles| tiles.tiles), restored.faces.is_none()),
        (Some(1), true)
    );
    // Faces may be given all the same; the result then has the photo's size.
    let restored = pipeline.restore(&photo, Some(&[])).expect("a photo");
    assert_eq!((restored.picture.height, restored.picture.width), (40, 40));
}
