//! The quality that a JPEG was written at, as far as its quantisation tables tell.

/// Luminance table of ITU-T T.81, table K.1, in the zigzag order of files.
const LUMINANCE: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
    29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81,
    87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

/// The table that libjpeg makes of it for a quality.
fn scaled(quality: u8) -> [u16; 64] {
    let quality = u32::from(quality);
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    LUMINANCE.map(|v| ((u32::from(v) * percent + 50) / 100).clamp(1, 255) as u16)
}

/// The quality, 1 to 100, whose table is nearest to the file's first one; `None` where it has none.
pub(super) fn of(jpeg: &[u8]) -> Option<u8> {
    let table = first_table(jpeg)?;
    let distance = |quality: &u8| -> u32 {
        let scaled = scaled(*quality);
        scaled.iter().zip(&table).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    // Of equals the best.
    (1..=100).rev().min_by_key(distance)
}

/// The values of the first quantisation table (ITU-T T.81, B.2.4.1).
fn first_table(jpeg: &[u8]) -> Option<[u16; 64]> {
    const DQT: u8 = 0xDB;
    let segment = super::segments::of_jpeg(jpeg).find(|segment| segment.marker == DQT)?;
    let (&kind, values) = segment.data.split_first()?;
    let mut table = [0; 64];
    if kind >> 4 == 0 {
        for (to, from) in table.iter_mut().zip(values.get(..64)?) {
            *to = u16::from(*from);
        }
    } else {
        for (to, from) in table.iter_mut().zip(values.get(..128)?.as_chunks::<2>().0) {
            *to = u16::from_be_bytes(*from);
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_is_told() {
        for quality in 1..=100 {
            let table: Vec<u8> = scaled(quality).iter().map(|&v| v as u8).collect();
            let file = [&[0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0][..], &table, &[0xFF, 0xD9]].concat();
            let told = of(&file).unwrap();
            assert_eq!(scaled(told), scaled(quality), "{quality}: {told}");
        }
        assert_eq!(of(b""), None);
        assert_eq!(of(&[0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0, 1]), None);
    }
}
