                // of conv_patch_cooperative.wgsl: what was read goes into this half of the tile.
#for K in 0..${U_PAIRS}
                if (${K}u * THREADS + lane < ROWS * SLAB_PAIRS) {
#if STYLE
                    u${K} = mat2x4<f16>(
                        vec4<f16>(vec4<f32>(u${K}[0]) * style_low),
                        vec4<f16>(vec4<f32>(u${K}[1]) * style_high),
                    );
#endif
#for J in 0..2
#for C in 0..4
                    u_tile[half * (ROWS * STRIDE) + u_to${K} + ${J}u * 4u + ${C}u] = u${K}[${J}][${C}];
#endfor
#endfor
                }
#endfor
