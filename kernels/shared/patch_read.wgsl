                    // of conv_patch_cooperative.wgsl: values of the slab at `following` into registers.
                    // Channels past the last are read from the last one; their weights are zero. Which
                    // pixels these are is found anew for each slab: registers are what there are too
                    // few of.
#for K in 0..${PATCH_QUADS}
                    {
                        let pixel = (lane + ${K}u * THREADS) % PATCH_PIXELS;
                        let quad = (lane + ${K}u * THREADS) / PATCH_PIXELS;
                        let at = corner
                            + vec2<i32>(i32(pixel / PATCH_COLUMNS), i32(pixel % PATCH_COLUMNS));
                        let there = all(vec2<u32>(at) < ENLARGED * vec2<u32>(p.x_height, p.x_width));
                        let c = min(
                            vec4<u32>(following + quad * 4u) + vec4<u32>(0u, 1u, 2u, 3u),
                            vec4<u32>(p.group_inputs - 1u),
                        );
#if UPSAMPLE == bilinear
                        let values = load_bilinear(x_base, c * plane, at);
#else
                        let from_x = select(vec2<u32>(), vec2<u32>(at) / ENLARGED, there);
                        let place = x_base + from_x.x * p.x_width + from_x.y;
                        let values = vec4<f16>(
#for J in 0..4
                            x[place + c[${J}] * plane],
#endfor
                        );
#endif
#if STYLE
                        let styled = vec4<f32>(values) * vec4<f32>(
#for J in 0..4
                            load_style(n, first_input + c[${J}]),
#endfor
                        );
                        v${K} = select(vec4<f16>(), vec4<f16>(styled), there);
#else
                        v${K} = select(vec4<f16>(), vec4<f16>(values), there);
#endif
                    }
#endfor
