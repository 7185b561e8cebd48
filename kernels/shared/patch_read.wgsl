                    // of conv_patch_cooperative.wgsl: values of the slab at `following` into registers.
                    // Channels past the last are read from the last one; their weights are zero. Which
                    // pixels these are is found anew for each slab: registers are what there are too
                    // few of.
#for K in 0..${HELD_WORDS}
                    {
#if UPSAMPLE == bilinear
                        let pixel = (lane + ${K}u * THREADS) % SOURCE_PIXELS;
                        let word = (lane + ${K}u * THREADS) / SOURCE_PIXELS;
                        let from_x = vec2<u32>(clamp(
                            source_corner
                                + vec2<i32>(i32(pixel / SOURCE_COLUMNS), i32(pixel % SOURCE_COLUMNS)),
                            vec2<i32>(),
                            vec2<i32>(i32(p.x_height), i32(p.x_width)) - 1,
                        ));
#else
                        let pixel = (lane + ${K}u * THREADS) % PATCH_PIXELS;
                        let word = (lane + ${K}u * THREADS) / PATCH_PIXELS;
                        let at = corner
                            + vec2<i32>(i32(pixel / PATCH_COLUMNS), i32(pixel % PATCH_COLUMNS));
                        let there = all(vec2<u32>(at) < ENLARGED * vec2<u32>(p.x_height, p.x_width));
                        let from_x = select(vec2<u32>(), vec2<u32>(at) / ENLARGED, there);
#endif
                        let in_plane = x_base + from_x.x * p.x_width + from_x.y;
#if X_EIGHTS
                        let c = min(following + word * 8u, p.group_inputs - 8u);
                        v${K} = x[in_plane + c / 8u * plane];
#if UPSAMPLE != bilinear
                        v${K} = Word(
                            select(vec4<f16>(), v${K}[0], there), select(vec4<f16>(), v${K}[1], there),
                        );
#endif
#else
                        let c = min(
                            vec4<u32>(following + word * 4u) + vec4<u32>(0u, 1u, 2u, 3u),
                            vec4<u32>(p.group_inputs - 1u),
                        );
                        v${K} = Word(
#for J in 0..4
                            x[in_plane + c[${J}] * plane],
#endfor
                        );
#if UPSAMPLE != bilinear
                        v${K} = select(Word(), v${K}, there);
#endif
#endif
                    }
#endfor
