//! The bits of an interval of entropy-coded data (ITU-T T.81, F.2.2.5).

use super::segment::next_marker;

/// Bits up to the next marker; behind it they are 0.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first of them at the top.
    buffer: u64,
    count: u32,
    /// Bits that no byte brought; the last ones of `buffer`.
    padding: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0, padding: 0 }
    }

    pub(super) fn restart(&mut self, at: usize) {
        *self = Self::new(self.bytes, at);
    }

    /// Makes sure of 32 bits.
    #[inline]
    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = next_byte(self.bytes, &mut self.at);
            self.padding += if byte.is_none() { 8 } else { 0 };
            self.buffer |= u64::from(byte.unwrap_or(0)) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    pub(super) fn peek16(&mut self) -> u16 {
        if self.count < 32 {
            self.fill();
        }
        (self.buffer >> 48) as u16
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// Up to 16 bits.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let bits = u32::from(self.peek16()) >> (16 - count);
        self.skip(count);
        bits
    }

    /// A value of `size` bits, whose first one tells its sign (T.81, figure F.12).
    #[inline]
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        let bits = self.take(size) as i32;
        if size == 0 || bits >> (size - 1) == 1 { bits } else { bits + 1 - (1 << size) }
    }

    /// Whether bits were taken that no byte brought.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count < self.padding
    }

    /// Where the next marker stands, and how many bytes before it were not used.
    pub(super) fn end(&self) -> (usize, usize) {
        let kept = self.count.saturating_sub(self.padding) as usize / 8;
        end(self.bytes, self.at, kept)
    }
}

/// The next byte of data; `None` where a marker or the end of the file comes.
#[inline]
pub(super) fn next_byte(bytes: &[u8], at: &mut usize) -> Option<u8> {
    let &byte = bytes.get(*at)?;
    if byte != 0xFF {
        *at += 1;
        return Some(byte);
    }
    let fill = bytes[*at..].iter().take_while(|&&b| b == 0xFF).count();
    match bytes.get(*at + fill) {
        Some(0) => {
            *at += fill + 1;
            Some(0xFF)
        }
        _ => None,
    }
}

/// Where the marker behind `at` stands, and how many bytes lie before it, with `kept` more.
pub(super) fn end(bytes: &[u8], at: usize, kept: usize) -> (usize, usize) {
    let marker = next_marker(bytes, at).unwrap_or(bytes.len());
    let between = bytes.get(at..marker).unwrap_or_default();
    let fill = between.iter().rev().take_while(|&&byte| byte == 0xFF).count();
    (marker, kept + between.len() - fill)
}
