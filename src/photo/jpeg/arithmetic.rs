//! Arithmetic coding (ITU-T T.81, annex D; models of sections F.1.4 and G.1.3).

use super::bits;
use super::scan::Blocks;
use super::segment::{Scan, Tables, ZIGZAG};

/// Table D.3: Qe, next state after the less probable symbol, after the more probable one, and
/// whether the less probable one then becomes the other.
#[rustfmt::skip]
const STATES: [(u16, u8, u8, bool); 114] = [
    (0x5A1D, 1, 1, true), (0x2586, 14, 2, false), (0x1114, 16, 3, false), (0x080B, 18, 4, false),
    (0x03D8, 20, 5, false), (0x01DA, 23, 6, false), (0x00E5, 25, 7, false), (0x006F, 28, 8, false),
    (0x0036, 30, 9, false), (0x001A, 33, 10, false), (0x000D, 35, 11, false), (0x0006, 9, 12, false),
    (0x0003, 10, 13, false), (0x0001, 12, 13, false), (0x5A7F, 15, 15, true), (0x3F25, 36, 16, false),
    (0x2CF2, 38, 17, false), (0x207C, 39, 18, false), (0x17B9, 40, 19, false), (0x1182, 42, 20, false),
    (0x0CEF, 43, 21, false), (0x09A1, 45, 22, false), (0x072F, 46, 23, false), (0x055C, 48, 24, false),
    (0x0406, 49, 25, false), (0x0303, 51, 26, false), (0x0240, 52, 27, false), (0x01B1, 54, 28, false),
    (0x0144, 56, 29, false), (0x00F5, 57, 30, false), (0x00B7, 59, 31, false), (0x008A, 60, 32, false),
    (0x0068, 62, 33, false), (0x004E, 63, 34, false), (0x003B, 32, 35, false), (0x002C, 33, 9, false),
    (0x5AE1, 37, 37, true), (0x484C, 64, 38, false), (0x3A0D, 65, 39, false), (0x2EF1, 67, 40, false),
    (0x261F, 68, 41, false), (0x1F33, 69, 42, false), (0x19A8, 70, 43, false), (0x1518, 72, 44, false),
    (0x1177, 73, 45, false), (0x0E74, 74, 46, false), (0x0BFB, 75, 47, false), (0x09F8, 77, 48, false),
    (0x0861, 78, 49, false), (0x0706, 79, 50, false), (0x05CD, 48, 51, false), (0x04DE, 50, 52, false),
    (0x040F, 50, 53, false), (0x0363, 51, 54, false), (0x02D4, 52, 55, false), (0x025C, 53, 56, false),
    (0x01F8, 54, 57, false), (0x01A4, 55, 58, false), (0x0160, 56, 59, false), (0x0125, 57, 60, false),
    (0x00F6, 58, 61, false), (0x00CB, 59, 62, false), (0x00AB, 61, 63, false), (0x008F, 61, 32, false),
    (0x5B12, 65, 65, true), (0x4D04, 80, 66, false), (0x412C, 81, 67, false), (0x37D8, 82, 68, false),
    (0x2FE8, 83, 69, false), (0x293C, 84, 70, false), (0x2379, 86, 71, false), (0x1EDF, 87, 72, false),
    (0x1AA9, 87, 73, false), (0x174E, 72, 74, false), (0x1424, 72, 75, false), (0x119C, 74, 76, false),
    (0x0F6B, 74, 77, false), (0x0D51, 75, 78, false), (0x0BB6, 77, 79, false), (0x0A40, 77, 48, false),
    (0x5832, 80, 81, true), (0x4D1C, 88, 82, false), (0x438E, 89, 83, false), (0x3BDD, 90, 84, false),
    (0x34EE, 91, 85, false), (0x2EAE, 92, 86, false), (0x299A, 93, 87, false), (0x2516, 86, 71, false),
    (0x5570, 88, 89, true), (0x4CA9, 95, 90, false), (0x44D9, 96, 91, false), (0x3E22, 97, 92, false),
    (0x3824, 99, 93, false), (0x32B4, 99, 94, false), (0x2E17, 93, 86, false), (0x56A8, 95, 96, true),
    (0x4F46, 101, 97, false), (0x47E5, 102, 98, false), (0x41CF, 103, 99, false), (0x3C3D, 104, 100, false),
    (0x375E, 99, 93, false), (0x5231, 105, 102, false), (0x4C0F, 106, 103, false), (0x4639, 107, 104, false),
    (0x415E, 103, 99, false), (0x5627, 105, 106, true), (0x50E7, 108, 107, false), (0x4B85, 109, 103, false),
    (0x5597, 110, 109, false), (0x504F, 111, 107, false), (0x5A10, 110, 111, true), (0x5522, 112, 109, false),
    (0x59EB, 112, 111, true),
    // T.851, section 10.3: one half, which never changes.
    (0x5A1D, 113, 113, false),
];

