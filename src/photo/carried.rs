//! What of a picture's metadata a format holds, and what is said of the rest.

use super::kept::{Kept, PHOTOSHOP_HEADER, XMP_HEADER};
use super::metadata::Metadata;
use super::{Format, Picture, containers, exif, tiff_tags, xmp};

/// A segment of JPEG has 2^16 - 1 bytes (ITU-T T.81, B.1.1.4); its own length and "Exif\0\0" are
/// among them.
const LONGEST_EXIF: usize = (1 << 16) - 1 - 2 - 6;

/// What goes into a file beside the pixels and their profile.
pub(super) struct Carried {
    pub exif: Option<Vec<u8>>,
    pub kept: Kept,
}

impl Carried {
    /// What of the metadata goes into a file of `format`; what does not goes to `notes`, and what of
    /// the pixels does not, too.
    pub(super) fn of(
        format: Format,
        picture: &Picture,
        metadata: &Metadata,
        notes: &mut Vec<String>,
    ) -> Self {
        use Format::{Avif, Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
        let name = format.name();
        let mut lost: Vec<&str> = Vec::new();
        let mut kept = metadata.kept.clone();
        kept.xmp = kept.xmp.map(xmp::of_result);
        let exif = metadata.exif.as_deref();
        // Files that tell their density nowhere else tell it in EXIF.
        kept.density = kept.density.or_else(|| tiff_tags::density_of_exif(exif?));
        let result = exif.map(|exif| exif::of_result(exif, picture.height, picture.width));
        match &result {
            Some(None) => notes.push("its EXIF is damaged and was left out".to_owned()),
            Some(Some(exif)) if exif.damaged => {
                notes.push("a part of its EXIF is damaged and was left out".to_owned());
            }
            _ => {}
        }
        let mut exif = result.flatten().map(|exif| exif.bytes);
        let mut drop_if = |is: bool, what: &'static str| {
            if is {
                lost.push(what);
            }
            is
        };
        let has_no = |formats: &[Format]| formats.contains(&format);
        let long = |exif: &Vec<u8>| format == Jpeg && exif.len() > LONGEST_EXIF;
        if drop_if(exif.is_some() && has_no(&[Bmp, Gif, Pnm]), "EXIF")
            || drop_if(exif.as_ref().is_some_and(long), "so much EXIF")
        {
            exif = None;
        }
        let fits = |header: &[u8], packet: &Option<Vec<u8>>| {
            format != Jpeg || packet.as_ref().is_none_or(|p| containers::fits_jpeg(header, p))
        };
        if drop_if(kept.xmp.is_some() && has_no(&[Bmp, Pnm]), "XMP")
            || drop_if(!fits(XMP_HEADER, &kept.xmp), "so much XMP")
        {
            kept.xmp = None;
        }
        let resource = kept.iptc.as_deref().map(containers::resource);
        if drop_if(kept.iptc.is_some() && has_no(&[Avif, Bmp, Gif, Pnm, WebP]), "IPTC")
            || drop_if(!fits(PHOTOSHOP_HEADER, &resource), "so much IPTC")
        {
            kept.iptc = None;
        }
        let in_exif = exif.as_deref().and_then(tiff_tags::density_of_exif).is_some();
        drop_if(
            kept.density.is_some() && !in_exif && has_no(&[Avif, Gif, Pnm, WebP]),
            "its size on paper",
        );
        let has_comment = containers::comment(&kept).is_some();
        drop_if(has_comment && has_no(&[Avif, Bmp, Pnm, WebP, Tiff]), "its comment");
        let is_text = |kind: &[u8; 4]| matches!(kind, b"tEXt" | b"zTXt" | b"iTXt");
        let is_comment = |data: &[u8]| data.starts_with(b"Comment\0");
        let texts = kept.chunks.iter().any(|(kind, data)| {
            let told = matches!(format, Gif | Jpeg) && kind == b"tEXt" && is_comment(data);
            is_text(kind) && !told
        });
        drop_if(texts && format != Png, "the texts of a PNG");
        let has_icc = picture.icc.is_some() || metadata.gray_icc.is_some();
        drop_if(!has_icc && format != Png && kept.has_odd_colours(), "the gamma of a PNG");
        drop_if(has_icc && !format.has_profile(), "a colour profile");
        drop_if(metadata.deep.is_some() && !format.is_deep(), "16 bits");
        if format.is_deep() && metadata.deep.as_ref().is_some_and(|deep| !deep.fits(picture)) {
            notes.push("16 bits became 8: the model makes a picture of another shape".to_owned());
        }
        if let [first @ .., last] = &lost[..] {
            let and = if first.is_empty() { "" } else { " and " };
            let list = format!("{}{and}{last}", first.join(", "));
            notes.push(format!("{name} has no place for {list}: left out"));
        }
        Self { exif, kept }
    }
}
