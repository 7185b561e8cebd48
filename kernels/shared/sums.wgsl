// What an epilogue stores at a time of `sums`, which left a subgroup.
fn sums_at(first: u32) -> Values {
#if EIGHTS
    return Values(
#for C in 0..8
        sums[first + ${C}u],
#endfor
    );
#else
#if IN_QUADS
    return Values(sums[first], sums[first + 1u], sums[first + 2u], sums[first + 3u]);
#else
    return sums[first];
#endif
#endif
}
