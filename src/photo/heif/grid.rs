//! A picture in tiles, which stand in rows: ISO/IEC 23008-12, 6.6.2.3.

use super::DAMAGED;
use super::container::{Container, Item};
use super::reader::Reader;
use crate::photo::decode::MAX_PIXELS;

/// Pixels of a tile, across and down: ISO/IEC 23000-22 (MIAF), 7.3.11.4.2.
const LEAST_SIDE: usize = 64;

/// How the tiles of a picture lie.
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
    /// Of the whole picture.
    pub width: usize,
    /// Of the whole picture.
    pub height: usize,
    /// The items, row by row.
    pub tiles: Vec<u32>,
}

impl Grid {
    /// The grid of `item`, with a tile for each place.
    pub(super) fn of(container: &Container, item: &Item) -> Result<Self, String> {
        let data = container.data(item).ok_or(super::MISSING)?;
        let tiles = container.targets(b"dimg", item.id).to_vec();
        let grid = Self::read(&data, tiles).ok_or(DAMAGED)?;
        if grid.tiles.len() != grid.rows * grid.columns
            || grid.width.saturating_mul(grid.height) > MAX_PIXELS
        {
            return Err(DAMAGED.to_owned());
        }
        Ok(grid)
    }

    fn read(data: &[u8], tiles: Vec<u32>) -> Option<Self> {
        let mut reader = Reader(data);
        let (_version, flags) = (reader.byte()?, reader.byte()?);
        let (rows, columns) = (usize::from(reader.byte()?) + 1, usize::from(reader.byte()?) + 1);
        let side = if flags & 1 == 0 { 2 } else { 4 };
        let (width, height) = (reader.uint(side)? as usize, reader.uint(side)? as usize);
        Some(Self { rows, columns, width, height, tiles })
    }

    /// Whether tiles of this size cover the picture, and none lies beside it: then all of them
    /// together are not much larger than the picture. Each is as large as the standard wants it:
    /// thousands of tiny ones would take minutes.
    pub(super) fn check(&self, tile_width: usize, tile_height: usize) -> Result<(), String> {
        let is_tiny = tile_width < LEAST_SIDE || tile_height < LEAST_SIDE;
        if self.tiles.len() > 1 && is_tiny {
            return Err(DAMAGED.to_owned());
        }
        let fits = |whole: usize, tile: usize, count: usize| {
            whole <= tile.saturating_mul(count) && whole > tile.saturating_mul(count - 1)
        };
        let all = fits(self.width, tile_width, self.columns);
        if all && fits(self.height, tile_height, self.rows) {
            return Ok(());
        }
        Err(DAMAGED.to_owned())
    }
}

/// Samples of a rectangle, row by row.
pub(super) struct Plane<'a> {
    pub samples: &'a [i32],
    pub width: usize,
}

/// Puts `tile` into `whole`, whose rows are `width` long, at `[x, y]`; what lies beyond is cut.
pub(super) fn put(tile: &Plane, whole: &mut [i32], width: usize, [x, y]: [usize; 2]) {
    if tile.width == 0 || width <= x {
        return;
    }
    let kept = tile.width.min(width - x);
    let to = whole.chunks_exact_mut(width).skip(y);
    for (from, to) in tile.samples.chunks_exact(tile.width).zip(to) {
        to[x..x + kept].copy_from_slice(&from[..kept]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_picture_and_not_more() {
        let grid = Grid::read(&[0, 0, 1, 2, 0, 200, 0, 130], vec![0; 6]).unwrap();
        assert_eq!((grid.rows, grid.columns, grid.width, grid.height), (2, 3, 200, 130));
        assert!(grid.check(67, 65).is_ok() && grid.check(99, 129).is_ok());
        for [width, height] in [[66, 65], [100, 65], [67, 64], [67, 130], [0, 0]] {
            assert!(grid.check(width, height).is_err());
        }
        let small = Grid::read(&[0, 0, 1, 2, 0, 180, 0, 126], vec![0; 6]).unwrap();
        assert!(small.check(64, 64).is_ok() && small.check(64, 63).is_err());
        let large = Grid::read(&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9], vec![0]).unwrap();
        assert_eq!((large.width, large.height), (65_536, 9));
        assert!(Grid::read(&[0, 1, 0, 0, 0, 1, 0, 0], vec![0]).is_none());
    }

    #[test]
    fn a_tile_is_cut_at_the_edge() {
        let mut whole = [0; 6];
        put(&Plane { samples: &[1, 2, 3, 4], width: 2 }, &mut whole, 3, [2, 0]);
        assert_eq!(whole, [0, 0, 1, 0, 0, 3]);
        put(&Plane { samples: &[5, 6], width: 1 }, &mut whole, 3, [0, 1]);
        assert_eq!(whole, [0, 0, 1, 5, 0, 3]);
    }
}
