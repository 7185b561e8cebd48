//! The inverse cosine transform of one block.
//!
//! Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications",
//! ICASSP 1989, in fixed point with 13 bits. Operands and rounding are those of libjpeg's slow
//! integer method, so that every sample is the same as there.

use std::num::Wrapping;

type Fixed = Wrapping<i32>;

const BITS: usize = 13;
/// Bits that the first pass keeps for the second.
const KEPT: usize = 2;

const fn fixed(value: f64) -> Fixed {
    Wrapping((value * (1 << BITS) as f64 + 0.5) as i32)
}

const FIX_0_298631336: Fixed = fixed(0.298_631_336);
const FIX_0_390180644: Fixed = fixed(0.390_180_644);
const FIX_0_541196100: Fixed = fixed(0.541_196_100);
const FIX_0_765366865: Fixed = fixed(0.765_366_865);
const FIX_0_899976223: Fixed = fixed(0.899_976_223);
const FIX_1_175875602: Fixed = fixed(1.175_875_602);
const FIX_1_501321110: Fixed = fixed(1.501_321_110);
const FIX_1_847759065: Fixed = fixed(1.847_759_065);
const FIX_1_961570560: Fixed = fixed(1.961_570_560);
const FIX_2_053119869: Fixed = fixed(2.053_119_869);
const FIX_2_562915447: Fixed = fixed(2.562_915_447);
const FIX_3_072711026: Fixed = fixed(3.072_711_026);

/// Writes the 8×8 samples of `block` to `to`, whose rows are `stride` apart.
pub(super) fn block(block: &[i16; 64], steps: &[u16; 64], to: &mut [u8], stride: usize) {
    if block[1..].iter().all(|&v| v == 0) {
        let dc = Wrapping(i32::from(block[0])) * Wrapping(i32::from(steps[0]));
        let value = sample(descale(dc << KEPT, KEPT + 3));
        for row in 0..8 {
            to[row * stride..row * stride + 8].fill(value);
        }
        return;
    }
    let mut columns = [Wrapping(0); 64];
    for x in 0..8 {
        let at = |y: usize| {
            Wrapping(i32::from(block[8 * y + x])) * Wrapping(i32::from(steps[8 * y + x]))
        };
        let out = pass([at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)]);
        for (y, value) in out.into_iter().enumerate() {
            columns[8 * y + x] = descale(value, BITS - KEPT);
        }
    }
    for (row, values) in columns.as_chunks::<8>().0.iter().enumerate() {
        let out = pass(*values);
        let to = &mut to[row * stride..row * stride + 8];
        for (to, value) in to.iter_mut().zip(out) {
            *to = sample(descale(value, BITS + KEPT + 3));
        }
    }
}

fn descale(value: Fixed, bits: usize) -> Fixed {
    (value + (Wrapping(1) << (bits - 1))) >> bits
}

fn sample(value: Fixed) -> u8 {
    value.0.saturating_add(128).clamp(0, 255) as u8
}

/// One transform of 8 values, times 2^[`BITS`] √8.
#[inline]
fn pass(v: [Fixed; 8]) -> [Fixed; 8] {
    let z1 = (v[2] + v[6]) * FIX_0_541196100;
    let even2 = z1 - v[6] * FIX_1_847759065;
    let even3 = z1 + v[2] * FIX_0_765366865;
    let (even0, even1) = ((v[0] + v[4]) << BITS, (v[0] - v[4]) << BITS);
    let even = [even0 + even3, even1 + even2, even1 - even2, even0 - even3];
    let z3 = v[7] + v[3];
    let z4 = v[5] + v[1];
    let z5 = (z3 + z4) * FIX_1_175875602;
    let z1 = -(v[7] + v[1]) * FIX_0_899976223;
    let z2 = -(v[5] + v[3]) * FIX_2_562915447;
    let z3 = z5 - z3 * FIX_1_961570560;
    let z4 = z5 - z4 * FIX_0_390180644;
    let odd = [
        v[1] * FIX_1_501321110 + z1 + z4,
        v[3] * FIX_3_072711026 + z2 + z3,
        v[5] * FIX_2_053119869 + z2 + z4,
        v[7] * FIX_0_298631336 + z1 + z3,
    ];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[2] + odd[2],
        even[3] + odd[3],
        even[3] - odd[3],
        even[2] - odd[2],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}
