//! Memory that a picture needs, asked for before it is used: a failed allocation ends the program.

use std::path::Path;

use pentimento::{Error, Result, room};

/// Bytes per pixel while a picture is decoded: what the decoder holds, at up to 16 bits, and what is
/// made of it. With 6 megapixels JPEG took 5, PNG 6, BMP 8, TIFF 9 and HEIC of 4:2:0 12.
const BYTES_PER_PIXEL: usize = 14;
/// The same for formats whose decoders hold more: HEIC of 4:4:4 took 24, lossy JPEG XL 26.
const MORE_BYTES_PER_PIXEL: usize = 32;
const TAKE_MORE: [&str; 5] = ["avif", "heic", "heif", "hif", "jxl"];

/// Bytes per pixel of the format that the name of a file tells.
fn bytes_per_pixel(path: &Path) -> usize {
    let ending = path.extension().unwrap_or_default();
    let takes_more = TAKE_MORE.iter().any(|more| ending.eq_ignore_ascii_case(more));
    if takes_more { MORE_BYTES_PER_PIXEL } else { BYTES_PER_PIXEL }
}

/// Asks for what a picture of this many pixels needs, and gives it back at once.
///
/// # Errors
/// [`Error::Image`] where there is not so much.
pub fn reserve(path: &Path, pixels: usize) -> Result<()> {
    let bytes = pixels.saturating_mul(bytes_per_pixel(path));
    let left = room::left();
    let mut memory = Vec::<u8>::new();
    if left.is_none_or(|left| bytes <= left) && memory.try_reserve_exact(bytes).is_ok() {
        return Ok(());
    }
    let megabytes = |bytes: usize| bytes / 1_000_000;
    let there = left
        .filter(|&left| left < bytes)
        .map_or("there is".to_owned(), |left| format!("the {} MB that there are", megabytes(left)));
    Err(Error::Image {
        path: path.to_owned(),
        what: format!(
            "this picture needs about {} MB of memory, more than {there}; scale it down first, or \
             end other programs",
            megabytes(bytes)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let error = reserve(Path::new("a.png"), usize::MAX / 64).unwrap_err().to_string();
        assert!(error.starts_with("a.png: ") && error.contains("MB of memory"), "{error}");
        reserve(Path::new("a.png"), 1 << 17).unwrap();
        assert!(bytes_per_pixel(Path::new("a.HEIC")) > bytes_per_pixel(Path::new("heic.png")));
    }
}
