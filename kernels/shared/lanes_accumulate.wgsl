        // Every lane multiplies its columns v{Q} with the rows u{S} of each lane in turn.
#for L in 0..${LANES}
#for S in 0..${SHARE_QUADS}
#for C in 0..4
        let f${L}_${S}_${C} = subgroupShuffle(u${S}[${C}], ${L}u);
#for Q in 0..${QUADS}
        m${L}_${S}_${C}_${Q} += f${L}_${S}_${C} * v${Q};
#endfor
#endfor
#endfor
#endfor
