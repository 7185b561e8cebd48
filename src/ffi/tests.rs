//! What only Rust can test: panics, from inside of the library and from a callback.

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use super::status::border;
use super::*;

fn message() -> String {
    // SAFETY: never NULL, and valid until the next call of this thread.
    unsafe { CStr::from_ptr(pentimento_last_error()) }.to_str().unwrap().to_owned()
}

#[test]
fn panics_become_errors() {
    assert_eq!(border(|| panic!("number {}", 7)), Status::Internal);
    assert_eq!(message(), "internal error, please report it: number 7");
    assert_eq!(border(|| std::panic::panic_any(7)), Status::Internal);
    assert_eq!(message(), "internal error, please report it: a panic");
    assert_eq!(border(|| Ok(())), Status::Ok);
    assert_eq!(message(), "");
}

/// The sentences of `tests/photo/front_door.rs`.
#[test]
fn what_does_not_fit_is_said_at_once() {
    let root = env!("CARGO_MANIFEST_DIR");
    let open = |path: &str| {
        let path = std::ffi::CString::new(format!("{root}/{path}")).unwrap();
        let mut model = 0;
        // SAFETY: both point to what is asked for.
        let status = unsafe { pentimento_model_open(path.as_ptr(), &raw mut model) };
        assert_eq!(status, Status::Ok, "{}", message());
        model
    };
    let face = open("tests/goldens/mmrbnet/default_32/checkpoint.safetensors");
    let detector = open("weights/face-detector.safetensors");
    let on_cpu = EngineOptions { device: c"cpu".as_ptr(), precision: 0, memory: 0 };
    let mut engine = 0;
    // SAFETY: both point to what is asked for.
    let status = unsafe { pentimento_engine_new(&raw const on_cpu, &raw mut engine) };
    assert_eq!(status, Status::Ok);
    let defaults = || {
        let mut options = std::mem::MaybeUninit::uninit();
        // SAFETY: it may be written, and is when the call succeeds.
        unsafe {
            assert_eq!(pentimento_restorer_options_default(options.as_mut_ptr()), Status::Ok);
            options.assume_init()
        }
    };
    let photo = || RestorerOptions { detector, ..defaults() };
    let mut restorer = 0;
    for (model, options, expected) in [
        (
            face,
            RestorerOptions { background: face, ..defaults() },
            "background needs a detector, or faces that are given",
        ),
        (
            face,
            RestorerOptions { scale: 2, ..defaults() },
            "scale needs a detector, or faces that are given",
        ),
        (
            face,
            RestorerOptions { parser: face, strength: 0.5, ..defaults() },
            "parser and strength need a detector, or faces that are given",
        ),
        (
            face,
            RestorerOptions { detector: face, ..defaults() },
            "MMRB-Net finds no faces; use a detector",
        ),
        (
            face,
            RestorerOptions { background: face, ..photo() },
            "MMRB-Net enlarges no pictures; use an upscaling model as background",
        ),
        (
            face,
            RestorerOptions { parser: face, ..photo() },
            "MMRB-Net does not say what a face's pixels show; use a parser",
        ),
        (
            face,
            RestorerOptions { scale: 9, ..photo() },
            "strength and grain lie between 0 and 1, the scale between 1 and 4",
        ),
        (
            face,
            RestorerOptions { smallest: f64::NAN, ..photo() },
            "the smallest distance of the eyes is a number of pixels",
        ),
        (
            face,
            RestorerOptions { threshold: 1.5, ..photo() },
            "the detector's threshold and overlap lie between 0 and 1, and its long side has a \
             pixel or more",
        ),
        (
            detector,
            defaults(),
            "YuNet looks at pictures, it does not restore any; use another model",
        ),
    ] {
        // SAFETY: all pointers are to variables of this function.
        let status = unsafe {
            pentimento_restorer_new(engine, model, &raw const options, &raw mut restorer)
        };
        assert_eq!((status, message().as_str()), (Status::Argument, expected));
    }
    // Faces that will be given need no detector.
    let given = RestorerOptions { given_faces: 1, scale: 2, ..defaults() };
    // SAFETY: as above.
    let status =
        unsafe { pentimento_restorer_new(engine, face, &raw const given, &raw mut restorer) };
    assert_eq!(status, Status::Ok, "{}", message());
    for handle in [restorer, face, detector, engine] {
        // Each kind has its own function; the others refuse it.
        let freed = [pentimento_restorer_free, pentimento_model_free, pentimento_engine_free]
            .map(|free| free(handle));
        assert_eq!(freed.iter().filter(|status| **status == Status::Ok).count(), 1);
    }
}

unsafe extern "C-unwind" fn panics(_: *mut c_void, done: f32) -> i32 {
    assert!(done < 0.5, "injected at {done}");
    0
}

#[test]
fn a_panic_in_the_middle_of_a_network_does_not_cross_the_border() {
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/goldens/mmrbnet/default_32/checkpoint.safetensors\0"
    );
    let options = EngineOptions { device: c"cpu".as_ptr(), precision: 0, memory: 0 };
    let mut pixels = vec![100_u8; 32 * 32 * 3];
    let image = Image {
        data: pixels.as_mut_ptr().cast(),
        size: pixels.len(),
        width: 32,
        height: 32,
        stride: 0,
        plane_stride: 0,
        format: PixelFormat::Rgb8 as u32,
    };
    let [mut engine, mut network, mut restorer] = [0; 3];
    // SAFETY: all pointers are to variables of this function, which fit what is asked of them.
    unsafe {
        assert_eq!(pentimento_engine_new(&raw const options, &raw mut engine), Status::Ok);
        assert_eq!(pentimento_model_open(model.as_ptr().cast(), &raw mut network), Status::Ok);
        let made = pentimento_restorer_new(engine, network, null(), &raw mut restorer);
        assert_eq!(made, Status::Ok);
        assert_eq!(pentimento_set_progress(restorer, Some(panics), null_mut()), Status::Ok);
        for _ in 0..2 {
            let status = pentimento_restore(restorer, &raw const image, &raw const image);
            assert_eq!(status, Status::Internal);
            assert!(message().contains("injected at 0."), "{}", message());
        }
        assert_eq!(pentimento_set_progress(restorer, None, null_mut()), Status::Ok);
        let status = pentimento_restore(restorer, &raw const image, &raw const image);
        assert_eq!(status, Status::Ok, "{}", message());
    }
    assert!(pixels.iter().any(|&v| v != 100));
    assert_eq!(pentimento_restorer_free(restorer), Status::Ok);
    assert_eq!(pentimento_model_free(network), Status::Ok);
    assert_eq!(pentimento_engine_free(engine), Status::Ok);
    assert_eq!(pentimento_engine_free(engine), Status::Handle);
    assert!(message().contains("was freed"), "{}", message());
}
