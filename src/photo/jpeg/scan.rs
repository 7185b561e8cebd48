//! One scan: its blocks in their order, and what is wrong with them.

use super::arithmetic::ArithmeticBlocks;
use super::frame::Frame;
use super::huffman::HuffmanBlocks;
use super::idct;
use super::segment::{RST0, RST7, Scan, Tables, next_marker};

/// A decoder of entropy-coded blocks.
pub(super) trait Blocks {
    /// Decodes the next block, which is of a component of the scan. `Err`: what cannot be.
    fn decode(&mut self, component: usize, block: &mut [i16; 64]) -> Result<(), &'static str>;
    /// Whether the blocks so far needed more data than there are before the next marker.
    fn is_exhausted(&self) -> bool;
    /// Where the next marker stands, and how many bytes before it were not used.
    fn end(&self) -> (usize, usize);
    /// Begins again behind a marker.
    fn restart(&mut self, at: usize);
}

/// What is wrong with a file.
#[derive(Default)]
pub(super) struct Damage {
    /// What was found first.
    pub(super) first: Option<String>,
    /// The first row of pixels that is not as it was, where that can be told.
    pub(super) row: Option<usize>,
    /// Bytes before the marker that ends the last scan and that belong to nothing.
    pub(super) left_over: usize,
}

impl Damage {
    pub(super) fn note(&mut self, row: Option<usize>, what: &str) {
        if self.first.is_none() {
            self.first = Some(what.to_owned());
        }
        if let Some(row) = row {
            self.row = Some(self.row.map_or(row, |first| first.min(row)));
        }
    }
}

const TOO_SHORT: &str = "a part of its data is missing";
const TOO_LONG: &str = "its data do not fit together";

/// Decodes the scan whose data begin at `at`; returns where the marker behind it stands.
pub(super) fn decode(
    bytes: &[u8],
    at: usize,
    frame: &mut Frame,
    tables: &Tables,
    scan: &Scan,
    damage: &mut Damage,
) -> Result<usize, String> {
    for &(index, ..) in &scan.components {
        let component = &mut frame.components[index];
        let table = tables.quantisation[component.table];
        component.steps = component.steps.or(table);
        if component.steps.is_none() {
            return Err("it has no table of quantisation".to_owned());
        }
        let before = (scan.bits.0 > 0).then_some(scan.bits.0);
        for missing in &mut component.missing[scan.band.0..=scan.band.1] {
            if *missing != before {
                damage.note(None, "its scans do not follow each other");
            }
            *missing = Some(scan.bits.1);
        }
    }
    let progressive = frame.progressive;
    if frame.arithmetic {
        let blocks = ArithmeticBlocks::new(bytes, at, tables, scan, progressive);
        Ok(run(bytes, blocks, frame, tables.restart_interval, scan, damage))
    } else {
        let blocks = HuffmanBlocks::new(bytes, at, tables, scan, progressive)?;
        Ok(run(bytes, blocks, frame, tables.restart_interval, scan, damage))
    }
}

fn run(
    bytes: &[u8],
    mut blocks: impl Blocks,
    frame: &mut Frame,
    interval: usize,
    scan: &Scan,
    damage: &mut Damage,
) -> usize {
    // A scan of one component has no MCUs: its blocks come one by one, without those that would
    // only fill an MCU up (T.81, A.2.2).
    let alone = scan.components.len() == 1;
    let (columns, rows) = match scan.components.first() {
        Some(&(index, ..)) if alone => frame.components[index].blocks,
        _ => frame.mcus,
    };
    let height = if alone {
        let down =
            scan.components.first().map_or(1, |&(index, ..)| frame.components[index].sampling.1);
        8 * frame.most.1 / down.max(1)
    } else {
        8 * frame.most.1
    };
    let (mut left, mut expected, mut lost) = (interval, 0, false);
    for row in 0..rows {
        let at_row = Some(row * height);
        for column in 0..columns {
            if interval > 0 && left == 0 {
                restart(bytes, &mut blocks, expected, lost, at_row, damage);
                (left, expected, lost) = (interval, (expected + 1) % 8, false);
            }
            left = left.saturating_sub(1);
            if lost {
                continue;
            }
            for (number, &(index, ..)) in scan.components.iter().enumerate() {
                let (across, down) = if alone { (1, 1) } else { frame.components[index].sampling };
                for position in 0..across * down {
                    let x = column * across + position % across;
                    let y = row * down + position / across;
                    let component = &mut frame.components[index];
                    let at = y * component.room.0 + x;
                    let mut single = [0; 64];
                    let block = component.coefficients.get_mut(at).unwrap_or(&mut single);
                    if let Err(what) = blocks.decode(number, block) {
                        damage.note(at_row, what);
                    }
                    if !frame.progressive
                        && let Some(steps) = &component.steps
                    {
                        let stride = 8 * component.room.0;
                        let to = &mut component.plane[8 * (y * stride + x)..];
                        idct::block(&single, steps, to, stride);
                    }
                }
            }
            if blocks.is_exhausted() {
                damage.note(at_row, TOO_SHORT);
                lost = true;
            }
        }
    }
    let (marker, unused) = blocks.end();
    damage.left_over = 0;
    if !lost && unused > 0 {
        if bytes.get(marker + 1).is_some_and(|m| (RST0..=RST7).contains(m)) || unused > HARMLESS {
            damage.note(None, TOO_LONG);
        } else {
            damage.left_over = unused;
        }
    }
    marker
}

/// Some cameras write a byte or two more than their pixels need.
pub(super) const HARMLESS: usize = 2;

/// Goes on behind the restart marker with the number `expected`. Where it is not the next one, this
/// does what decoders have always done (T.81 leaves it open): a marker just behind it means that
/// data are missing, one just before it that there are too many.
fn restart(
    bytes: &[u8],
    blocks: &mut impl Blocks,
    expected: u8,
    lost: bool,
    row: Option<usize>,
    damage: &mut Damage,
) {
    let (mut at, unused) = blocks.end();
    if !lost && unused > 0 {
        damage.note(row.map(|row| row.saturating_sub(1)), TOO_LONG);
    }
    loop {
        let marker = bytes.get(at + 1).copied().unwrap_or_default();
        let is_restart = (RST0..=RST7).contains(&marker);
        let ahead = marker.wrapping_sub(RST0).wrapping_sub(expected) % 8;
        match ahead {
            0 if is_restart => return blocks.restart(at + 2),
            3..=5 if is_restart => {
                damage.note(row, TOO_LONG);
                return blocks.restart(at + 2);
            }
            6 | 7 if is_restart => {
                damage.note(row, TOO_LONG);
                at = next_marker(bytes, at + 2).unwrap_or(bytes.len());
            }
            _ => {
                damage.note(row, TOO_SHORT);
                return blocks.restart(at);
            }
        }
    }
}
