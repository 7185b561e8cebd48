//! A picture of any size through an upscaling network, in tiles whose seams cannot be seen.
//!
//! Every tile is seen by the network with `context` pixels around the part that is kept, as many as
//! the network's receptive radius: what is kept depends on nothing outside its tile, so it is what
//! the network makes of the whole picture. All tiles of a picture have one shape, so that one
//! session serves them all; the last of a row or column is shifted inward to end at the border.
//! At the border of the picture a tile ends there too, and the network pads as it does untiled.
//!
//! Networks that unshuffle pixels take sizes that are multiples of a small number. The last row and
//! column are repeated up to the next such size, tiles start at such places, and the surplus is
//! cut off the result.
//!
//! Networks with windows or halvings see the same only in tiles that begin where their windows do;
//! sides of tiles are chosen so that the last one, which ends at the border, does too.

use std::ops::Range;

use pentimento_core::allocate;

use crate::{Error, Result};

/// The facts that tiling needs of a network that maps `[h, w, 3]` to `[factor·h, factor·w, 3]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upscaler {
    /// Output pixels per input pixel and side.
    pub factor: usize,
    /// How far an input pixel's influence reaches, in input pixels.
    pub radius: usize,
    /// Sizes are multiples of this.
    pub multiple: usize,
    /// Tiles begin at multiples of this, which is a multiple of `multiple`.
    pub align: usize,
}

/// How a picture is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tiling {
    network: Upscaler,
    height: usize,
    width: usize,
    tile: [usize; 2],
    context: usize,
}

/// Sides of tiles, from large to small: powers of two and their middles.
const SIDES: [usize; 12] = [2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 96, 64, 32];
/// A larger tile saves less than a tenth: per side, `2·radius` of `side` are context.
const ENOUGH_RADII: usize = 16;
/// Below this a GPU is not busy.
const ENOUGH_PIXELS: usize = 1024;
/// What a result may have: 3 GiB in memory.
const MAX_OUTPUT_PIXELS: usize = 1 << 30;

impl Tiling {
    /// Cuts a picture of `height × width` into the largest tiles that `open` can serve: the whole
    /// picture if it is not large, then squares of falling size. `open(height, width)` makes
    /// whatever runs the network at that size; [`Error::OutOfMemory`] makes it asked for a smaller
    /// one. Returns the tiling and what `open` made.
    ///
    /// # Errors
    /// What `open` returns: any other error at once, the last of those about memory when even the
    /// smallest tile does not fit. [`Error::Input`] when the picture has no pixels or the result
    /// would have more than 1073 million.
    pub async fn choose<S>(
        height: usize,
        width: usize,
        network: Upscaler,
        mut open: impl AsyncFnMut(usize, usize) -> Result<S>,
    ) -> Result<(Self, S)> {
        let output = [height, width, network.factor, network.factor];
        let output = output.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if output.is_none_or(|pixels| pixels == 0 || pixels > MAX_OUTPUT_PIXELS) {
            return Err(Error::Input(format!(
                "a picture of {width}×{height} pixels cannot be enlarged {} times: the result must \
                 have at least one pixel and at most {} million",
                network.factor,
                MAX_OUTPUT_PIXELS / 1_000_000
            )));
        }
        let limit = ENOUGH_PIXELS.max(ENOUGH_RADII * network.radius);
        let whole = Self::new(height, width, network, [height, width]);
        let small = height * width <= limit * limit;
        let squares = SIDES.iter().filter(|&&side| side <= limit);
        let squares = squares.map(|&side| Self::new(height, width, network, [side, side]));
        let mut tried: Option<([usize; 2], Error)> = None;
        for tiling in small.then_some(whole).into_iter().chain(squares) {
            // All squares that cover the picture are the whole picture.
            if tried.as_ref().is_some_and(|(tile, _)| *tile == tiling.tile) {
                continue;
            }
            match open(tiling.tile[0], tiling.tile[1]).await {
                Ok(session) => return Ok((tiling, session)),
                Err(error @ Error::OutOfMemory { .. }) => tried = Some((tiling.tile, error)),
                Err(error) => return Err(error),
            }
        }
        Err(tried.map_or_else(|| Error::Input("no tile size is left".into()), |(_, error)| error))
    }

    /// Tiles of `tile`, rounded up to where the last of a row begins aligned.
    fn new(height: usize, width: usize, network: Upscaler, tile: [usize; 2]) -> Self {
        let multiple = network.multiple.max(1);
        let padded = [height.next_multiple_of(multiple), width.next_multiple_of(multiple)];
        let align = network.align.next_multiple_of(multiple).max(multiple);
        let tile = [0, 1].map(|axis| {
            let least = tile[axis].next_multiple_of(align);
            padded[axis] - padded[axis].saturating_sub(least) / align * align
        });
        let cut = (0..2).filter(|&axis| tile[axis] < padded[axis]).map(|axis| tile[axis]).min();
        // A quarter of the tile at most, so that half of each side is kept.
        let most = cut.map_or(0, |side| side / 4 / align * align);
        let context = network.radius.next_multiple_of(align).min(most);
        Self { network, height, width, tile, context }
    }

