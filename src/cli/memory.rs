//! Memory that a picture needs, asked for before it is used: a failed allocation ends the program.

use std::path::Path;

use pentimento::{Error, Result};

/// Bytes per pixel while a picture is decoded: what the decoder holds, at up to 16 bits, and what is
/// made of it.
const BYTES_PER_PIXEL: usize = 14;

/// Asks for what a picture of this many pixels needs, and gives it back at once.
///
/// # Errors
/// [`Error::Image`] where there is not so much.
pub fn reserve(path: &Path, pixels: usize) -> Result<()> {
    let bytes = pixels.saturating_mul(BYTES_PER_PIXEL);
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(bytes).map_err(|_| Error::Image {
        path: path.to_owned(),
        what: format!(
            "this picture needs about {} MB of memory, more than there is; scale it down first, or \
             end other programs",
            bytes / 1_000_000
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
    }
}
