//! Photos on their way in, and what became of them on their way out.

use std::path::Path;

use pentimento::photo::{Metadata, Picture, decode_with_metadata, encode};
use pentimento::{Error, photo};
use wasm_bindgen::prelude::*;

use crate::errors::thrown;

/// A decoded photo.
#[wasm_bindgen]
pub struct Photo {
    pub(crate) picture: Picture,
    pub(crate) metadata: Metadata,
}

#[wasm_bindgen]
impl Photo {
    /// Decodes a JPEG, PNG, WebP, TIFF, BMP or PNM file and turns it upright. `name` is for
    /// messages.
    ///
    /// # Errors
    /// `image` when it is not such a picture, or is damaged.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Photo, JsValue> {
        let (picture, metadata) = decode_with_metadata(bytes, Path::new(name)).map_err(thrown)?;
        Ok(Self { picture, metadata })
    }

    /// A photo of `width × height` pixels of four bytes, as canvases yield them.
    ///
    /// # Errors
    /// `input` when `rgba` has another size.
    #[wasm_bindgen(js_name = fromPixels)]
    pub fn from_pixels(rgba: &[u8], width: usize, height: usize) -> Result<Photo, JsValue> {
        let pixels = rgba.as_chunks::<4>().0;
        let expected = width.checked_mul(height).filter(|&n| n > 0 && n <= photo::MAX_PIXELS);
        if expected != Some(pixels.len()) || !rgba.len().is_multiple_of(4) {
            let what = format!("{width} × {height} pixels are not {} bytes", rgba.len());
            return Err(thrown(Error::Input(what)));
        }
        let rgb = pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
        let clear = pixels.iter().any(|pixel| pixel[3] != u8::MAX);
        let alpha = clear.then(|| pixels.iter().map(|pixel| pixel[3]).collect());
        let picture = Picture { height, width, rgb, alpha, icc: None };
        Ok(Self { picture, metadata: Metadata::default() })
    }

    /// Columns.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.picture.width
    }

    /// Rows.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.picture.height
    }

    /// Its pixels, four bytes each, as canvases take them.
    #[wasm_bindgen(unchecked_return_type = "Uint8ClampedArray<ArrayBuffer>")]
    pub fn pixels(&self) -> js_sys::Uint8ClampedArray {
        rgba(&self.picture)
    }
}

/// A photo as it was and with its faces restored, both at the size of the result.
#[wasm_bindgen]
pub struct Restored {
    pub(crate) before: Picture,
    pub(crate) after: Picture,
    pub(crate) metadata: Metadata,
    pub(crate) faces: JsValue,
}

#[wasm_bindgen]
impl Restored {
    /// Columns.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.after.width
    }

    /// Rows.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.after.height
    }

    /// The outcome of every face, from left to right.
    #[wasm_bindgen(getter, unchecked_return_type = "Outcome[]")]
    pub fn faces(&self) -> JsValue {
        self.faces.clone()
    }

    /// The pixels, four bytes each, as canvases take them. `strength`: how much of the restored
    /// faces is taken, from 0 (none) to 1.
    #[wasm_bindgen(unchecked_return_type = "Uint8ClampedArray<ArrayBuffer>")]
    pub fn pixels(&self, strength: f32) -> js_sys::Uint8ClampedArray {
        rgba(&self.at(strength))
    }

    /// The bytes of a file in the format that the extension of `name` means, with what the photo's
    /// file said of camera and colours.
    ///
    /// # Errors
    /// `image` when the extension means no format, or one that cannot hold so large a picture.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub fn encode(&self, name: &str, strength: f32) -> Result<js_sys::Uint8Array, JsValue> {
        let bytes = encode(&self.at(strength), &self.metadata, Path::new(name)).map_err(thrown)?;
        Ok(js_sys::Uint8Array::from(&bytes[..]))
    }
}

impl Restored {
    /// Pasting is linear in the strength, so that other strengths need no second pass.
    fn at(&self, strength: f32) -> Picture {
        let part = (strength.clamp(0.0, 1.0) * 256.0).round() as i32;
        let blend = |(&a, &b): (&u8, &u8)| {
            let (a, b) = (i32::from(a), i32::from(b));
            // Between a and b, so that it fits.
            (a + (((b - a) * part + 128) >> 8)) as u8
        };
        let rgb = self.before.rgb.iter().zip(&self.after.rgb).map(blend).collect();
        Picture { rgb, ..self.after.clone() }
    }
}

fn rgba(picture: &Picture) -> js_sys::Uint8ClampedArray {
    let mut bytes = Vec::with_capacity(picture.rgb.len() / 3 * 4);
    for (i, &[r, g, b]) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
        bytes.extend([r, g, b, picture.alpha.as_ref().map_or(u8::MAX, |alpha| alpha[i])]);
    }
    js_sys::Uint8ClampedArray::from(&bytes[..])
}
