//! What the files of animations say of themselves: how many frames they have, and how often they
//! are shown. Libraries tell a GIF that is played once from one that is played for ever by neither.

use image::ImageFormat;

use super::super::segments;

/// An animation, as its file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Animation {
    pub(in super::super) frames: usize,
    /// How often all frames are shown; 0: for ever.
    pub(in super::super) plays: u32,
    /// Whether a PNG has a still picture beside its frames, for programs that show no animations.
    pub(in super::super) has_still: bool,
}

impl Animation {
    /// What `bytes` say; `None` for files that hold one picture.
    pub(in super::super) fn of(bytes: &[u8], format: Option<ImageFormat>) -> Option<Self> {
        let found = match format? {
            ImageFormat::Gif => gif(bytes).animation,
            ImageFormat::Png => png(bytes)?,
            ImageFormat::WebP => webp(bytes),
            _ => return None,
        };
        (found.frames > 1).then_some(found)
    }
}

/// What a GIF says.
pub(in super::super) struct Gif {
    pub(in super::super) animation: Animation,
    pub(in super::super) comment: Option<Vec<u8>>,
    /// Whether its end is there, so that no frame is missing.
    pub(in super::super) is_whole: bool,
}

/// GIF89a, section 20: an image descriptor a frame. Also its comment (section 24) and its end
/// (section 27).
pub(in super::super) fn gif(bytes: &[u8]) -> Gif {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut found = Animation { frames: 0, plays: 1, has_still: false };
    let mut comment: Option<Vec<u8>> = None;
    let mut is_whole = false;
    let Some(&flags) = bytes.get(10) else {
        return Gif { animation: found, comment, is_whole };
    };
    let mut at = 13 + table(flags);
    loop {
        let mut label = 0;
        at += match bytes.get(at) {
            Some(0x2C) => {
                found.frames += 1;
                let Some(&flags) = bytes.get(at + 9) else { break };
                // Behind the descriptor and its table stands the size of the codes.
                10 + table(flags) + 1
            }
            Some(0x21) => {
                label = bytes.get(at + 1).copied().unwrap_or(0);
                2
            }
            end => {
                is_whole = end == Some(&0x3B);
                break;
            }
        };
        // How often to repeat stands in a block of its own behind the program's name.
        let rest = bytes.get(at..).unwrap_or_default();
        let loops = [b"\x0BNETSCAPE2.0", b"\x0BANIMEXTS1.0"];
        if label == 0xFF
            && loops.iter().any(|name| rest.starts_with(*name))
            && let Some(&[3, 1, low, high]) = rest.get(12..16)
        {
            let repeats = u32::from(u16::from_le_bytes([low, high]));
            found.plays = if repeats == 0 { 0 } else { repeats + 1 };
        }
        let mut text = Vec::new();
        while let Some(&length) = bytes.get(at) {
            let end = at + 1 + usize::from(length);
            text.extend(bytes.get(at + 1..end).filter(|_| label == 0xFE).unwrap_or_default());
            at = end;
            if length == 0 {
                break;
            }
        }
        if label == 0xFE && !text.is_empty() {
            comment = comment.or(Some(text));
        }
    }
    Gif { animation: found, comment, is_whole }
}

/// The chunk `acTL`, which stands before the pixels: their number, and how often they are shown.
/// Pixels before any `fcTL` are not a frame.
fn png(bytes: &[u8]) -> Option<Animation> {
    let mut found = None;
    let mut has_still = true;
    for chunk in segments::of_png(bytes) {
        match &chunk.kind {
            b"IDAT" => break,
            b"fcTL" => has_still = false,
            b"acTL" => {
                let &[frames, plays] = chunk.data.as_chunks::<4>().0.first_chunk()?;
                let frames = u32::from_be_bytes(frames) as usize;
                found = Some((frames, u32::from_be_bytes(plays)));
            }
            _ => {}
        }
    }
    found.map(|(frames, plays)| Animation { frames, plays, has_still })
}

/// RFC 9649, section 2.7.1: a chunk `ANMF` a frame, and `ANIM` before them.
fn webp(bytes: &[u8]) -> Animation {
    let mut found = Animation { frames: 0, plays: 0, has_still: false };
    for chunk in segments::of_webp(bytes) {
        match &chunk.kind {
            b"ANMF" => found.frames += 1,
            b"ANIM" => {
                if let Some(&[low, high]) = chunk.data.get(4..6) {
                    found.plays = u16::from_le_bytes([low, high]).into();
                }
            }
            _ => {}
        }
    }
    found
}
