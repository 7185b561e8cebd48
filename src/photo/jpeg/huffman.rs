//! Huffman codes (ITU-T T.81, annexes C, F and G).

use super::bits::Bits;
use super::scan::Blocks;
use super::segment::{Scan, Tables, ZIGZAG};

/// Bits of a code that one look into a table resolves.
const QUICK: usize = 9;

/// A table of codes.
#[derive(Clone)]
pub(super) struct Huffman {
    /// For the next [`QUICK`] bits, the symbol and its code's length; 0 where that is longer.
    quick: Vec<(u8, u8)>,
    /// For each length the first code that is larger than all of it, left-aligned to 16 bits.
    end: [u32; 17],
    /// For each length what is added to a code to get its symbol's index.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// The code that has `lengths[i]` symbols of length `i + 1`; `None` where there are not so many.
    pub(super) fn new(lengths: &[u8], symbols: &[u8]) -> Option<Self> {
        let (mut code, mut first) = (0_u32, 0);
        let mut table = Self {
            quick: vec![(0, 0); 1 << QUICK],
            end: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        for (length, &count) in (1..=16).zip(lengths) {
            let count = usize::from(count);
            table.offset[length] = first as i32 - code as i32;
            for &symbol in symbols.get(first..first + count)? {
                if code >= 1 << length {
                    return None;
                }
                if length <= QUICK {
                    let free = QUICK - length;
                    let at = (code as usize) << free;
                    table.quick[at..at + (1 << free)].fill((symbol, length as u8));
                }
                code += 1;
            }
            first += count;
            table.end[length] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// The next symbol; `None` where the bits are not a code.
    #[inline]
    fn decode(&self, bits: &mut Bits) -> Option<u8> {
        let next = bits.peek16();
        let (symbol, length) = self.quick[usize::from(next) >> (16 - QUICK)];
        if length > 0 {
            bits.skip(length.into());
            return Some(symbol);
        }
        let length = (QUICK + 1..=16).find(|&length| u32::from(next) < self.end[length])?;
        bits.skip(length as u32);
        let index = i32::from(next >> (16 - length)) + self.offset[length];
        self.symbols.get(usize::try_from(index).ok()?).copied()
    }
}

const BAD_CODE: &str = "its data hold a code that cannot be";

/// Decodes the blocks of one scan.
pub(super) struct HuffmanBlocks<'a> {
    bits: Bits<'a>,
    tables: &'a Tables,
    scan: &'a Scan,
    progressive: bool,
    /// DC of the block before, of each component of the scan.
    before: Vec<i32>,
    /// Blocks that still end without any coefficient.
    ended: u32,
}

impl<'a> HuffmanBlocks<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        at: usize,
        tables: &'a Tables,
        scan: &'a Scan,
        progressive: bool,
    ) -> Result<Self, String> {
        for &(_, dc, ac) in &scan.components {
            let wants_dc = scan.band.0 == 0 && scan.bits.0 == 0;
            let wants_ac = scan.band.1 > 0;
            if wants_dc && tables.dc[dc].is_none() || wants_ac && tables.ac[ac].is_none() {
                return Err("it has no Huffman table for a scan".to_owned());
            }
        }
        let before = vec![0; scan.components.len()];
        Ok(Self { bits: Bits::new(bytes, at), tables, scan, progressive, before, ended: 0 })
    }

