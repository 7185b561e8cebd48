//! The half of the package for browsers that is WebAssembly: what `web/src/pentimento.ts` wraps.
//! Pictures and weights cross as bytes, everything else as plain objects.

#![cfg(feature = "browser")]

mod errors;
mod photo;
mod restorer;

use wasm_bindgen::prelude::*;

/// The shapes of plain objects, for the declarations that wasm-bindgen writes.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The device that the engine computes on. */
export interface Device {
  name: string;
  backend: string;
  kind: string;
  driver: string;
  max_binding: number;
  workgroup_memory: number;
  features: string[];
}

/** A face of a photo. */
export interface Face {
  /** Eyes, tip of the nose, corners of the mouth, the left one of each pair first: `[x, y]`. */
  landmarks: [number, number][];
  /** The detector's confidence, 0 to 1. */
  score?: number;
  /** Left, top, right, bottom. */
  bounds?: [number, number, number, number];
}

/** The outcome of a face: restored, or skipped. */
export interface Outcome extends Face {
  /** How the head is turned, in degrees. */
  pose: { yaw: number; pitch: number; roll: number };
  /** Whether it was cut out as a head that is turned far to the side. */
  turned: boolean;
  /** Whether the dots of a print cover it. The network got their averages. */
  printed: boolean;
  /** Why it was skipped, and so left as it was; not there where it was restored. */
  skipped?: string;
}

/** Where the time of the last face went. */
export interface Timings {
  /** From the crop to the restored face, in milliseconds. */
  total: number;
  /** Each step of the network; empty where the GPU cannot time its work. */
  steps: { name: string; kernel: string; time: number }[];
}

/** Called for every face as soon as it is done, from left to right. `rgba` is the restored face,
 * `size` pixels wide and high; its pixel `[x, y]` belongs at `[a x + c y + e, b x + d y + f]` of the
 * result, as canvas transforms count. Both are not there where the face was left as it was. */
export type Show = (
  face: Outcome,
  rgba?: Uint8ClampedArray<ArrayBuffer>,
  transform?: [number, number, number, number, number, number],
) => void;
"#;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
    #[wasm_bindgen(js_namespace = JSON, js_name = parse, catch)]
    fn parse(json: &str) -> Result<JsValue, JsValue>;
}

/// Called once, when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// `value` as a plain object.
fn object<T: JsCast>(value: &impl serde::Serialize) -> Result<T, JsValue> {
    let json = serde_json::to_string(value).map_err(|e| errors::internal(&e.to_string()))?;
    Ok(parse(&json)?.unchecked_into())
}
