//! Errors as JavaScript sees them: an `Error` with a sentence, and a `code` to tell them apart.

use pentimento::Error;
use wasm_bindgen::prelude::*;

/// The codes, for the declarations that wasm-bindgen writes.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The subject of an error of the engine: its property `code`. */
export type ErrorCode =
  | "cancelled"
  | "checkpoint"
  | "device"
  | "device-lost"
  | "image"
  | "input"
  | "internal"
  | "memory"
  | "non-finite";
"#;

/// `error` with its code.
pub fn thrown(error: Error) -> JsValue {
    let code = match error {
        Error::Cancelled => "cancelled",
        Error::Checkpoint { .. }
        | Error::Tensor { .. }
        | Error::Config { .. }
        | Error::UnknownArchitecture(_) => "checkpoint",
        Error::Device(_) => "device",
        Error::DeviceLost(_) => "device-lost",
        Error::Image { .. } => "image",
        Error::Input(_) => "input",
        Error::OutOfMemory { .. } => "memory",
        Error::NonFinite { .. } => "non-finite",
        _ => "internal",
    };
    coded(&error.to_string(), code)
}

/// A contradiction inside of the package.
pub fn internal(what: &str) -> JsValue {
    coded(what, "internal")
}

fn coded(message: &str, code: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a fresh object does not fail.
    let _set = js_sys::Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}
