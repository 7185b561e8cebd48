        // of shared/tile.wgsl
#if SPLITS
        for (var d = part * DEPTH; d < (part + 1u) * DEPTH; d++) {
#else
        for (var d = 0u; d < DEPTH; d++) {
#endif
            let v0 = v_tile[d * V_WIDTH + tile_column];
            let v1 = v_tile[d * V_WIDTH + V_WIDTH / 2u + tile_column];
#for H in 0..2
            let u${H} = u_tile[d * U_WIDTH + ${H}u * (U_WIDTH / 2u) + tile_row];
#for C in 0..4
            m${H}_${C}_0 += u${H}[${C}] * v0;
            m${H}_${C}_1 += u${H}[${C}] * v1;
#endfor
#endfor
        }
