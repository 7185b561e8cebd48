                    // of conv_patch_cooperative.wgsl: the values that were read are what the next patch
                    // will be made of.
#for K in 0..${HELD_WORDS}
                    {
                        let pixel = (lane + ${K}u * THREADS) % SOURCE_PIXELS;
                        let word = (lane + ${K}u * THREADS) / SOURCE_PIXELS;
                        if (word < SLAB_WORDS) {
                            let to = pixel * STRIDE + word * WORD;
#if X_EIGHTS
#for C in 0..8
                            source_tile[to + ${C}u] = v${K}[${C} / 4][${C} % 4];
#endfor
#else
#for C in 0..4
                            source_tile[to + ${C}u] = v${K}[${C}];
#endfor
#endif
                        }
                    }
#endfor
