                    // of conv_patch_cooperative.wgsl: the values that were read are the patch now.
#for K in 0..${PATCH_QUADS}
                    {
                        let pixel = (lane + ${K}u * THREADS) % PATCH_PIXELS;
                        let quad = (lane + ${K}u * THREADS) / PATCH_PIXELS;
                        if (quad < SLAB_QUADS) {
#for C in 0..4
                            patch_tile[pixel * STRIDE + quad * 4u + ${C}u] = v${K}[${C}];
#endfor
                        }
                    }
#endfor
