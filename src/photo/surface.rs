//! A photo and its result while faces go from one to the other: in memory, or on a GPU.

use super::align::Affine;
use super::grain;
use super::paste::{Blend, Canvas, GRAY, MASK_SIDE, Shape, mask_to_photo, shrink};
use super::warp::{Area, positions, reach};
use crate::engine::Device;
use crate::gpu;
use crate::{Engine, Result};

/// Where crops are made and pasted.
pub enum Surface {
    /// By the twins of the kernels.
    Cpu {
        /// As it was.
        photo: Canvas,
        /// As it becomes.
        result: Canvas,
    },
    /// By the kernels.
    Gpu {
        /// Both.
        canvas: gpu::Canvas,
        /// Height and width of the result.
        size: [usize; 2],
    },
}

/// How a face goes back into a photo.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// From the face into the result.
    pub to_photo: &'a Affine,
    /// How many times larger the result is than the photo.
    pub factor: usize,
    /// Which part of it.
    pub shape: Shape<'a>,
    /// See [`Blend::Soft`].
    pub strength: f64,
    /// See [`Blend::Soft`].
    pub grain: f64,
}

impl Surface {
    /// On the engine's device; a photo that is too large for a GPU's bindings stays in memory.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn new(engine: &Engine, photo: Canvas, result: Canvas) -> Result<Self> {
        let Device::Gpu(device) = engine.handle() else {
            return Ok(Self::Cpu { photo, result });
        };
        let sides = |canvas: &Canvas| [canvas.height, canvas.width];
        let before = (&photo.pixels[..], sides(&photo));
        let after = (&result.pixels[..], sides(&result));
        Ok(match gpu::Canvas::new(device, before, after).await? {
            Some(canvas) => Self::Gpu { canvas, size: after.1 },
            None => Self::Cpu { photo, result },
        })
    }

    /// The aligned face of `size × size` pixels that `to_face` cuts out of the photo, averaged where
    /// the face is larger than that.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn crop(&self, to_face: &Affine, size: usize) -> Result<Vec<[u8; 3]>> {
        match self {
            Self::Cpu { photo, .. } => Ok(photo.crop_smooth(to_face, size)),
            Self::Gpu { canvas, .. } => {
                let factor = shrink(to_face);
                let side = size * factor;
                let area = Area { top: 0, left: 0, height: side, width: side };
                let positions = positions(&to_face.enlarged_centres(factor), area);
                canvas.crop(&positions, factor, GRAY).await
            }
        }
    }

    /// Puts a restored face of `size × size` pixels into the result.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn paste(&mut self, face: &[[u8; 3]], size: usize, place: Place<'_>) -> Result<()> {
        let Place { to_photo, factor, shape, strength, grain } = place;
        match self {
            Self::Cpu { result, .. } => {
                result.paste(face, size, to_photo, factor, Blend::Soft { shape, strength, grain });
                Ok(())
            }
            Self::Gpu { canvas, size: [height, width] } => {
                let Some(area) = reach(to_photo, size, *height, *width, 2) else { return Ok(()) };
                let mask = shape.mask(size);
                let patch = gpu::Patch {
                    face,
                    side: size,
                    mask: mask.as_flattened(),
                    mask_side: MASK_SIDE,
                    area: [area.top, area.left, area.height, area.width],
                    face_positions: &positions(to_photo, area),
                    mask_positions: &positions(&mask_to_photo(to_photo, size), area),
                    strength: strength as f32,
                };
                let amount = |photo: &[u32], face: &[u32]| {
                    (grain * grain::missing(grain::level(photo), grain::level(face))) as f32
                };
                canvas.paste(&patch, amount).await
            }
        }
    }

    /// The result's pixels.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn finish(self) -> Result<Vec<[u8; 3]>> {
        match self {
            Self::Cpu { result, .. } => Ok(result.pixels),
            Self::Gpu { canvas, .. } => canvas.finish().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blocking::block_on;

    use super::super::align::{TEMPLATE, align};
    use super::*;
    use crate::pixels::noise;
    use crate::{EngineOptions, Precision};

    fn photo(height: usize, width: usize) -> Canvas {
        let value = |x: usize, y: usize, c: usize| {
            let slope = 60.0 + (x * (c + 1) % 97) as f32 + (y % 53) as f32;
            (slope + 8.0 * noise(x, y + c)).round() as u8
        };
        let pixel = |i: usize| std::array::from_fn(|c| value(i % width, i / width, c));
        Canvas { pixels: (0..height * width).map(pixel).collect(), height, width }
    }

    #[test]
    fn kernels_cut_out_the_twins_bytes_and_paste_within_a_level() {
        let device = |device: &str| {
            Engine::new(&EngineOptions::new().device(device).precision(Precision::F32))
        };
        let Ok(gpu) = device("0") else {
            eprintln!("skipped: there is no GPU");
            return;
        };
        let cpu = device("cpu").expect("the CPU is there");
        let (photo, large) = (photo(211, 330), photo(422, 660));
        // Small, larger than the crop (averaged), and half outside.
        for (scale, turn, [x, y], factor) in [
            (0.3, 0.1, [50.0, 20.0], 2),
            (0.9, -0.2, [-60.0, -90.0], 1),
            (0.4, 0.5, [-70.0, 60.0], 1),
        ] {
            let landmarks =
                TEMPLATE.map(|[u, v]| [scale * (u - turn * v) + x, scale * (turn * u + v) + y]);
            let to_face = align(&landmarks, 64).expect("a fit").to_face;
            let aligned = landmarks.map(|p| to_face.apply(p));
            let to_photo = to_face.inverse().enlarged(factor);
            let result = if factor == 2 { &large } else { &photo };
            let parsed: Vec<bool> =
                (0..512 * 512).map(|i| (i / 512 + i % 512) % 700 > 200).collect();
            for (shape, strength, grain) in
                [(Shape::Oval(&aligned), 1.0, 1.0), (Shape::Parsed(&parsed), 0.7, 0.0)]
            {
                let mut outcomes = Vec::new();
                for engine in [&cpu, &gpu] {
                    let mut surface = block_on(Surface::new(engine, photo.clone(), result.clone()))
                        .expect("room");
                    assert_eq!(
                        matches!(surface, Surface::Gpu { .. }),
                        engine.device().kind != "cpu"
                    );
                    let crop = block_on(surface.crop(&to_face, 64)).expect("a crop");
                    let face: Vec<[u8; 3]> = crop.iter().map(|p| p.map(|v| 255 - v / 2)).collect();
                    let place = Place { to_photo: &to_photo, factor, shape, strength, grain };
                    block_on(surface.paste(&face, 64, place)).expect("a paste");
                    outcomes.push((crop, block_on(surface.finish()).expect("a result")));
                }
                let [(crop, pasted), (gpu_crop, gpu_pasted)] = &outcomes[..] else {
                    unreachable!()
                };
                assert!(crop == gpu_crop, "crops differ");
                let differences = pasted.as_flattened().iter().zip(gpu_pasted.as_flattened());
                let worst = differences.map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(1), "{worst:?}");
                assert!(pasted != &result.pixels, "nothing was pasted");
            }
        }
    }
}
