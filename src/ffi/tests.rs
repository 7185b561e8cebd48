//! What only Rust can test: panics, from inside of the library and from a callback.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use safetensors::tensor::{Dtype, TensorView};

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
        let mut options = MaybeUninit::uninit();
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

/// Lines of the log.
static LINES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C-unwind" fn line(user: *mut c_void, _: u32, text: *const c_char) {
    assert!(user.is_null());
    // SAFETY: a string during the call.
    assert!(!unsafe { CStr::from_ptr(text) }.is_empty());
    LINES.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C-unwind" fn counts(user: *mut c_void, done: f32) -> i32 {
    assert!((0.0..=1.0).contains(&done));
    // SAFETY: the program gave a number that lives as long as its restorer.
    unsafe { *user.cast::<u32>() += 1 };
    0
}

/// A value at any address.
#[repr(C, packed)]
struct Odd<T>(u8, T);

/// A file of a network that keeps the size of pictures, with three layers of few channels: Miri takes
/// minutes for those of the goldens.
fn smallest() -> Vec<u8> {
    let tensors = [
        ("body.0.weight", vec![4, 3, 3, 3]),
        ("body.0.bias", vec![4]),
        ("body.2.weight", vec![4, 4, 3, 3]),
        ("body.2.bias", vec![4]),
        ("body.4.weight", vec![3, 4, 3, 3]),
        ("body.4.bias", vec![3]),
    ];
    let bytes = tensors.each_ref().map(|(_, dims)| -> Vec<u8> {
        let count: usize = dims.iter().product();
        (0..count).flat_map(|i| ((i % 7) as f32 / 70.0).to_le_bytes()).collect()
    });
    let views = tensors
        .into_iter()
        .zip(&bytes)
        .map(|((name, dims), bytes)| (name, TensorView::new(Dtype::F32, dims, bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// A program in C: pictures of each format in memory that ends with their last byte, and all arguments
/// at any alignment. CI runs it under Miri.
#[test]
fn only_the_memory_that_c_gives_is_touched() {
    const SIDE: usize = 4;
    let file = smallest();
    let options = EngineOptions { device: c"cpu".as_ptr(), precision: 0, memory: 0 };
    let options = Odd(0, options);
    let mut handles = [0, 0, 0].map(|none: u64| Odd(0, none));
    let [engine, model, restorer] = handles.each_mut().map(|handle| &raw mut handle.1);
    let landmarks = [[2.0, 3.0], [6.0, 3.0], [4.0, 4.5], [2.5, 6.0], [5.5, 6.0]];
    let face = Odd(0, Face { landmarks, bounds: [0.0; 4], score: 0.0, restored: 0 });
    // SAFETY: all pointers are to memory of this function, as large as the header says.
    unsafe {
        assert_eq!(pentimento_set_log(Some(line), null_mut(), 4), Status::Ok);
        ::log::debug!("a line");
        assert!(LINES.load(Ordering::Relaxed) > 0);
        assert_eq!(pentimento_engine_new(&raw const options.1, engine), Status::Ok);
        let opened = pentimento_model_from_bytes(file.as_ptr(), file.len(), model);
        assert_eq!(opened, Status::Ok, "{}", message());
        let [engine, model] = [engine, model].map(|handle| handle.read_unaligned());
        let mut info = MaybeUninit::<ModelInfo>::uninit();
        assert_eq!(pentimento_model_describe(model, info.as_mut_ptr()), Status::Ok);
        assert_eq!(info.assume_init().factor, 1);
        let mut name = [1; 3];
        assert_eq!(pentimento_engine_device(engine, name.as_mut_ptr(), 3), Status::Ok);
        assert_eq!(name, [b'C' as c_char, b'P' as c_char, 0]);

        let mut defaults = MaybeUninit::uninit();
        assert_eq!(pentimento_restorer_options_default(defaults.as_mut_ptr()), Status::Ok);
        let defaults = Odd(0, defaults.assume_init());
        let made = pentimento_restorer_new(engine, model, &raw const defaults.1, restorer);
        assert_eq!(made, Status::Ok, "{}", message());
        let restorer = restorer.read_unaligned();
        let (mut wide, mut high, side) = (0, 0, SIDE as u32);
        let sized =
            pentimento_restorer_output_size(restorer, side, side, &raw mut wide, &raw mut high);
        assert_eq!((sized, wide, high), (Status::Ok, side, side));
        let named = pentimento_restorer_device(restorer, name.as_mut_ptr(), 2);
        assert_eq!((named, &name[..2]), (Status::Ok, &[b'C' as c_char, 0][..]));
        let mut calls = 0_u32;
        let user = (&raw mut calls).cast();
        assert_eq!(pentimento_set_progress(restorer, Some(counts), user), Status::Ok);
        let all = [
            (PixelFormat::Rgb8, 3, 0),
            (PixelFormat::Rgba8, 4, 5),
            (PixelFormat::Bgra8, 4, 1),
            (PixelFormat::F32Planar, 4, 4),
        ];
        for (format, pixel, gap) in all {
            let (row, planes) =
                (SIDE * pixel, if format == PixelFormat::F32Planar { 3 } else { 1 });
            let (stride, plane_stride) = (row + gap, SIDE * (row + gap) + 3);
            let size = (planes - 1) * plane_stride + (SIDE - 1) * stride + row;
            // As floats: about 2, and so white.
            let mut bytes: Vec<u8> = (0..size).map(|i| 64 - (i % 2) as u8).collect();
            let before = bytes.clone();
            let image = Image {
                data: bytes.as_mut_ptr().cast(),
                size,
                width: side,
                height: side,
                stride,
                plane_stride: if planes == 1 { 0 } else { plane_stride },
                format: format as u32,
            };
            let image = Odd(0, image);
            let status = pentimento_restore(restorer, &raw const image.1, &raw const image.1);
            assert_eq!(status, Status::Ok, "{}", message());
            assert!(bytes != before, "{format:?}");
            for (i, (now, before)) in bytes.iter().zip(&before).enumerate() {
                let (plane, at) = (i / plane_stride, i % plane_stride);
                let is_gap = at % stride >= row || at / stride >= SIDE;
                assert!(!is_gap || now == before, "{format:?}: byte {at} of plane {plane}");
            }
        }
        assert!(calls > 0);
        let (mut seconds, mut count) = (0.0, 1);
        assert_eq!(pentimento_restorer_seconds(restorer, &raw mut seconds), Status::Ok);
        assert!(seconds > 0.0);
        let status = pentimento_restored_faces(restorer, null_mut(), 0, &raw mut count);
        assert_eq!((status, count), (Status::Ok, 0));
        let none = null();
        let status = pentimento_restore_faces(restorer, none, none, &raw const face.1, 1);
        assert_eq!(status, Status::Argument, "{}", message());
        assert_eq!(pentimento_restorer_free(restorer), Status::Ok);
        assert_eq!(pentimento_model_free(model), Status::Ok);
        assert_eq!(pentimento_engine_free(engine), Status::Ok);
        assert_eq!(pentimento_set_log(None, null_mut(), 0), Status::Ok);
    }
}
