                // of conv_patch_cooperative.wgsl: what was read goes into this half of the tile.
#for K in 0..${U_PAIRS}
                if (${K}u * THREADS + lane < ROWS * SLAB_PAIRS) {
#for J in 0..2
#for C in 0..4
                    u_tile[half * (ROWS * STRIDE) + u_to${K} + ${J}u * 4u + ${C}u] = u${K}[${J}][${C}];
#endfor
#endfor
                }
#endfor
