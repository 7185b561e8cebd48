//! Small copies of pictures that browsers do not show, for the page.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pentimento::photo::{self, Format, Metadata, Pages, ReadOptions, walled};
use pentimento::{Error, Result};

use super::inputs::create_folder;
use super::journal::Digest;

/// Columns or rows of a preview, whichever are more.
const LONG_SIDE: usize = 1600;

/// Whether browsers show this file: its content says, since phones name HEIC ".jpg", too.
fn is_shown(path: &Path) -> bool {
    const BEGIN: u64 = 64;
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGIN).read_to_end(&mut begin));
    match Format::of_bytes(&begin).filter(|_| read.is_ok()) {
        Some(Format::Tiff | Format::Pnm) | None => false,
        Some(_) => true,
    }
}

/// What a page at `page` shows for `picture`: the picture itself, or a preview of it in a hidden
/// folder beside the page, which is written where it is not there yet. A picture that cannot be
/// read stands for itself.
pub fn of(page: &Path, picture: &Path) -> PathBuf {
    if is_shown(picture) {
        return picture.to_owned();
    }
    walled(|| written(page, picture)).unwrap_or_else(|error| {
        log::debug!("no preview of {}: {error}", picture.display());
        picture.to_owned()
    })
}

fn written(page: &Path, picture: &Path) -> Result<PathBuf> {
    let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = page.with_file_name(format!(".{name}.previews"));
    let io = |source| Error::Io { action: "read", path: picture.to_owned(), source };
    let whole = picture.canonicalize().map_err(io)?;
    // Pictures of the same name may lie in several folders.
    let preview = folder.join(Digest::of(whole.as_os_str().as_encoded_bytes()).name() + ".jpg");
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if time(&preview).is_some_and(|written| time(&whole).is_some_and(|changed| changed <= written))
    {
        return Ok(preview);
    }
    // Of several pages, the first.
    let first = Pages::read(&whole, &ReadOptions::default())?.next();
    let none = || Error::Internal("the file has no pages".to_owned());
    let large = first.ok_or_else(none).flatten()?.picture;
    let long = large.height.max(large.width).max(1);
    let side = |side: usize| (side * LONG_SIDE.min(long) / long).max(1);
    let small = large.resized(side(large.height), side(large.width))?;
    create_folder(&folder)?;
    photo::write_whole(&photo::encode(&small, &Metadata::default(), &preview)?, &preview)?;
    Ok(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_show_stands_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("index.html");
        for name in ["a.jpg", "a.PNG", "a.webp", "a.bmp", "missing.tif"] {
            assert_eq!(of(&page, &folder.path().join(name)), folder.path().join(name));
        }
        let scan = folder.path().join("scan.tif");
        image::RgbImage::new(3200, 10).save(&scan).unwrap();
        let preview = of(&page, &scan);
        assert_eq!(image::image_dimensions(&preview).unwrap(), (1600, 5));
        let named_so = folder.path().join("scan.jpg");
        fs::copy(&scan, &named_so).unwrap();
        assert_ne!(of(&page, &named_so), named_so, "its content is TIFF");
        let photo = folder.path().join("photo.tif");
        image::RgbImage::new(3, 2).save_with_format(&photo, image::ImageFormat::Jpeg).unwrap();
        assert_eq!(of(&page, &photo), photo);
        assert_eq!(preview.parent().unwrap(), folder.path().join(".index.html.previews"));
        fs::write(&preview, "kept").unwrap();
        assert_eq!(of(&page, &scan), preview);
        assert_eq!(fs::read(&preview).unwrap(), b"kept", "it is there already");
    }
}
