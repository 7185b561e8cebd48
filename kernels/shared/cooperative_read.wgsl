            // of conv_gemm_cooperative.wgsl: the next weights and values into registers, and the
            // step after it. Channels past the last are read from the last one and count as zero.
            if (i == 0u) {
                let shift = vec2<i32>(i32(tap_row), i32(tap_column)) * p.step;
#for J in 0..4
                at${J} = corner${J} + shift;
#if UPSAMPLE != bilinear
                there${J} = is_inside(at${J});
                at${J} = select(vec2<i32>(), at${J}, there${J});
#endif
#endfor
            }
            {
                let tap = p.first_tap + tap_row * p.tap_row_step + tap_column * p.tap_column_step;
                let u_first = u_base + tap * p.group_inputs * PANEL_QUADS;
                let last = p.group_inputs - 1u;
#for K in 0..${U_QUADS}
                u${K} = weight[u_first + min(i + u_depth + ${K}u * U_STEP, last) * PANEL_QUADS];
#endfor
#if UPSAMPLE == nearest
#for J in 0..4
                let x${J} = x_base + u32(at${J}.x / 2) * p.x_width + u32(at${J}.y / 2);
#endfor
#endif
#if UPSAMPLE == none
#for J in 0..4
                let x${J} = x_base + u32(at${J}.x) * p.x_width + u32(at${J}.y);
#endfor
#endif
#for K in 0..${V_QUADS}
                {
                    let depth = i + v_depth + ${K}u * V_STEP;
                    let c = min(depth, last);
#if UPSAMPLE == bilinear
                    let values = vec4<f32>(
#for J in 0..4
                        load_plain(n, first_input + c, at${J}.x, at${J}.y),
#endfor
                    );
#if STYLE
                    v${K} = vec4<f16>(values * load_style(n, first_input + c));
#else
                    v${K} = vec4<f16>(values);
#endif
                    v${K} = select(vec4<f16>(), v${K}, depth <= last);
#else
                    let within = depth <= last;
                    v${K} = vec4<f16>(
#for J in 0..4
                        select(0.0h, x[x${J} + c * plane], there${J} && within),
#endfor
                    );
#if STYLE
                    v${K} = vec4<f16>(vec4<f32>(v${K}) * load_style(n, first_input + c));
#endif
#endif
                }
#endfor
            }
            i += DEPTH;
            if (i >= p.group_inputs) {
                i = 0u;
                tap_column += 1u;
                if (tap_column == p.tap_columns) {
                    tap_column = 0u;
                    tap_row += 1u;
                    if (tap_row == p.tap_rows) {
                        tap_row = 0u;
                    }
                }
            }
