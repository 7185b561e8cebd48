//! Pictures in the caller's memory.

use std::ffi::c_void;

use super::status::Failure;
use crate::photo::{MAX_PIXELS, Picture};

/// How pixels lie in memory.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PixelFormat {
    /// Three bytes: red, green, blue.
    Rgb8 = 0,
    /// Four bytes: red, green, blue, alpha.
    Rgba8 = 1,
    /// Four bytes: blue, green, red, alpha.
    Bgra8 = 2,
    /// A plane of floats from 0 to 1 for each of red, green and blue. Rounded to 8 bits when read.
    F32Planar = 3,
}

/// A picture in memory that the caller owns. Alpha is not multiplied in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Image {
    /// The first pixel; for an input it is only read.
    pub data: *mut c_void,
    /// Bytes that `data` points to.
    pub size: usize,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from the beginning of a row to that of the next; 0: no gaps.
    pub stride: usize,
    /// Bytes from the beginning of a plane to that of the next; 0: no gaps. Of planar formats only.
    pub plane_stride: usize,
    /// One of pentimento_pixel_format.
    pub format: u32,
}

/// A checked [`Image`].
pub struct Layout {
    pub height: usize,
    pub width: usize,
    format: PixelFormat,
    /// Bytes of the pixels of a row.
    row: usize,
    stride: usize,
    plane_stride: usize,
    data: *mut u8,
    size: usize,
}

/// Bytes per value of a planar format.
const FLOAT: usize = size_of::<f32>();

impl Layout {
    /// Checks the picture at `image`, which `name` is for messages.
    ///
    /// # Safety
    /// `image` is NULL or may be read.
    pub unsafe fn new(image: *const Image, name: &str) -> Result<Self, Failure> {
        let fail = |what: String| Err(Failure::argument(format!("the {name} {what}")));
        if image.is_null() {
            return Err(Failure::null(name));
        }
        // SAFETY: not NULL, and readable by the caller's promise; C may give any alignment.
        let image = unsafe { image.read_unaligned() };
        if image.data.is_null() {
            return Err(Failure::null(&format!("the data of the {name}")));
        }
        let format = match image.format {
            0 => PixelFormat::Rgb8,
            1 => PixelFormat::Rgba8,
            2 => PixelFormat::Bgra8,
            3 => PixelFormat::F32Planar,
            other => {
                return fail(format!("has format {other}, which is not a pentimento_pixel_format"));
            }
        };
        let (height, width) = (image.height as usize, image.width as usize);
        let pixels = height.saturating_mul(width);
        if pixels == 0 || pixels > MAX_PIXELS {
            return fail(format!("has {width} × {height} pixels; 1 to {MAX_PIXELS} are possible"));
        }
        let row = width * if format == PixelFormat::Rgb8 { 3 } else { 4 };
        let stride = if image.stride == 0 { row } else { image.stride };
        // The last row, and the last plane, need no gap behind them.
        let plane = stride.checked_mul(height - 1).and_then(|n| n.checked_add(row));
        let planes = if format == PixelFormat::F32Planar { 3 } else { 1 };
        let plane_stride = match image.plane_stride {
            0 => stride.saturating_mul(height),
            given => given,
        };
        let all = plane
            .and_then(|plane| plane_stride.checked_mul(planes - 1)?.checked_add(plane))
            .filter(|&all| isize::try_from(all).is_ok());
        if stride < row {
            return fail(format!("has {stride} bytes per row, its pixels take {row}"));
        }
        if planes > 1 && plane.is_some_and(|plane| plane_stride < plane) {
            return fail(format!("has planes of {plane_stride} bytes that overlap"));
        }
        match all {
            Some(needed) if needed <= image.size => {
                let data = image.data.cast();
                let size = needed;
                Ok(Self { height, width, format, row, stride, plane_stride, data, size })
            }
            Some(needed) => fail(format!("needs {needed} bytes, {} are there", image.size)),
            None => fail("is larger than any memory".to_owned()),
        }
    }

