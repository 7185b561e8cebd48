//! Frames with their times, as ffmpeg reads them: uncompressed video in Matroska (RFC 9559).
//!
//! YUV4MPEG2 knows one rate for all frames; here every frame has a time of its own, in nanoseconds.

use std::io::{self, Write};

/// The sizes of frames, and how their samples lie.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub height: usize,
    pub width: usize,
    /// Bits of a sample, 8 to 16.
    pub depth: u32,
    /// Luma samples per chroma sample, across and down; `None` without chroma.
    pub subsampling: Option<[usize; 2]>,
}

impl Layout {
    /// What ffmpeg calls it.
    pub fn pixel_format(self) -> String {
        let kind = match self.subsampling {
            None => "gray",
            Some([1, 1]) => "yuv444p",
            Some([_, 1]) => "yuv422p",
            Some(_) => "yuv420p",
        };
        match (self.depth, self.subsampling) {
            (8, _) => kind.to_owned(),
            (depth, _) => format!("{kind}{depth}le"),
        }
    }

    /// What Matroska calls it: the code that other tools know, or the one that ffmpeg has made up.
    fn code(self) -> [u8; 4] {
        match (self.depth, self.subsampling) {
            (8, None) => *b"Y800",
            (8, Some([1, 1])) => *b"444P",
            (8, Some([_, 1])) => *b"Y42B",
            (8, Some(_)) => *b"I420",
            (depth, None) => [b'Y', b'1', 0, depth as u8],
            (depth, Some([1, 1])) => [b'Y', b'3', 0, depth as u8],
            (depth, Some([_, 1])) => [b'Y', b'3', 10, depth as u8],
            (depth, Some(_)) => [b'Y', b'3', 11, depth as u8],
        }
    }
}

const EBML: &[u8] = &[0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: &[u8] = &[0x18, 0x53, 0x80, 0x67];
const INFO: &[u8] = &[0x15, 0x49, 0xA9, 0x66];
const TRACKS: &[u8] = &[0x16, 0x54, 0xAE, 0x6B];
const CLUSTER: &[u8] = &[0x1F, 0x43, 0xB6, 0x75];

/// Writes what comes before the frames.
pub fn write_header(layout: Layout, to: &mut impl Write) -> io::Result<()> {
    let number = |id: &[u8], value: u64| element(id, &value.to_be_bytes());
    let head = [
        number(&[0x42, 0x86], 1),
        number(&[0x42, 0xF7], 1),
        number(&[0x42, 0xF2], 4),
        number(&[0x42, 0xF3], 8),
        element(&[0x42, 0x82], b"matroska"),
        number(&[0x42, 0x87], 4),
        number(&[0x42, 0x85], 2),
    ];
    // One unit of time is a nanosecond.
    let info = [
        number(&[0x2A, 0xD7, 0xB1], 1),
        element(&[0x4D, 0x80], b"pentimento"),
        element(&[0x57, 0x41], b"pentimento"),
    ];
    let video = [
        number(&[0xB0], layout.width as u64),
        number(&[0xBA], layout.height as u64),
        element(&[0x2E, 0xB5, 0x24], &layout.code()),
    ];
    let track = [
        number(&[0xD7], 1),
        number(&[0x73, 0xC5], 1),
        number(&[0x83], 1),
        element(&[0x86], b"V_UNCOMPRESSED"),
        element(&[0xE0], &video.concat()),
    ];
    to.write_all(&element(EBML, &head.concat()))?;
    to.write_all(SEGMENT)?;
    // Of unknown length.
    to.write_all(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])?;
    to.write_all(&element(INFO, &info.concat()))?;
    to.write_all(&element(TRACKS, &element(&[0xAE], &track.concat())))
}

/// Writes a frame, in a cluster of its own, since blocks tell their times in few bits.
pub fn write_frame(nanoseconds: u64, planes: &[u8], to: &mut impl Write) -> io::Result<()> {
    let time = element(&[0xE7], &nanoseconds.to_be_bytes());
    // Of track 1, at the cluster's time, a key frame.
    let block = [0x81, 0, 0, 0x80];
    let length = block.len() + planes.len();
    let begin = [&[0xA3][..], &size(length)].concat();
    to.write_all(CLUSTER)?;
    to.write_all(&size(time.len() + begin.len() + length))?;
    for part in [&time[..], &begin, &block, planes] {
        to.write_all(part)?;
    }
    Ok(())
}

fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
    [id, &size(data.len()), data].concat()
}

/// A length in eight bytes, whose highest bit says that they are eight.
fn size(length: usize) -> [u8; 8] {
    (length as u64 | 1 << 56).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_the_names_of_ffmpeg() {
        let name = |depth, subsampling| {
            let layout = Layout { height: 2, width: 2, depth, subsampling };
            (layout.pixel_format(), layout.code())
        };
        assert_eq!(name(8, Some([2, 2])), ("yuv420p".to_owned(), *b"I420"));
        assert_eq!(name(10, Some([2, 1])), ("yuv422p10le".to_owned(), *b"Y3\x0A\x0A"));
        assert_eq!(name(12, None), ("gray12le".to_owned(), *b"Y1\0\x0C"));
    }
}