/// A state of [`STATES`], and the more probable symbol in bit 7.
type Bin = u8;
const HALF: Bin = 113;

/// Bytes that no file brought may be needed at its end: the coder leaves zeros out. More than these
/// are not left out by chance.
const LEFT_OUT: usize = 4;
const BAD_CODE: &str = "its data hold a code that cannot be";

/// Decodes the blocks of one scan.
pub(super) struct ArithmeticBlocks<'a> {
    coder: Coder<'a>,
    tables: &'a Tables,
    scan: &'a Scan,
    progressive: bool,
    /// DC of the block before, of each component of the scan.
    before: Vec<i32>,
    /// The category of the difference before.
    context: Vec<usize>,
    dc: [[Bin; 64]; 4],
    ac: [[Bin; 256]; 4],
    /// A code made no sense: nothing more can be told up to the next restart.
    lost: bool,
}

impl<'a> ArithmeticBlocks<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        at: usize,
        tables: &'a Tables,
        scan: &'a Scan,
        progressive: bool,
    ) -> Self {
        let count = scan.components.len();
        Self {
            coder: Coder::new(bytes, at),
            tables,
            scan,
            progressive,
            before: vec![0; count],
            context: vec![0; count],
            dc: [[0; 64]; 4],
            ac: [[0; 256]; 4],
            lost: false,
        }
    }

    /// Figure F.19: the difference to the DC before.
    fn dc(&mut self, component: usize) -> Option<()> {
        let table = self.scan.components[component].1;
        let (coder, bins) = (&mut self.coder, &mut self.dc[table]);
        let zero = self.context[component];
        if !coder.bit(&mut bins[zero]) {
            self.context[component] = 0;
            return Some(());
        }
        let negative = coder.bit(&mut bins[zero + 1]);
        let mut bin = zero + 2 + usize::from(negative);
        let mut magnitude = 0;
        if coder.bit(&mut bins[bin]) {
            magnitude = 1;
            bin = 20;
            while coder.bit(&mut bins[bin]) {
                magnitude <<= 1;
                if magnitude == 0x8000 {
                    return None;
                }
                bin += 1;
            }
        }
        let (low, high) = self.tables.conditioning_dc[table];
        let sign = 4 * usize::from(negative);
        self.context[component] = match magnitude {
            m if m < (1 << low) >> 1 => 0,
            m if m > (1 << high) >> 1 => 12 + sign,
            _ => 4 + sign,
        };
        let value = coder.magnitude(magnitude, &mut bins[bin + 14]);
        let before = &mut self.before[component];
        *before = before.wrapping_add(if negative { -value } else { value });
        Some(())
    }

    /// Figure F.20: AC coefficients from `first` to `last`, times 2^`low`.
    fn ac(&mut self, component: usize, block: &mut [i16; 64]) -> Option<()> {
        let table = self.scan.components[component].2;
        let (coder, bins) = (&mut self.coder, &mut self.ac[table]);
        let ((first, last), low) = (self.scan.band, self.scan.bits.1);
        let mut k = first.max(1);
        while k <= last {
            if coder.bit(&mut bins[3 * (k - 1)]) {
                break;
            }
            while !coder.bit(&mut bins[3 * (k - 1) + 1]) {
                k += 1;
                if k > last {
                    return None;
                }
            }
            let negative = coder.bit(&mut HALF.clone());
            let mut bin = 3 * (k - 1) + 2;
            let mut magnitude = 0;
            if coder.bit(&mut bins[bin]) {
                magnitude = 1;
                if coder.bit(&mut bins[bin]) {
                    magnitude = 2;
                    let small = k <= usize::from(self.tables.conditioning_ac[table]);
                    bin = if small { 189 } else { 217 };
                    while coder.bit(&mut bins[bin]) {
                        magnitude <<= 1;
                        if magnitude == 0x8000 {
                            return None;
                        }
                        bin += 1;
                    }
                }
            }
            // Only values above 2 have more bits; those bins lie 14 further.
            let value = coder.magnitude(magnitude, &mut bins[(bin + 14).min(255)]);
            let value = if negative { -value } else { value };
            block[usize::from(ZIGZAG[k])] = (value << low) as i16;
            k += 1;
        }
        Some(())
    }

    /// Section G.1.3.3: one more bit of AC coefficients.
    fn ac_refine(&mut self, component: usize, block: &mut [i16; 64]) -> Option<()> {
        let table = self.scan.components[component].2;
        let (coder, bins) = (&mut self.coder, &mut self.ac[table]);
        let ((first, last), low) = (self.scan.band, self.scan.bits.1);
        let (plus, minus) = (1_i16 << low, -1_i16 << low);
        let end = ZIGZAG[..=last].iter().rposition(|&at| block[usize::from(at)] != 0).unwrap_or(0);
        let mut k = first;
        while k <= last {
            if k > end && coder.bit(&mut bins[3 * (k - 1)]) {
                break;
            }
            loop {
                let bin = 3 * (k - 1);
                let value = &mut block[usize::from(ZIGZAG[k])];
                if *value != 0 {
                    if coder.bit(&mut bins[bin + 2]) {
                        *value = value.wrapping_add(if *value < 0 { minus } else { plus });
                    }
                    break;
                }
                if coder.bit(&mut bins[bin + 1]) {
                    *value = if coder.bit(&mut HALF.clone()) { minus } else { plus };
                    break;
                }
                k += 1;
                if k > last {
                    return None;
                }
            }
            k += 1;
        }
        Some(())
    }
}

