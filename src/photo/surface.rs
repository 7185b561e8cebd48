//! A photo and its result while faces go from one to the other: in memory, or on a GPU.

use super::agreement::{self, BLOCKS};
use super::align::Affine;
use super::aligned::{AlignedPixels, elsewhere};
use super::grain;
use super::paste::{
    Blend, Canvas, GRAY, MASK_SIDE, Original, Shape, colour_weights, mask_to_photo, shrink,
    with_colours_of,
};
use super::warp::{Area, View, positions, reach, warp};
use crate::cpu::{block_luminance, tone};
use crate::engine::Device;
use crate::gpu;
use crate::{Engine, Result, Session};

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
    /// What it was restored from.
    pub crop: &'a AlignedPixels,
    /// The variance of the photo's damage, in levels of luminance.
    pub damage: f64,
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
    pub async fn crop(&self, to_face: &Affine, size: usize) -> Result<AlignedPixels> {
        match self {
            Self::Cpu { photo, .. } => Ok(AlignedPixels::Cpu(photo.crop_smooth(to_face, size))),
            Self::Gpu { canvas, .. } => {
                let factor = shrink(to_face);
                let side = size * factor;
                let area = Area { top: 0, left: 0, height: side, width: side };
                let positions = positions(&to_face.enlarged_centres(factor), area);
                Ok(AlignedPixels::Gpu(canvas.crop(&positions, factor, GRAY).await?))
            }
        }
    }

    /// An aligned face of `size × size` pixels that was made in memory.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn hold(&self, pixels: &[[u8; 3]], size: usize) -> Result<AlignedPixels> {
        match self {
            Self::Cpu { .. } => Ok(AlignedPixels::Cpu(pixels.to_vec())),
            Self::Gpu { canvas, .. } => {
                Ok(AlignedPixels::Gpu(canvas.upload_face(pixels, size).await?))
            }
        }
    }

    /// Restores a face by the network of `session`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn restore(
        &self,
        face: &AlignedPixels,
        session: &mut Session,
    ) -> Result<AlignedPixels> {
        match (self, face) {
            (_, AlignedPixels::Cpu(face)) => {
                let restored = session.run_async(face.as_flattened()).await?;
                Ok(AlignedPixels::Cpu(restored.as_chunks().0.to_vec()))
            }
            (Self::Gpu { canvas, .. }, AlignedPixels::Gpu(face)) => {
                let restored = canvas.face(face.size).await?;
                session.run_on_gpu_async(face.picture(), restored.picture()).await?;
                Ok(AlignedPixels::Gpu(restored))
            }
            (Self::Cpu { .. }, AlignedPixels::Gpu(_)) => Err(elsewhere()),
        }
    }

    /// Room for a face that a network writes.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn room(&self, size: usize) -> Result<AlignedPixels> {
        match self {
            Self::Cpu { .. } => Err(elsewhere()),
            Self::Gpu { canvas, .. } => Ok(AlignedPixels::Gpu(canvas.face(size).await?)),
        }
    }

    /// How much two faces of `size × size` pixels agree; see [`agreement`](agreement::agreement).
    ///
    /// # Errors
    /// When the device fails.
    pub async fn agreement(&self, faces: [&AlignedPixels; 2], size: usize) -> Result<f64> {
        let [a, b] = match (self, faces) {
            (_, [AlignedPixels::Cpu(a), AlignedPixels::Cpu(b)]) => {
                [a, b].map(|face| block_luminance::run(face, size, BLOCKS))
            }
            (Self::Gpu { canvas, .. }, [AlignedPixels::Gpu(a), AlignedPixels::Gpu(b)]) => {
                canvas.block_luminance([a, b], BLOCKS).await?
            }
            _ => return Err(elsewhere()),
        };
        Ok(agreement::agreement(&a, &b))
    }

    /// `restored` with the colours and the light of `original`, both of `size × size` pixels.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn with_colours_of(
        &self,
        original: &AlignedPixels,
        restored: &AlignedPixels,
        size: usize,
    ) -> Result<AlignedPixels> {
        match (self, original, restored) {
            (_, AlignedPixels::Cpu(original), AlignedPixels::Cpu(restored)) => {
                Ok(AlignedPixels::Cpu(with_colours_of(original, restored, size)))
            }
            (
                Self::Gpu { canvas, .. },
                AlignedPixels::Gpu(original),
                AlignedPixels::Gpu(restored),
            ) => {
                let weights = colour_weights(size);
                let matched = canvas.match_colours(original, restored, &weights).await?;
                Ok(AlignedPixels::Gpu(matched))
            }
            _ => Err(elsewhere()),
        }
    }

    /// The histograms of Immerkær's operator in two faces of `size × size` pixels, where `shape` is.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn histograms(
        &self,
        faces: [&AlignedPixels; 2],
        size: usize,
        shape: Shape<'_>,
    ) -> Result<[Vec<u32>; 2]> {
        let mask = shape.mask(size);
        let area = Area { top: 0, left: 0, height: size, width: size };
        let from_mask = mask_to_photo(&Affine::IDENTITY, size);
        match (self, faces) {
            (_, [AlignedPixels::Cpu(a), AlignedPixels::Cpu(b)]) => {
                let source = View { pixels: &mask, height: MASK_SIDE, width: MASK_SIDE };
                let soft = warp(source, &from_mask, area, [0.0]);
                Ok([a, b].map(|face| grain::histogram(face, size, soft.as_flattened())))
            }
            (Self::Gpu { canvas, .. }, [AlignedPixels::Gpu(a), AlignedPixels::Gpu(b)]) => {
                let positions = positions(&from_mask, area);
                canvas.histograms([a, b], (mask.as_flattened(), MASK_SIDE), &positions).await
            }
            _ => Err(elsewhere()),
        }
    }

    /// A face with the tone that `tones`, 256 pixels, have for each luminance.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn toned(&self, face: &AlignedPixels, tones: &[[u8; 3]]) -> Result<AlignedPixels> {
        match (self, face) {
            (_, AlignedPixels::Cpu(face)) => Ok(AlignedPixels::Cpu(tone::run(tones, face))),
            (Self::Gpu { canvas, .. }, AlignedPixels::Gpu(face)) => {
                Ok(AlignedPixels::Gpu(canvas.tone(tones, face).await?))
            }
            (Self::Cpu { .. }, AlignedPixels::Gpu(_)) => Err(elsewhere()),
        }
    }

    /// A face's pixels, in memory.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn pixels(&self, face: &AlignedPixels) -> Result<Vec<[u8; 3]>> {
        match (self, face) {
            (_, AlignedPixels::Cpu(face)) => Ok(face.clone()),
            (Self::Gpu { canvas, .. }, AlignedPixels::Gpu(face)) => canvas.pixels(face).await,
            (Self::Cpu { .. }, AlignedPixels::Gpu(_)) => Err(elsewhere()),
        }
    }

    /// Puts a restored face of `size × size` pixels into the result.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn paste(
        &mut self,
        face: &AlignedPixels,
        size: usize,
        place: Place<'_>,
    ) -> Result<()> {
        let Place { to_photo, factor, shape, crop, damage, strength, grain } = place;
        match (self, face, crop) {
            (Self::Cpu { photo, result }, AlignedPixels::Cpu(face), AlignedPixels::Cpu(crop)) => {
                let Canvas { pixels, height, width } = photo;
                let photo = View { pixels, height: *height, width: *width };
                let fine = Some(Original { photo, crop, damage });
                let blend = Blend::Soft { shape, strength, grain, fine };
                result.paste(face, size, to_photo, factor, blend);
                Ok(())
            }
            (
                Self::Gpu { canvas, size: [height, width] },
                AlignedPixels::Gpu(face),
                AlignedPixels::Gpu(crop),
            ) => {
                let Some(area) = reach(to_photo, size, *height, *width, 2) else { return Ok(()) };
                let mask = shape.mask(size);
                let patch = gpu::Patch {
                    face,
                    crop,
                    mask: mask.as_flattened(),
                    mask_side: MASK_SIDE,
                    area: [area.top, area.left, area.height, area.width],
                    face_positions: &positions(to_photo, area),
                    mask_positions: &positions(&mask_to_photo(to_photo, size), area),
                    photo_positions: &positions(&Affine::IDENTITY.enlarged(factor), area),
                    strength: strength as f32,
                    damage: damage as f32,
                };
                let amount = |photo: &[u32], face: &[u32]| {
                    (grain * grain::missing(grain::level(photo), grain::level(face))) as f32
                };
                canvas.paste(&patch, amount).await
            }
            _ => Err(elsewhere()),
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
    use pollster::block_on;

    use super::super::align::{TEMPLATE, align};
    use super::*;
    use crate::pixels::noise;
    use crate::{EngineOptions, Error, Model, Precision};

    fn photo(height: usize, width: usize) -> Canvas {
        let value = |x: usize, y: usize, c: usize| {
            let slope = 60.0 + (x * (c + 1) % 97) as f32 + (y % 53) as f32;
            (slope + 8.0 * noise(x, y + c)).round() as u8
        };
        let pixel = |i: usize| std::array::from_fn(|c| value(i % width, i / width, c));
        Canvas { pixels: (0..height * width).map(pixel).collect(), height, width }
    }

    fn engine(device: &str) -> Result<Engine> {
        Engine::new(&EngineOptions::new().device(device).precision(Precision::F32))
    }

    fn gpu() -> Option<Engine> {
        let engine = engine("0").ok().filter(|engine| engine.device().kind != "cpu");
        if engine.is_none() {
            crate::skipped::skip("what GPUs compute: there is none");
        }
        engine
    }

    fn worst(a: &[[u8; 3]], b: &[[u8; 3]]) -> Option<u8> {
        assert_eq!(a.len(), b.len());
        a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| a.abs_diff(*b)).max()
    }

    #[test]
    fn kernels_cut_out_the_twins_bytes_and_paste_within_a_level() {
        let Some(gpu) = gpu() else { return };
        let cpu = engine("cpu").expect("the CPU is there");
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
            for (shape, strength, grain, damage) in
                [(Shape::Oval(&aligned), 1.0, 1.0, 40.0), (Shape::Parsed(&parsed), 0.7, 0.0, 0.0)]
            {
                let mut outcomes = Vec::new();
                for engine in [&cpu, &gpu] {
                    let outcome = block_on(async {
                        let mut surface =
                            Surface::new(engine, photo.clone(), result.clone()).await?;
                        assert_eq!(
                            matches!(surface, Surface::Gpu { .. }),
                            engine.device().kind != "cpu"
                        );
                        let cut = surface.crop(&to_face, 64).await?;
                        let pixels = surface.pixels(&cut).await?;
                        let face: Vec<[u8; 3]> =
                            pixels.iter().map(|p| p.map(|v| 255 - v / 2)).collect();
                        let face = surface.hold(&face, 64).await.expect("room");
                        let (to_photo, crop) = (&to_photo, &cut);
                        let place =
                            Place { to_photo, factor, shape, crop, damage, strength, grain };
                        surface.paste(&face, 64, place).await?;
                        Ok::<_, Error>((pixels, surface.finish().await?))
                    });
                    outcomes.push(outcome.expect("a photo"));
                }
                let [(crop, pasted), (gpu_crop, gpu_pasted)] = &outcomes[..] else {
                    unreachable!()
                };
                assert!(crop == gpu_crop, "crops differ");
                let worst = worst(pasted, gpu_pasted);
                assert!(worst <= Some(1), "{worst:?}");
                assert!(pasted != &result.pixels, "nothing was pasted");
            }
        }
    }

    #[test]
    fn kernels_compare_faces_as_their_twin_and_match_colours_within_a_level() {
        let Some(gpu) = gpu() else { return };
        let cpu = engine("cpu").expect("the CPU is there");
        // Of one pixel, with blocks of different sizes, and of a network's size.
        for size in [1, 50, 256] {
            let original = photo(size, size).pixels;
            let mix = |(i, p): (usize, &[u8; 3])| p.map(|v| v / 2 + (i * 7 % 90) as u8);
            let restored: Vec<[u8; 3]> = original.iter().enumerate().map(mix).collect();
            let mut outcomes = Vec::new();
            for engine in [&cpu, &gpu] {
                let outcome = block_on(async {
                    let surface = Surface::new(engine, photo(9, 9), photo(9, 9)).await?;
                    let original = surface.hold(&original, size).await.expect("room");
                    let restored = surface.hold(&restored, size).await.expect("room");
                    let agreement = surface.agreement([&original, &restored], size).await?;
                    let matched = surface.with_colours_of(&original, &restored, size).await?;
                    let faces = [&original, &restored];
                    let detail = surface.histograms(faces, size, Shape::Square).await?;
                    let tones: Vec<[u8; 3]> = (0..=255).map(|l| [l, l / 2, 255 - l]).collect();
                    let toned = surface.toned(&restored, &tones).await?;
                    let exact = (agreement, detail, surface.pixels(&toned).await?);
                    Ok::<_, Error>((exact, surface.pixels(&matched).await?))
                });
                outcomes.push(outcome.expect("faces"));
            }
            let [(exact, matched), (gpu_exact, gpu_matched)] = &outcomes[..] else {
                unreachable!()
            };
            assert!(exact == gpu_exact, "{size}: agreement, histograms or tones differ");
            let worst = worst(matched, gpu_matched);
            assert!(worst <= Some(1), "{size}: {worst:?}");
            assert!(size == 1 || matched != &restored, "no colour was changed");
        }
    }

    /// From crop to paste only numbers come back: a network's word that all is finite, the blocks of
    /// both faces, and their histograms before and after.
    #[test]
    fn a_face_stays_on_the_gpu() {
        let Some(engine) = gpu() else { return };
        let Device::Gpu(device) = engine.handle() else { unreachable!() };
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/tests/goldens/mmrbnet/size_8/checkpoint.safetensors");
        let model = Model::open(file).expect("a golden");
        let mut session = Session::new(&engine, &model, 8, 8).expect("a session");
        let landmarks = TEMPLATE.map(|[x, y]| [x / 16.0 + 20.0, y / 16.0 + 10.0]);
        let to_face = align(&landmarks, 8).expect("a fit").to_face;
        let to_photo = to_face.inverse();
        block_on(async {
            let mut surface = Surface::new(&engine, photo(200, 180), photo(200, 180)).await?;
            let before = device.bytes_read();
            let crop = surface.crop(&to_face, 8).await?;
            let restored = surface.restore(&crop, &mut session).await?;
            let agreement = surface.agreement([&crop, &restored], 8).await?;
            let matched = surface.with_colours_of(&crop, &restored, 8).await?;
            surface.histograms([&crop, &restored], 8, Shape::Square).await?;
            let tones: Vec<[u8; 3]> = (0..=255).map(|l| [l; 3]).collect();
            surface.toned(&matched, &tones).await?;
            let place = Place {
                to_photo: &to_photo,
                factor: 1,
                shape: Shape::Square,
                crop: &crop,
                damage: 9.0,
                strength: 1.0,
                grain: 1.0,
            };
            surface.paste(&matched, 8, place).await?;
            let numbers = 4 + 2 * BLOCKS * BLOCKS * 4 + 4 * crate::pixels::BINS * 4;
            assert_eq!(device.bytes_read() - before, numbers as u64);

            // The same by way of the host.
            let crop = surface.pixels(&crop).await?;
            let by_host = session.run_async(crop.as_flattened()).await?;
            let by_host: &[[u8; 3]] = by_host.as_chunks().0;
            assert!(surface.pixels(&restored).await? == by_host, "another result");
            let [a, b] = [&crop[..], by_host].map(|face| block_luminance::run(face, 8, BLOCKS));
            assert_eq!(agreement, agreement::agreement(&a, &b));
            let matched = surface.pixels(&matched).await?;
            let worst = worst(&matched, &with_colours_of(&crop, by_host, 8));
            assert!(worst <= Some(1), "{worst:?}");
            Ok::<_, Error>(())
        })
        .expect("a face");
    }

    /// What detectors and parsers do: bytes in, tensors out.
    #[test]
    fn pictures_become_tensors_on_the_gpu() {
        let Some(gpu) = gpu() else { return };
        let cpu = engine("cpu").expect("the CPU is there");
        let root = env!("CARGO_MANIFEST_DIR");
        let model = Model::open(format!("{root}/weights/face-detector.safetensors"));
        let model = model.expect("the default detector");
        let rgb = photo(64, 96).pixels.into_flattened();
        let [expected, found] = [&cpu, &gpu].map(|engine| {
            let mut session = Session::new(engine, &model, 64, 96).expect("a session");
            assert!(session.run_to_tensors(&rgb[3..]).is_err(), "a pixel is missing");
            session.run_to_tensors(&rgb).expect("a picture")
        });
        for (expected, found) in expected.iter().zip(&found) {
            let sum = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
            };
            let off = sum(&mut expected.iter().zip(found).map(|(a, b)| a - b));
            let whole = sum(&mut expected.iter().copied());
            assert!(expected.len() == found.len() && off <= 1e-4 * whole, "{off} of {whole}");
        }
    }
}
