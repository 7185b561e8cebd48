                    // of conv_patch_cooperative.wgsl: the values that were read are what the next patch
                    // will be made of.
#for K in 0..${HELD_QUADS}
                    {
                        let pixel = (lane + ${K}u * THREADS) % SOURCE_PIXELS;
                        let quad = (lane + ${K}u * THREADS) / SOURCE_PIXELS;
                        if (quad < SLAB_QUADS) {
#for C in 0..4
                            source_tile[pixel * STRIDE + quad * 4u + ${C}u] = v${K}[${C}];
#endfor
                        }
                    }
#endfor