impl Blocks for ArithmeticBlocks<'_> {
    fn decode(&mut self, component: usize, block: &mut [i16; 64]) -> Result<(), &'static str> {
        if self.lost {
            return Ok(());
        }
        let (high, low) = self.scan.bits;
        let done = match (self.progressive, self.scan.band.0, high) {
            (false, ..) => {
                let dc = self.dc(component);
                block[0] = self.before[component] as i16;
                dc.and_then(|()| self.ac(component, block))
            }
            (true, 0, 0) => {
                let dc = self.dc(component);
                block[0] = (self.before[component] << low) as i16;
                dc
            }
            (true, 0, _) => {
                block[0] |= i16::from(self.coder.bit(&mut HALF.clone())) << low;
                Some(())
            }
            (true, _, 0) => self.ac(component, block),
            (true, ..) => self.ac_refine(component, block),
        };
        self.lost = done.is_none();
        done.ok_or(BAD_CODE)
    }

    fn is_exhausted(&self) -> bool {
        self.coder.padding > LEFT_OUT
    }

    fn end(&self) -> (usize, usize) {
        bits::end(self.coder.bytes, self.coder.at, 0)
    }

    fn restart(&mut self, at: usize) {
        *self = Self::new(self.coder.bytes, at, self.tables, self.scan, self.progressive);
    }
}

/// Section D.2: the decoder of binary decisions.
struct Coder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes that no file brought.
    padding: usize,
    /// The code register; the interval's size; bits of the register below the interval.
    code: u32,
    size: u32,
    shift: u32,
}

impl<'a> Coder<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        let mut coder = Self { bytes, at, padding: 0, code: 0, size: 0x1_0000, shift: 0 };
        let first = coder.byte();
        coder.code = first << 8 | coder.byte();
        coder
    }

    fn byte(&mut self) -> u32 {
        let byte = bits::next_byte(self.bytes, &mut self.at);
        self.padding += usize::from(byte.is_none());
        byte.unwrap_or(0).into()
    }

    /// The next decision under the estimate of `bin`, which learns from it.
    #[inline]
    fn bit(&mut self, bin: &mut Bin) -> bool {
        while self.size < 0x8000 {
            if self.shift == 0 {
                self.code = self.code << 8 | self.byte();
                self.shift = 8;
            }
            self.shift -= 1;
            self.size <<= 1;
        }
        let (state, more_probable) = (*bin & 0x7F, *bin & 0x80);
        let (estimate, after_less, after_more, switch) = STATES[usize::from(state).min(113)];
        let estimate = u32::from(estimate);
        let less = |size_is_small: bool| {
            // The sizes may be the wrong way round: then the symbols are, too.
            if size_is_small {
                (more_probable != 0, more_probable | after_more)
            } else {
                let next = if switch { more_probable ^ 0x80 } else { more_probable };
                (more_probable == 0, next | after_less)
            }
        };
        self.size -= estimate;
        let border = self.size << self.shift;
        let small = self.size < estimate;
        if self.code >= border {
            self.code -= border;
            self.size = estimate;
            let (bit, next) = less(small);
            *bin = next;
            bit
        } else if self.size < 0x8000 {
            let (bit, next) = less(!small);
            *bin = next;
            bit
        } else {
            more_probable != 0
        }
    }

    /// Figure F.24: the bits of a value below its first, plus 1.
    fn magnitude(&mut self, first: i32, bin: &mut Bin) -> i32 {
        let (mut value, mut bit) = (first, first >> 1);
        while bit > 0 {
            if self.bit(bin) {
                value |= bit;
            }
            bit >>= 1;
        }
        value + 1
    }
}
