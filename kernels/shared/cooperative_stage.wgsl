            // of conv_gemm_cooperative.wgsl: what was read goes into this half of the tiles.
#for K in 0..${U_QUADS}
            {
                let to = (half * DEPTH + u_depth + ${K}u * U_STEP) * U_STRIDE + u_quad * 4u;
#for C in 0..4
                u_tile[to + ${C}u] = u${K}[${C}];
#endfor
            }
#endfor
#for K in 0..${V_QUADS}
            {
                let to = (half * DEPTH + v_depth + ${K}u * V_STEP) * V_STRIDE + v_quad * 4u;
#for C in 0..4
                v_tile[to + ${C}u] = v${K}[${C}];
#endfor
            }
#endfor
