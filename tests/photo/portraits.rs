//! Portraits, the degradation of the paper, and how well a result resembles what was degraded.

use std::path::Path;

use pentimento::photo::align::Landmarks;
use pentimento::photo::{self, Picture};

use crate::support::{self, formula};

/// Side of the portraits here; their faces have about half of it.
pub const SIDE: usize = 512;
/// How many times they are shrunk.
const FACTOR: usize = 4;

/// The first portraits and their landmarks, at [`SIDE`].
pub fn portraits(shared: &Path, count: usize) -> Vec<(Picture, Landmarks)> {
    let folder = shared.join("data/photos");
    let labels = support::json(&folder.join("landmarks.json"));
    let mut names: Vec<&String> = labels.as_object().expect("a table").keys().collect();
    names.sort();
    names[..count]
        .iter()
        .map(|name| {
            let portrait = photo::read(&folder.join(name)).expect("a portrait");
            let scale = SIDE as f64 / portrait.width as f64;
            let number = |v: &serde_json::Value| v.as_f64().expect("a number") * scale;
            let points = &labels[name.as_str()]["landmarks"];
            let landmarks = std::array::from_fn(|i| std::array::from_fn(|j| number(&points[i][j])));
            (portrait.resized(SIDE, SIDE).expect("a size"), landmarks)
        })
        .collect()
}

/// `((x ⊗ k)↓4 + n)_JPEG`, enlarged bicubically to the size that it had: an oblique Gaussian blur, a
/// reduction, noise and JPEG, drawn by `seed` from the ranges of the default model's evaluation
/// (`tools/train`).
pub fn degraded(picture: &Picture, seed: u64) -> Picture {
    let draw = |i: u64, low: f64, high: f64| {
        low + (high - low) * f64::from(formula::uniform(seed.wrapping_mul(977), i))
    };
    let factor = FACTOR as f64;
    let widths = [draw(0, 0.2, 0.6) * factor, draw(1, 0.2, 0.6) * factor];
    let blurred = blurred(picture, widths, draw(2, 0.0, std::f64::consts::PI));
    let side = SIDE / FACTOR;
    let mut small = blurred.resized(side, side).expect("a size");
    let deviation = draw(3, 0.0, 6.0) as f32;
    for (value, noise) in small.rgb.iter_mut().zip(support::noise(seed, side * side * 3)) {
        *value = (f32::from(*value) + deviation * noise).round() as u8;
    }
    let mut file = Vec::new();
    let quality = draw(4, 60.0, 96.0) as u8;
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
    let size = side as u32;
    encoder.encode(&small.rgb, size, size, image::ExtendedColorType::Rgb8).expect("a JPEG");
    let small = photo::decode(&file, Path::new("small.jpg")).expect("a JPEG");
    small.resized(SIDE, SIDE).expect("a size")
}

/// By a Gaussian of two standard deviations, in pixels, the first of them along `angle`; the edge is
/// continued.
fn blurred(picture: &Picture, widths: [f64; 2], angle: f64) -> Picture {
    let radius = (2.5 * widths[0].max(widths[1])).ceil() as isize;
    let (sin, cos) = angle.sin_cos();
    let mut kernel = Vec::new();
    for y in -radius..=radius {
        for x in -radius..=radius {
            let (u, v) = (x as f64 * cos + y as f64 * sin, y as f64 * cos - x as f64 * sin);
            let weight = (-0.5 * ((u / widths[0]).powi(2) + (v / widths[1]).powi(2))).exp();
            kernel.push((y, x, weight as f32));
        }
    }
    let sum: f32 = kernel.iter().map(|(.., weight)| weight).sum();
    let (height, width) = (picture.height as isize, picture.width as isize);
    let pixels: &[[u8; 3]] = picture.rgb.as_chunks().0;
    let rgb = (0..height * width)
        .flat_map(|i| {
            let mut sums = [0.0; 3];
            for &(dy, dx, weight) in &kernel {
                let y = (i / width + dy).clamp(0, height - 1);
                let x = (i % width + dx).clamp(0, width - 1);
                let pixel = pixels[(y * width + x) as usize];
                sums = std::array::from_fn(|c| sums[c] + weight * f32::from(pixel[c]));
            }
            sums.map(|v| (v / sum).round() as u8)
        })
        .collect();
    Picture { rgb, ..picture.clone() }
}