    /// Where row `y` of plane `plane` stands.
    fn row(&self, plane: usize, y: usize) -> std::ops::Range<usize> {
        let start = plane * self.plane_stride + y * self.stride;
        start..start + self.row
    }

    /// Copies the picture.
    ///
    /// # Safety
    /// The data may be read, and nobody writes to it meanwhile.
    pub unsafe fn read(&self) -> Result<Picture, Failure> {
        // SAFETY: `new` checked pointer and size; readable by the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(self.data.cast_const(), self.size) };
        let (height, width) = (self.height, self.width);
        let mut rgb = Vec::with_capacity(3 * height * width);
        let mut alpha = Vec::new();
        for y in 0..height {
            let row = &bytes[self.row(0, y)];
            match self.format {
                PixelFormat::Rgb8 => rgb.extend_from_slice(row),
                PixelFormat::Rgba8 => {
                    rgb.extend(row.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]));
                    alpha.extend(row.iter().skip(3).step_by(4));
                }
                PixelFormat::Bgra8 => {
                    rgb.extend(row.as_chunks::<4>().0.iter().flat_map(|p| [p[2], p[1], p[0]]));
                    alpha.extend(row.iter().skip(3).step_by(4));
                }
                PixelFormat::F32Planar => {
                    let planes = [0, 1, 2].map(|plane| &bytes[self.row(plane, y)]);
                    for x in 0..width {
                        for plane in planes {
                            let value: [u8; FLOAT] = std::array::from_fn(|i| plane[x * FLOAT + i]);
                            let value = f32::from_ne_bytes(value);
                            if !value.is_finite() {
                                let what = format!("pixel ({x}, {y}) is not a finite number");
                                return Err(Failure::argument(what));
                            }
                            rgb.push((value * 255.0).round_ties_even().clamp(0.0, 255.0) as u8);
                        }
                    }
                }
            }
        }
        let alpha = alpha.iter().any(|&a| a != u8::MAX).then_some(alpha);
        Ok(Picture { height, width, rgb, alpha, icc: None })
    }

    /// Writes `picture`, which has this size. Gaps between rows stay as they are.
    ///
    /// # Safety
    /// The data may be written, and nobody reads it meanwhile.
    pub unsafe fn write(&self, picture: &Picture) -> Result<(), Failure> {
        if [picture.height, picture.width] != [self.height, self.width] {
            return Err(Failure::argument(format!(
                "the output has {} × {} pixels, the result {} × {}",
                self.width, self.height, picture.width, picture.height
            )));
        }
        // SAFETY: `new` checked pointer and size; writable by the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.data, self.size) };
        let pixels = picture.rgb.as_chunks::<3>().0;
        for (y, pixels) in pixels.chunks_exact(self.width).enumerate() {
            let alpha = |x: usize| picture.alpha.as_ref().map_or(255, |a| a[y * self.width + x]);
            match self.format {
                PixelFormat::Rgb8 => bytes[self.row(0, y)].copy_from_slice(pixels.as_flattened()),
                PixelFormat::Rgba8 | PixelFormat::Bgra8 => {
                    let row = bytes[self.row(0, y)].as_chunks_mut::<4>().0;
                    for (x, (to, &[r, g, b])) in row.iter_mut().zip(pixels).enumerate() {
                        *to = [r, g, b, alpha(x)];
                        if self.format == PixelFormat::Bgra8 {
                            to.swap(0, 2);
                        }
                    }
                }
                PixelFormat::F32Planar => {
                    for plane in 0..3 {
                        let row = bytes[self.row(plane, y)].as_chunks_mut::<FLOAT>().0;
                        for (to, pixel) in row.iter_mut().zip(pixels) {
                            *to = (f32::from(pixel[plane]) / 255.0).to_ne_bytes();
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
