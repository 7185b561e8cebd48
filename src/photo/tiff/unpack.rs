//! Undoes the compression of a part.

use std::io::Read as _;

use super::super::allocate::filled;
use super::layout::{DEFLATE, GROUP_4, LZW, Layout, NONE, OLD_DEFLATE, PACK_BITS, ZSTD};

/// `length` bytes from `packed`; those that are missing are 0 and counted.
pub(super) fn unpack(
    packed: &[u8],
    layout: &Layout,
    (width, rows): (usize, usize),
    length: usize,
) -> Result<(Vec<u8>, usize), String> {
    let mut to = filled(length, 0_u8)?;
    let turned: Vec<u8>;
    let packed = if layout.reversed {
        turned = packed.iter().map(|byte| byte.reverse_bits()).collect();
        &turned
    } else {
        packed
    };
    let count = match layout.compression {
        NONE => {
            let count = packed.len().min(length);
            to[..count].copy_from_slice(&packed[..count]);
            count
        }
        PACK_BITS => pack_bits(packed, &mut to),
        LZW => lzw(packed, &mut to),
        DEFLATE | OLD_DEFLATE => deflate(packed, &mut to),
        ZSTD => zstd(packed, &mut to),
        GROUP_4 => group_4(packed, width, rows, &mut to)?,
        other => return Err(format!("compression {other} is not known")),
    };
    Ok((to, length - count))
}

/// TIFF 6.0, section 9.
fn pack_bits(mut packed: &[u8], to: &mut [u8]) -> usize {
    let mut at = 0;
    while let [head, rest @ ..] = packed {
        let head = *head as i8;
        if head == -128 {
            packed = rest;
            continue;
        }
        let (count, used) = if head >= 0 {
            let count = (head as usize + 1).min(to.len() - at).min(rest.len());
            to[at..at + count].copy_from_slice(&rest[..count]);
            (count, (head as usize + 1).min(rest.len()))
        } else {
            let Some(&value) = rest.first() else { break };
            let count = (1 + usize::from(head.unsigned_abs())).min(to.len() - at);
            to[at..at + count].fill(value);
            (count, 1)
        };
        at += count;
        packed = &rest[used..];
        if at == to.len() {
            break;
        }
    }
    at
}

/// TIFF 6.0, section 13.
fn lzw(mut packed: &[u8], to: &mut [u8]) -> usize {
    // Files of before 1988 have their bits in the other order and begin with a code of 256.
    let mut decoder = if packed.starts_with(&[0]) && packed.get(1).is_some_and(|b| b & 1 == 1) {
        weezl::decode::Decoder::new(weezl::BitOrder::Lsb, 8)
    } else {
        weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
    };
    let mut at = 0;
    while at < to.len() {
        let result = decoder.decode_bytes(packed, &mut to[at..]);
        packed = &packed[result.consumed_in..];
        at += result.consumed_out;
        let stuck = result.consumed_in == 0 && result.consumed_out == 0;
        if stuck || !matches!(result.status, Ok(weezl::LzwStatus::Ok)) {
            break;
        }
    }
    at
}

fn deflate(packed: &[u8], to: &mut [u8]) -> usize {
    let mut inflater = flate2::Decompress::new(true);
    // Of damaged data, what came before the damage counts.
    let _ = inflater.decompress(packed, to, flate2::FlushDecompress::Finish);
    usize::try_from(inflater.total_out()).unwrap_or(0).min(to.len())
}

fn zstd(packed: &[u8], to: &mut [u8]) -> usize {
    /// Bytes of a window, at most: what the reference encoder needs at its default levels.
    const WINDOW: u64 = 128 << 20;
    let opened = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, WINDOW);
    let Ok(mut decoder) = opened else { return 0 };
    let mut at = 0;
    while at < to.len() {
        match decoder.read(&mut to[at..]) {
            Ok(count) if count > 0 => at += count,
            _ => break,
        }
    }
    at
}

/// ITU-T T.6. A set bit is black here, as the format has it.
fn group_4(packed: &[u8], width: usize, rows: usize, to: &mut [u8]) -> Result<usize, String> {
    let line = width.div_ceil(8);
    let too_large = |_| "it is too large".to_owned();
    let (width, rows) =
        (u32::try_from(width).map_err(too_large)?, u32::try_from(rows).map_err(too_large)?);
    let (mut lines, mut done) = (to.chunks_exact_mut(line.max(1)), 0);
    let whole = fax::decoder::decode_g4(packed.iter().copied(), width, Some(rows), |changes| {
        let Some(to) = lines.next() else { return };
        for (x, color) in fax::decoder::pels(changes, width).enumerate() {
            if color == fax::Color::Black {
                to[x / 8] |= 0x80 >> (x % 8);
            }
        }
        done += line;
    });
    Ok(if whole.is_some() { to.len() } else { done })
}
