            // of conv_gemm_cooperative.wgsl: what was read goes into this half of the tiles.
#for K in 0..${U_QUADS}
            {
                let to = (half * ROWS + u_row${K}) * STRIDE + u_depth${K};
#for C in 0..4
                u_tile[to + ${C}u] = u${K}[${C}];
#endfor
            }
#endfor
#for K in 0..${V_WORDS}
            {
                let to = (half * COLUMNS + v_pixel) * STRIDE + v_depth + ${K}u * V_STEP;
#if X_EIGHTS
                // There may be more invocations than words.
                if (v_depth + ${K}u * V_STEP < DEPTH) {
#for C in 0..8
                    v_tile[to + ${C}u] = v${K}[${C} / 4][${C} % 4];
#endfor
                }
#else
#for C in 0..4
                v_tile[to + ${C}u] = v${K}[${C}];
#endfor
#endif
            }
#endfor
