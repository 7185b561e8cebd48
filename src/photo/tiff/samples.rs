//! The samples of a part: their predictor undone, and their numbers on one scale.

use super::layout::{Layout, Numbers};

/// Samples of a whole picture, all on one scale.
pub(super) enum Samples {
    /// 0 to 255.
    Bytes(Vec<u8>),
    /// 0 to 65535.
    Words(Vec<u16>),
}

/// Undoes the predictor of a row (TIFF 6.0, section 14, and Adobe's technical note 3), which has
/// `samples` that belong to a pixel.
pub(super) fn undo_predictor(
    row: &mut [u8],
    layout: &Layout,
    big_endian: bool,
    samples: usize,
) -> Result<(), String> {
    match (layout.predictor, layout.bits) {
        (1, _) => {}
        (2, 8) => {
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
        }
        (2, 16) => differences::<2>(row, samples, big_endian),
        (2, 32) => differences::<4>(row, samples, big_endian),
        (3, bits @ (16 | 24 | 32 | 64)) => {
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
            let (size, planes) = (bits / 8, row.to_vec());
            let count = planes.len() / size;
            for (index, to) in row.chunks_exact_mut(size).enumerate() {
                for (byte, to) in to.iter_mut().enumerate() {
                    // The most significant bytes of all come first.
                    let from = if big_endian { byte } else { size - 1 - byte };
                    *to = planes[from * count + index];
                }
            }
        }
        (predictor, bits) => {
            return Err(format!("predictor {predictor} with {bits} bits cannot be"));
        }
    }
    Ok(())
}

fn differences<const SIZE: usize>(row: &mut [u8], samples: usize, big_endian: bool) {
    let (values, _) = row.as_chunks_mut::<SIZE>();
    for at in samples..values.len() {
        let sum =
            number(&values[at], big_endian).wrapping_add(number(&values[at - samples], big_endian));
        let bytes = sum.to_le_bytes();
        values[at].copy_from_slice(&bytes[..SIZE]);
        if big_endian {
            values[at].reverse();
        }
    }
}

fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let append = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, append) } else { bytes.iter().rev().fold(0, append) }
}

/// Samples of one row as they are in the file: whole numbers of `layout.bits`, or floats on the
/// scale of 65535. Floats that are outside of 0 to 1 are cut and counted.
pub(super) fn numbers(
    row: &[u8],
    layout: &Layout,
    big_endian: bool,
    count: usize,
    cut: &mut usize,
    to: &mut Vec<u32>,
) {
    to.clear();
    let bits = layout.bits;
    if layout.numbers == Numbers::Float {
        for bytes in row.chunks_exact(bits / 8).take(count) {
            let raw = number(bytes, big_endian);
            let value = match bits {
                16 => f64::from(half::f16::from_bits(raw as u16).to_f32()),
                32 => f64::from(f32::from_bits(raw as u32)),
                _ => f64::from_bits(raw),
            };
            if !(0.0..=1.0).contains(&value) {
                *cut += 1;
            }
            let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
            to.push((value * 65_535.0 + 0.5) as u32);
        }
    } else if bits.is_multiple_of(8) {
        let values = row.chunks_exact(bits / 8).take(count);
        to.extend(values.map(|bytes| number(bytes, big_endian) as u32));
    } else {
        // Packed without gaps, the first sample in the highest bits.
        for index in 0..count {
            let mut value = 0;
            for bit in index * bits..(index + 1) * bits {
                let byte = row.get(bit / 8).copied().unwrap_or(0);
                value = value << 1 | u32::from(byte >> (7 - bit % 8) & 1);
            }
            to.push(value);
        }
    }
}

/// The largest whole number of a file, on whose scale [`numbers`] are.
pub(super) fn largest(layout: &Layout) -> u64 {
    match layout.numbers {
        Numbers::Float => 65_535,
        Numbers::Unsigned => (1 << layout.bits) - 1,
    }
}