    /// Height and width of every tile.
    pub fn tile(&self) -> [usize; 2] {
        self.tile
    }

    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.spans(0).len() * self.spans(1).len()
    }

    /// Whether the result is what the network makes of the whole picture. It is not where memory
    /// only allows tiles of less than four receptive radii: then a quarter of the tile is
    /// context, and what lies farther away is ignored.
    pub fn is_exact(&self) -> bool {
        self.count() == 1 || self.context >= self.network.radius
    }

    /// Runs `network` on every tile of `picture` (`[height, width, 3]`) and joins the results to
    /// `[factor·height, factor·width, 3]`. `network` maps `[tile, 3]` to `[factor·tile, 3]`.
    ///
    /// # Errors
    /// What `network` returns, and [`Error::Input`] when it returns something of another size or
    /// `picture` has another size than it was cut for.
    pub async fn run(
        &self,
        picture: &[u8],
        mut network: impl AsyncFnMut(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        if picture.len() != self.height * self.width * 3 {
            return Err(Error::Input(format!(
                "a picture of {}×{} pixels has {} bytes, not {}",
                self.width,
                self.height,
                self.height * self.width * 3,
                picture.len()
            )));
        }
        let factor = self.network.factor;
        let [tile_height, tile_width] = self.tile;
        let row = factor * tile_width * 3;
        let mut output = allocate::zeros(picture.len() * factor * factor)?;
        let mut input = allocate::with_capacity(tile_height * tile_width * 3)?;
        for vertical in self.spans(0) {
            for horizontal in self.spans(1) {
                self.cut(picture, vertical.start, horizontal.start, &mut input);
                let result = network(&input).await?;
                if result.len() != factor * tile_height * row {
                    return Err(Error::Input(format!(
                        "the network returned {} bytes for a tile of {tile_width}×{tile_height} \
                         pixels, not {}",
                        result.len(),
                        factor * tile_height * row
                    )));
                }
                let columns = bytes(&horizontal.keep, factor);
                let from = bytes(&horizontal.inside(), factor);
                for y in factor * vertical.keep.start..factor * vertical.keep.end {
                    let source = (y - factor * vertical.start) * row;
                    let target = y * factor * self.width * 3;
                    output[target + columns.start..target + columns.end]
                        .copy_from_slice(&result[source + from.start..source + from.end]);
                }
            }
        }
        Ok(output)
    }

    /// Copies the tile that starts at `top`, `left` to `tile`; what lies outside of the picture
    /// repeats its last row and column.
    fn cut(&self, picture: &[u8], top: usize, left: usize, tile: &mut Vec<u8>) {
        let [tile_height, tile_width] = self.tile;
        let columns = left * 3..(left + tile_width).min(self.width) * 3;
        tile.clear();
        for y in top..top + tile_height {
            let start = y.min(self.height - 1) * self.width * 3;
            let line = &picture[start..start + self.width * 3];
            tile.extend_from_slice(&line[columns.clone()]);
            for _ in self.width..left + tile_width {
                tile.extend_from_slice(&line[line.len() - 3..]);
            }
        }
    }

    /// The tiles along an axis.
    fn spans(&self, axis: usize) -> Vec<Span> {
        let length = [self.height, self.width][axis];
        let padded = length.next_multiple_of(self.network.multiple.max(1));
        let tile = self.tile[axis];
        // Without a cut along this axis the loop ends at once.
        let align = self.network.align.max(1);
        let step = match tile < padded {
            true => (tile - 2 * self.context) / align * align,
            false => tile,
        };
        let mut spans = Vec::new();
        let mut kept = 0;
        for start in (0..).step_by(step) {
            let last = start + tile >= padded;
            let start = start.min(padded - tile);
            let end = if last { length } else { start + tile - self.context };
            spans.push(Span { start, keep: kept..end });
            kept = end;
            if last {
                break;
            }
        }
        spans
    }
}

/// A tile along one axis, in pixels of the picture.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Span {
    start: usize,
    keep: Range<usize>,
}

impl Span {
    /// What is kept, counted from the tile's start.
    fn inside(&self) -> Range<usize> {
        self.keep.start - self.start..self.keep.end - self.start
    }
}

