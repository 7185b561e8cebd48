//! Where one scene of a film ends and another begins.

use super::Picture;

/// Rows and columns of blocks whose mean luminance is compared.
const BLOCKS: [usize; 2] = [18, 32];
/// A cut changes the blocks by at least this, of 255, in the mean.
const LEAST: f32 = 18.0;
/// And by this many times as much as frames changed before it.
const TIMES: f32 = 3.0;
/// How fast the memory of earlier changes follows.
const FOLLOWS: f32 = 0.2;

/// Looks at frames one after the other.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    last: Vec<f32>,
    usual: f32,
}

impl Cuts {
    /// Whether a scene begins with this frame, the next one of the film. The first is not a cut.
    pub fn begins_with(&mut self, frame: &Picture) -> bool {
        let blocks = blocks(frame);
        let change = match self.last.len() == blocks.len() && !blocks.is_empty() {
            true => {
                let pairs = self.last.iter().zip(&blocks);
                pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / blocks.len() as f32
            }
            false => 0.0,
        };
        let is_cut = change >= LEAST && change >= TIMES * self.usual;
        self.last = blocks;
        // A scene's own movement says nothing of the next one's.
        self.usual = if is_cut { 0.0 } else { self.usual + FOLLOWS * (change - self.usual) };
        is_cut
    }
}

/// The mean luminance of blocks.
fn blocks(frame: &Picture) -> Vec<f32> {
    let [rows, columns] = BLOCKS;
    let mut sums = vec![(0_u64, 0_u64); rows * columns];
    if frame.width == 0 || frame.height == 0 {
        return Vec::new();
    }
    for (y, row) in frame.rgb.chunks_exact(3 * frame.width).enumerate() {
        for (x, &[red, green, blue]) in row.as_chunks::<3>().0.iter().enumerate() {
            let at = (y * rows / frame.height) * columns + x * columns / frame.width;
            // BT.601, of 256.
            let luminance = 77 * u64::from(red) + 150 * u64::from(green) + 29 * u64::from(blue);
            let (sum, count) = &mut sums[at];
            (*sum, *count) = (*sum + luminance, *count + 1);
        }
    }
    sums.into_iter().map(|(sum, count)| sum as f32 / (256.0 * count.max(1) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gradient that lies at `shift`.
    fn frame(shift: usize, bright: bool) -> Picture {
        let (height, width) = (72, 128);
        let value = |i: usize| {
            let ramp = ((i % width + shift) % width * 255 / width) as u8;
            if bright { 255 - ramp / 2 } else { ramp / 2 }
        };
        let rgb = (0..height * width).flat_map(|i| [value(i); 3]).collect();
        Picture { height, width, rgb, alpha: None, icc: None }
    }

    #[test]
    fn cuts_are_told_from_movement() {
        let mut cuts = Cuts::default();
        let found: Vec<bool> =
            (0..20).map(|i| cuts.begins_with(&frame(3 * i, (8..14).contains(&i)))).collect();
        let expected: Vec<bool> = (0..20).map(|i| i == 8 || i == 14).collect();
        assert_eq!(found, expected);
        let tiny = Picture { height: 1, width: 1, rgb: vec![9; 3], alpha: None, icc: None };
        assert!(!Cuts::default().begins_with(&tiny));
    }
}
