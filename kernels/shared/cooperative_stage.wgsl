            // of conv_gemm_cooperative.wgsl: what was read goes into this half of the tiles.
#for K in 0..${U_QUADS}
            u_tile[(half * DEPTH + u_depth + ${K}u * U_STEP) * U_STRIDE + u_quad] = u${K};
#endfor
#for K in 0..${V_QUADS}
            v_tile[(half * DEPTH + v_depth + ${K}u * V_STEP) * V_STRIDE + v_quad] = v${K};
#endfor
