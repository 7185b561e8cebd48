//! Whether a restored face still shows what the photo showed.

/// Blocks per side in which the agreement is measured.
pub(super) const BLOCKS: usize = 16;

/// Correlation of the luminance of two faces, as [`block_luminance`](crate::cpu::block_luminance)
/// sums it up; 1 where neither has any contrast.
pub(super) fn agreement(a: &[u32], b: &[u32]) -> f64 {
    let blocks = |sums: &[u32]| {
        let mut sums: Vec<f64> = sums.iter().map(|&sum| f64::from(sum) / 1000.0).collect();
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
    use crate::cpu::block_luminance;

    fn agreement(a: &[[u8; 3]], b: &[[u8; 3]], size: usize) -> f64 {
        let [a, b] = [a, b].map(|face| block_luminance::run(face, size, BLOCKS));
        super::agreement(&a, &b)
    }

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
