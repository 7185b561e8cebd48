//! How an AVIF picture is cut, turned and mirrored: ISO/IEC 23008-12, 6.5.

use image::DynamicImage;

use super::DAMAGED;
use super::container::Item;
use super::reader::Reader;

/// `image` as it is to be shown, by what is said about `item`, in the order in which it is said.
pub(super) fn applied(image: DynamicImage, item: &Item) -> Result<DynamicImage, String> {
    item.properties.iter().try_fold(image, |image, property| {
        let first = property.data.first().copied();
        Ok(match (&property.kind, first) {
            (b"clap", _) => {
                let size = [image.width(), image.height()];
                let [x, y, width, height] = window(property.data, size).ok_or(DAMAGED)?;
                image.crop_imm(x, y, width, height)
            }
            // Quarter turns against the clock.
            (b"irot", Some(turns)) => match turns & 3 {
                1 => image.rotate270(),
                2 => image.rotate180(),
                3 => image.rotate90(),
                _ => image,
            },
            (b"imir", Some(axis)) if axis & 1 == 0 => image.flipv(),
            (b"imir", Some(_)) => image.fliph(),
            _ => image,
        })
    })
}

/// Left, top, width and height of a clean aperture (ISO/IEC 14496-12, 12.1.4) that are whole
/// numbers and lie in the picture.
fn window(clap: &[u8], size: [u32; 2]) -> Option<[u32; 4]> {
    let mut reader = Reader(clap);
    let mut fraction = || Some([i64::from(reader.long()? as i32), reader.long()?.into()]);
    let (width, height, across, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let axis = |whole: u32, [side, side_of]: [i64; 2], [at, at_of]: [i64; 2]| {
        if side_of == 0 || at_of == 0 || side % side_of != 0 {
            return None;
        }
        let side = side / side_of;
        // The middle lies at `at` beside that of the picture: (whole - side) / 2 + at.
        let twice =
            (i64::from(whole) - side).checked_mul(at_of)?.checked_add(at.checked_mul(2)?)?;
        if twice % (2 * at_of) != 0 {
            return None;
        }
        let start = twice / (2 * at_of);
        let is_inside = side > 0 && start >= 0 && start + side <= i64::from(whole);
        is_inside.then_some([start as u32, side as u32])
    };
    let [x, width] = axis(size[0], width, across)?;
    let [y, height] = axis(size[1], height, down)?;
    Some([x, y, width, height])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clap(values: [i32; 8]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    #[test]
    fn clean_apertures() {
        let size = [10, 7];
        assert_eq!(window(&clap([6, 1, 5, 1, 0, 1, 0, 1]), size), Some([2, 1, 6, 5]));
        assert_eq!(window(&clap([7, 1, 7, 1, -3, 2, 0, 1]), size), Some([0, 0, 7, 7]));
        for bad in [
            [7, 1, 7, 1, 0, 1, 0, 1],
            [6, 1, 5, 1, 3, 1, 0, 1],
            [0, 1, 5, 1, 0, 1, 0, 1],
            [6, 0, 5, 1, 0, 1, 0, 1],
            [6, 1, 5, 1, 0, 0, 0, 1],
            [-6, 1, 5, 1, 0, 1, 0, 1],
            [i32::MAX, 1, i32::MIN, -1, i32::MAX, -1, i32::MIN, -1],
        ] {
            assert_eq!(window(&clap(bad), size), None, "{bad:?}");
        }
        assert_eq!(window(b"", size), None);
    }

    #[test]
    fn turns_and_mirrors() {
        use super::super::container::Property;
        // 1 2 3
        // 4 5 6
        let image: DynamicImage =
            image::GrayImage::from_raw(3, 2, vec![1, 2, 3, 4, 5, 6]).unwrap().into();
        let shown = |kind: &[u8; 4], value: u8| {
            let data = [value];
            let properties = vec![Property { kind: *kind, data: &data, is_essential: true }];
            let item = Item { properties, ..Item::default() };
            applied(image.clone(), &item).unwrap().into_luma8().into_raw()
        };
        assert_eq!(shown(b"irot", 0), [1, 2, 3, 4, 5, 6]);
        assert_eq!(shown(b"irot", 1), [3, 6, 2, 5, 1, 4]);
        assert_eq!(shown(b"irot", 2), [6, 5, 4, 3, 2, 1]);
        assert_eq!(shown(b"irot", 3), [4, 1, 5, 2, 6, 3]);
        assert_eq!(shown(b"imir", 0), [4, 5, 6, 1, 2, 3]);
        assert_eq!(shown(b"imir", 1), [3, 2, 1, 6, 5, 4]);
    }
}
