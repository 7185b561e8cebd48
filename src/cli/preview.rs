//! Small copies of pictures that browsers do not show, for the page.

use std::fs;
use std::path::{Path, PathBuf};

use pentimento::photo::{self, Format, Metadata};
use pentimento::{Error, Result};

use super::inputs::create_folder;
use super::journal::Digest;
use super::wall::walled;

/// Columns or rows of a preview, whichever are more.
const LONG_SIDE: usize = 1600;

/// Whether browsers show files of this name.
fn is_shown(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match Format::of(path) {
        Ok(Format::Tiff | Format::Pnm) => false,
        Ok(_) => true,
        Err(_) => extension.eq_ignore_ascii_case("gif"),
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
    let large = photo::read(&whole)?;
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
        assert_eq!(preview.parent().unwrap(), folder.path().join(".index.html.previews"));
        fs::write(&preview, "kept").unwrap();
        assert_eq!(of(&page, &scan), preview);
        assert_eq!(fs::read(&preview).unwrap(), b"kept", "it is there already");
    }
}
