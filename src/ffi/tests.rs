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
