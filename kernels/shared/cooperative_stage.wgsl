            // of conv_gemm_cooperative.wgsl: what was read goes into this half of the tiles.
#for K in 0..${U_QUADS}
            {
                let to = (half * ROWS + u_row${K}) * STRIDE + u_depth${K};
#for C in 0..4
                u_tile[to + ${C}u] = u${K}[${C}];
#endfor
            }
#endfor
#for K in 0..${V_QUADS}
            {
                let to = (half * COLUMNS + v_pixel) * STRIDE + v_depth + ${K}u * V_STEP;
#for C in 0..4
                v_tile[to + ${C}u] = v${K}[${C}];
#endfor
            }
#endfor