/// Mean squared error where `inside` says so.
pub fn error(a: &Picture, b: &Picture, inside: impl Fn(usize) -> bool) -> f64 {
    let pixels = a.rgb.as_chunks::<3>().0.iter().zip(b.rgb.as_chunks::<3>().0).enumerate();
    let (mut sum, mut count) = (0.0, 0);
    for (_, (p, q)) in pixels.filter(|(i, _)| inside(*i)) {
        sum += (0..3).map(|c| f64::from(p[c].abs_diff(q[c])).powi(2)).sum::<f64>();
        count += 3;
    }
    sum / f64::from(count.max(1))
}

/// Mean structural similarity (Wang et al., 2004) of the green channel over the squares of 8 pixels
/// that lie inside.
pub fn ssim(a: &Picture, b: &Picture, inside: impl Fn(usize) -> bool) -> f64 {
    const SIDE_OF_SQUARE: usize = 8;
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let (mut sum, mut count) = (0.0, 0.0);
    for top in (0..a.height - SIDE_OF_SQUARE).step_by(SIDE_OF_SQUARE) {
        for left in (0..a.width - SIDE_OF_SQUARE).step_by(SIDE_OF_SQUARE) {
            let places: Vec<usize> = (0..SIDE_OF_SQUARE * SIDE_OF_SQUARE)
                .map(|i| (top + i / SIDE_OF_SQUARE) * a.width + left + i % SIDE_OF_SQUARE)
                .collect();
            if !places.iter().all(|&i| inside(i)) {
                continue;
            }
            let values = |p: &Picture| -> Vec<f64> {
                places.iter().map(|&i| f64::from(p.rgb[i * 3 + 1])).collect()
            };
            let (x, y, n) = (values(a), values(b), places.len() as f64);
            let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
            let (mx, my) = (mean(&x), mean(&y));
            let product = |p: &[f64], mp: f64, q: &[f64], mq: f64| {
                p.iter().zip(q).map(|(p, q)| (p - mp) * (q - mq)).sum::<f64>() / (n - 1.0)
            };
            let (vx, vy, both) =
                (product(&x, mx, &x, mx), product(&y, my, &y, my), product(&x, mx, &y, my));
            sum += (2.0 * mx * my + c1) * (2.0 * both + c2)
                / ((mx * mx + my * my + c1) * (vx + vy + c2));
            count += 1.0;
        }
    }
    sum / f64::max(count, 1.0)
}

/// How much steeper a result is across the edge of a mask than along it, compared with its input or
/// with the clear picture, whichever is steeper there, since an outline on the edge should be as steep as
/// it was: the most in any band of the mask's slope. About 1 where nothing shows, more where there is a
/// seam.
pub fn seam(
    result: &Picture,
    input: &Picture,
    clear: &Picture,
    mask: impl Fn([f64; 2]) -> f64,
) -> f64 {
    /// Bands of the slope, from outside to inside.
    const BANDS: usize = 20;
    // Across and along, in each picture.
    let mut sums = [[[0.0_f64; 2]; 3]; BANDS];
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let value = mask([x as f64, y as f64]);
            if !(0.05..0.95).contains(&value) {
                continue;
            }
            let slope = |at: &dyn Fn(usize, usize) -> f64| {
                [at(y, x + 1) - at(y, x - 1), at(y + 1, x) - at(y - 1, x)]
            };
            let [nx, ny] = slope(&|y, x| mask([x as f64, y as f64]));
            let steep = nx.hypot(ny).max(f64::MIN_POSITIVE);
            let band = &mut sums[(value * BANDS as f64) as usize];
            for (sum, picture) in band.iter_mut().zip([result, input, clear]) {
                let [dx, dy] = slope(&|y, x| f64::from(picture.rgb[(y * SIDE + x) * 3 + 1]));
                sum[0] += ((dx * nx + dy * ny) / steep).abs();
                sum[1] += ((dy * nx - dx * ny) / steep).abs();
            }
        }
    }
    let bands = sums.iter().filter(|band| band.as_flattened().iter().all(|&sum| sum > 0.0));
    let steeper = bands.map(|band| {
        let [result, input, clear] = band.map(|[across, along]| across / along);
        result / input.max(clear)
    });
    steeper.fold(0.0, f64::max)
}