/// Where the pixels `range` stand in a row of the result.
fn bytes(range: &Range<usize>, factor: usize) -> Range<usize> {
    range.start * factor * 3..range.end * factor * 3
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;

    /// A network with receptive radius `radius`: that many 3×3 sums with zeros outside, in
    /// arithmetic modulo 251 so that every pixel in reach changes the result; the sums mix channels
    /// at places that depend on the position modulo `multiple`, as a pixel-unshuffle does.
    fn network(network: Upscaler, input: &[u8], height: usize, width: usize) -> Vec<u8> {
        assert!([height, width].iter().all(|side| side.is_multiple_of(network.multiple)));
        let mut values: Vec<u32> = input.iter().map(|&v| u32::from(v)).collect();
        for _ in 0..network.radius {
            let mut next = values.clone();
            for (i, value) in next.iter_mut().enumerate() {
                let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
                let phase = (y % network.align + 2 * (x % network.align)) as u32;
                *value = 1 + phase;
                for v in y.saturating_sub(1)..(y + 2).min(height) {
                    for u in x.saturating_sub(1)..(x + 2).min(width) {
                        let weight = (1 + (v + 3 - y) * 5 + (u + 3 - x)) as u32;
                        *value += weight * values[(v * width + u) * 3 + c];
                    }
                }
                *value %= 251;
            }
            values = next;
        }
        let mut output = Vec::new();
        for y in 0..height * network.factor {
            for x in 0..width * network.factor {
                let at = (y / network.factor * width + x / network.factor) * 3;
                output.extend(values[at..at + 3].iter().map(|&v| (v % 251) as u8));
            }
        }
        output
    }

    fn picture(height: usize, width: usize) -> Vec<u8> {
        (0..height * width * 3).map(|i| (i * 7919 % 257 % 251) as u8).collect()
    }

    fn run(height: usize, width: usize, upscaler: Upscaler, side: usize) -> (Tiling, Vec<u8>) {
        let tiling = Tiling::new(height, width, upscaler, [side, side]);
        let [h, w] = tiling.tile();
        let network = async |tile: &[u8]| Ok(network(upscaler, tile, h, w));
        let result = block_on(tiling.run(&picture(height, width), network));
        (tiling, result.unwrap())
    }

    #[test]
    fn tiles_equal_the_whole_picture() {
        for (height, width) in [(1, 1), (1, 200), (37, 41), (64, 64), (65, 63), (10, 333), (97, 3)]
        {
            for (factor, radius, multiple, align) in [
                (1, 2, 1, 1),
                (4, 3, 1, 1),
                (2, 3, 2, 2),
                (1, 5, 4, 4),
                (3, 0, 1, 1),
                (2, 3, 1, 4),
                (1, 5, 2, 8),
            ] {
                let upscaler = Upscaler { factor, radius, multiple, align };
                let (whole, expected) = run(height, width, upscaler, usize::MAX / 8);
                assert_eq!(whole.count(), 1);
                for side in [24, 32, 40] {
                    if side / 4 < radius.next_multiple_of(align) {
                        continue;
                    }
                    let (tiling, result) = run(height, width, upscaler, side);
                    assert!(tiling.is_exact());
                    assert!(result == expected, "{height}×{width} {upscaler:?}, tiles of {side}");
                }
            }
        }
    }

    #[test]
    fn too_little_context_is_said() {
        let upscaler = Upscaler { factor: 1, radius: 9, multiple: 1, align: 1 };
        let (tiling, result) = run(64, 64, upscaler, 32);
        assert!(!tiling.is_exact());
        assert_eq!(result.len(), 64 * 64 * 3);
    }

    #[test]
    fn tiles_shrink_until_they_fit() {
        let upscaler = Upscaler { factor: 4, radius: 18, multiple: 2, align: 2 };
        let budget = |pixels: usize| {
            async move |h: usize, w: usize| {
                if h * w <= pixels {
                    return Ok([h, w]);
                }
                Err(Error::OutOfMemory { needed: h * w, available: pixels, hint: String::new() })
            }
        };
        let (tiling, opened) =
            block_on(Tiling::choose(601, 400, upscaler, budget(1 << 20))).unwrap();
        assert_eq!((opened, tiling.count()), ([602, 400], 1));
        let (tiling, opened) =
            block_on(Tiling::choose(601, 400, upscaler, budget(130 * 130))).unwrap();
        assert_eq!(opened, [128, 128]);
        assert!(tiling.is_exact());
        let (tiling, opened) =
            block_on(Tiling::choose(10, 30_000, upscaler, budget(10_000))).unwrap();
        assert_eq!(opened, [10, 768]);
        assert!(tiling.count() > 30 && tiling.count() < 60);
        let error = block_on(Tiling::choose(601, 400, upscaler, budget(100))).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { needed: 1024, .. }), "{error}");
    }

    #[test]
    fn large_pictures_are_cut_without_being_asked_for() {
        let upscaler = Upscaler { factor: 4, radius: 34, multiple: 1, align: 1 };
        let open = async |_, _| Ok(());
        let (tiling, ()) = block_on(Tiling::choose(3000, 4000, upscaler, open)).unwrap();
        assert_eq!(tiling.tile(), [1024, 1024]);
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        let upscaler = Upscaler { factor: 4, radius: 1, multiple: 1, align: 1 };
        for (height, width) in [(0, 5), (5, 0), (20_000, 20_000), (usize::MAX, 2)] {
            let open = async |_, _| Ok(());
            assert!(block_on(Tiling::choose(height, width, upscaler, open)).is_err());
        }
        let tiling = Tiling::new(4, 4, upscaler, [4, 4]);
        assert!(block_on(tiling.run(&picture(4, 4), async |_| Ok(vec![0; 5]))).is_err());
        assert!(block_on(tiling.run(&[0; 5], async |tile| Ok(tile.to_vec()))).is_err());
    }
}
