//! Whether a restored face still shows what the photo showed.

/// Blocks per side in which the agreement is measured.
const BLOCKS: usize = 16;

/// Correlation of the luminance of [`BLOCKS`]² blocks of two faces of `size × size` pixels; 1 where
/// neither has any contrast.
pub(super) fn agreement(a: &[[u8; 3]], b: &[[u8; 3]], size: usize) -> f64 {
    let blocks = |face: &[[u8; 3]]| {
        let mut sums = vec![0.0; BLOCKS * BLOCKS];
        for (i, &[red, green, blue]) in face.iter().enumerate() {
            let at = |v: usize| v * BLOCKS / size;
            let luminance =
                0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
            sums[at(i / size) * BLOCKS + at(i % size)] += luminance;
        }
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        sums.iter_mut().for_each(|v| *v -= mean);
        sums
    };
    let (a, b) = (blocks(a), blocks(b));
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale < 1e-6 { 1.0 } else { product(&a, &b) / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_sees_structure_and_not_light() {
        let face: Vec<[u8; 3]> = (0..64 * 64).map(|i| [((i % 64) * 2 + i / 64) as u8; 3]).collect();
        let brighter: Vec<[u8; 3]> = face.iter().map(|p| p.map(|v| v / 2 + 90)).collect();
        let upside: Vec<[u8; 3]> = face.iter().rev().copied().collect();
        assert!(agreement(&face, &brighter, 64) > 0.99);
        assert!(agreement(&face, &upside, 64) < 0.0);
        assert_eq!(agreement(&[[5; 3]; 64 * 64], &[[9; 3]; 64 * 64], 64), 1.0);
    }
}
