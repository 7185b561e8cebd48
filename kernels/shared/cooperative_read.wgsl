            // of conv_gemm_cooperative.wgsl: the next weights and values into registers, and the
            // step after it. Channels past the last are read from the last one and count as zero.
            if (i == 0u) {
                at = first_corner + vec2<i32>(i32(tap_row), i32(tap_column)) * tap_step;
#if UPSAMPLE != bilinear
                there = is_inside(at);
                at = select(vec2<i32>(), at, there);
#endif
            }
            {
                let tap = p.first_tap + tap_row * p.tap_row_step + tap_column * p.tap_column_step;
                let last = p.group_inputs - 1u;
#for K in 0..${U_QUADS}
                {
                    let slab = min(i / (4u * SLAB_QUADS) + u_slab${K}, slabs - 1u);
                    u${K} = weight[u_base${K} + (slab * p.taps + tap) * PANEL_QUADS];
#if STYLE
                    let c = min(vec4<u32>(i + u_depth${K}) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
                    u${K} = vec4<f16>(vec4<f32>(u${K}) * vec4<f32>(
#for J in 0..4
                        load_style(n, first_input + c[${J}]),
#endfor
                    ));
#endif
                }
#endfor
#if UPSAMPLE == nearest
                let pixel = x_base + u32(at.x / 2) * p.x_width + u32(at.y / 2);
#endif
#if UPSAMPLE == none
                let pixel = x_base + u32(at.x) * p.x_width + u32(at.y);
#endif
#for K in 0..${V_WORDS}
                {
#if X_EIGHTS
                    let depth = i + v_depth + ${K}u * V_STEP;
                    let c = min(depth, last - 7u);
#if UPSAMPLE == bilinear
                    let eight = load_plain(n, first_input + c, at.x, at.y);
                    v${K} = Word(vec4<f16>(eight[0]), vec4<f16>(eight[1]));
                    let present = depth <= last;
#else
                    v${K} = x[pixel + c / 8u * plane];
                    let present = there && depth <= last;
#endif
                    v${K} = Word(
                        select(vec4<f16>(), v${K}[0], present), select(vec4<f16>(), v${K}[1], present),
                    );
#else
                    let depth = vec4<u32>(i + v_depth + ${K}u * V_STEP) + vec4<u32>(0u, 1u, 2u, 3u);
                    let c = min(depth, vec4<u32>(last));
#if UPSAMPLE == bilinear
                    v${K} = vec4<f16>(
#for J in 0..4
                        f16(load_plain(n, first_input + c[${J}], at.x, at.y)),
#endfor
                    );
                    v${K} = select(vec4<f16>(), v${K}, depth <= vec4<u32>(last));
#else
                    v${K} = vec4<f16>(
#for J in 0..4
                        x[pixel + c[${J}] * plane],
#endfor
                    );
                    v${K} = select(vec4<f16>(), v${K}, (depth <= vec4<u32>(last)) & vec4<bool>(there));
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
