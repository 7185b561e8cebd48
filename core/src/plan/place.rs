//! Placement of storages in an arena: lifetimes in, offsets out.

use super::Storage;

/// Gives every storage a block and an offset such that storages alive at the same step never
/// overlap, and yields the bytes of each block.
///
/// Greedy by size: the largest storage first, each at the lowest offset that is free during its
/// lifetime. A new block begins when `max_block` would be exceeded.
pub(super) fn place(storages: &mut [Storage], alignment: usize, max_block: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..storages.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(storages[i].bytes()), storages[i].lifetime));
    let mut blocks: Vec<usize> = Vec::new();
    let mut placed: Vec<usize> = Vec::new();
    for i in order {
        let bytes = storages[i].bytes();
        let mut block = 0;
        let offset = loop {
            let offset = lowest_free(storages, &placed, i, block, alignment);
            // A block that is still empty takes any storage: the caller checked the largest one.
            if offset + bytes <= max_block || block == blocks.len() {
                break offset;
            }
            block += 1;
        };
        if block == blocks.len() {
            blocks.push(0);
        }
        storages[i].block = block;
        storages[i].offset = offset;
        blocks[block] = blocks[block].max((offset + bytes).next_multiple_of(alignment));
        placed.push(i);
    }
    blocks
}

fn lowest_free(
    storages: &[Storage],
    placed: &[usize],
    candidate: usize,
    block: usize,
    alignment: usize,
) -> usize {
    let Storage { lifetime: [first, last], .. } = storages[candidate];
    let mut taken: Vec<[usize; 2]> = placed
        .iter()
        .map(|&j| &storages[j])
        .filter(|s| s.block == block && s.lifetime[0] <= last && first <= s.lifetime[1])
        .map(|s| [s.offset, s.offset + s.bytes()])
        .collect();
    taken.sort_unstable();
    let mut offset = 0;
    for [start, end] in taken {
        if offset + storages[candidate].bytes() <= start {
            break;
        }
        offset = offset.max(end.next_multiple_of(alignment));
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;
    use proptest::prelude::*;

    fn storage(len: usize, lifetime: [usize; 2]) -> Storage {
        Storage { len, dtype: Dtype::F32, lifetime, block: 0, offset: 0 }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let mut storages: Vec<Storage> =
            (0..6).map(|i| storage(64 * (i + 1), [i, i + 1])).collect();
        assert_eq!(place(&mut storages, 256, usize::MAX), [(5 + 6) * 256]);
    }

    #[test]
    fn full_blocks_are_followed_by_new_ones() {
        let mut storages = vec![storage(64, [0, 9]); 5];
        assert_eq!(place(&mut storages, 256, 512), [512, 512, 256]);
    }

    proptest! {
        #[test]
        fn what_is_alive_together_is_apart(
            parts in prop::collection::vec((1usize..500, 0usize..20, 0usize..6), 1..40),
            max_block in 2000usize..8000,
        ) {
            let mut storages: Vec<Storage> =
                parts.iter().map(|&(len, first, span)| storage(len, [first, first + span])).collect();
            let blocks = place(&mut storages, 256, max_block);
            for (i, a) in storages.iter().enumerate() {
                prop_assert_eq!(a.offset % 256, 0);
                prop_assert!(a.offset + a.bytes() <= blocks[a.block]);
                for b in &storages[..i] {
                    let together = a.lifetime[0] <= b.lifetime[1] && b.lifetime[0] <= a.lifetime[1];
                    let apart = a.block != b.block
                        || a.offset + a.bytes() <= b.offset
                        || b.offset + b.bytes() <= a.offset;
                    prop_assert!(!together || apart);
                }
            }
            let alive = |step: usize| storages.iter()
                .filter(|s| s.lifetime[0] <= step && step <= s.lifetime[1])
                .map(Storage::bytes).sum::<usize>();
            let bound = (0..26).map(alive).max().unwrap_or(0);
            prop_assert!(blocks.iter().sum::<usize>() >= bound);
        }
    }
}