    fn dc(&mut self, component: usize, table: &Huffman) -> Result<i16, &'static str> {
        let symbol = table.decode(&mut self.bits);
        let size = u32::from(symbol.unwrap_or(0));
        let difference = self.bits.signed(size.min(15));
        let before = &mut self.before[component];
        *before = before.wrapping_add(difference);
        let value = *before as i16;
        if symbol.is_none() || size > 15 { Err(BAD_CODE) } else { Ok(value) }
    }

    fn sequential(
        &mut self,
        component: usize,
        (dc, ac): (&Huffman, &Huffman),
        block: &mut [i16; 64],
    ) -> Result<(), &'static str> {
        let value = self.dc(component, dc);
        block[0] = self.before[component] as i16;
        let mut result = value.map(|_| ());
        let mut k = 1;
        while k < 64 {
            let symbol = ac.decode(&mut self.bits).unwrap_or_else(|| {
                result = Err(BAD_CODE);
                0
            });
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if run != 15 {
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            let value = self.bits.signed(size) as i16;
            if k > 63 {
                result = Err(BAD_CODE);
            }
            block[usize::from(ZIGZAG[k.min(63)])] = value;
            k += 1;
        }
        result
    }

    fn ac_first(&mut self, table: &Huffman, block: &mut [i16; 64]) -> Result<(), &'static str> {
        let ((first, last), low) = (self.scan.band, self.scan.bits.1);
        if self.ended > 0 {
            self.ended -= 1;
            return Ok(());
        }
        let mut result = Ok(());
        let mut k = first;
        while k <= last {
            let symbol = table.decode(&mut self.bits).unwrap_or_else(|| {
                result = Err(BAD_CODE);
                0
            });
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size > 0 {
                k += run;
                let value = self.bits.signed(size) << low;
                if k > 63 {
                    result = Err(BAD_CODE);
                }
                block[usize::from(ZIGZAG[k.min(63)])] = value as i16;
                k += 1;
            } else if run == 15 {
                k += 16;
            } else {
                self.ended = (1 << run) + self.bits.take(run as u32) - 1;
                break;
            }
        }
        result
    }

    fn ac_refine(&mut self, table: &Huffman, block: &mut [i16; 64]) -> Result<(), &'static str> {
        let ((first, last), low) = (self.scan.band, self.scan.bits.1);
        let (plus, minus) = (1_i16 << low, -1_i16 << low);
        let mut result = Ok(());
        let mut k = first;
        while self.ended == 0 && k <= last {
            let symbol = table.decode(&mut self.bits).unwrap_or_else(|| {
                result = Err(BAD_CODE);
                0
            });
            let (mut run, size) = (usize::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size > 0 {
                if size != 1 {
                    result = Err(BAD_CODE);
                }
                new = if self.bits.take(1) == 1 { plus } else { minus };
            } else if run != 15 {
                self.ended = (1 << run) + self.bits.take(run as u32);
                break;
            }
            while k <= last {
                let value = &mut block[usize::from(ZIGZAG[k])];
                if *value != 0 {
                    refine(&mut self.bits, value, plus, minus);
                } else if run == 0 {
                    *value = new;
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if new != 0 && k > last {
                result = Err(BAD_CODE);
            }
            k += 1;
        }
        if self.ended > 0 {
            for &at in &ZIGZAG[k.min(last + 1)..=last] {
                let value = &mut block[usize::from(at)];
                if *value != 0 {
                    refine(&mut self.bits, value, plus, minus);
                }
            }
            self.ended -= 1;
        }
        result
    }
}

/// One more bit of a coefficient that is not zero.
fn refine(bits: &mut Bits, value: &mut i16, plus: i16, minus: i16) {
    if bits.take(1) == 1 && *value & plus == 0 {
        *value = value.wrapping_add(if *value >= 0 { plus } else { minus });
    }
}

impl Blocks for HuffmanBlocks<'_> {
    fn decode(&mut self, component: usize, block: &mut [i16; 64]) -> Result<(), &'static str> {
        let (tables, (_, dc, ac)) = (self.tables, self.scan.components[component]);
        let (dc, ac) = (tables.dc[dc].as_ref(), tables.ac[ac].as_ref());
        let (high, low) = self.scan.bits;
        match (self.progressive, self.scan.band.0, high, dc, ac) {
            (false, _, _, Some(dc), Some(ac)) => self.sequential(component, (dc, ac), block),
            (true, 0, 0, Some(dc), _) => {
                let result = self.dc(component, dc);
                block[0] = (self.before[component] << low) as i16;
                result.map(|_| ())
            }
            (true, 0, ..) => {
                block[0] |= (self.bits.take(1) << low) as i16;
                Ok(())
            }
            (true, _, 0, _, Some(ac)) => self.ac_first(ac, block),
            (true, _, _, _, Some(ac)) => self.ac_refine(ac, block),
            // `new` has looked for them.
            _ => Err(BAD_CODE),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.bits.is_exhausted()
    }

    fn end(&self) -> (usize, usize) {
        self.bits.end()
    }

    fn restart(&mut self, at: usize) {
        self.bits.restart(at);
        self.before.fill(0);
        self.ended = 0;
    }
}
