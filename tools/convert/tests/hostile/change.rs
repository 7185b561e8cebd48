//! Small changes to files, of the kinds that fuzzers make, the same on every machine.

/// One change to `file`: bits, bytes, numbers, one of the `words` of its format, parts twice or
/// away, or a part of another file.
pub fn change(file: &mut Vec<u8>, other: &[u8], words: &[&[u8]], random: &mut Random) {
    const NUMBERS: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
    let at = random.below(file.len() + 1);
    let end = (at + 1 + random.below(16)).min(file.len());
    match random.below(7) {
        0 if at < file.len() => file[at] ^= 1 << random.below(8),
        1 if at < file.len() => file[at] = random.below(256) as u8,
        2 => {
            let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
            let width = (1 << random.below(4)).min(file.len() - at);
            file[at..at + width].copy_from_slice(&number[..width]);
        }
        3 => drop(file.splice(at..at, words[random.below(words.len())].iter().copied())),
        4 => drop(file.drain(at..end)),
        5 => {
            let copied = file[at..end].to_vec();
            file.splice(at..at, copied);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            file.splice(at..end, other[from..to].iter().copied());
        }
    }
}

/// Marsaglia's xorshift.
pub struct Random(pub u64);

impl Random {
    /// Less than `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}
