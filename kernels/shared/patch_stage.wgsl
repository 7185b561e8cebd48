                    // of conv_patch_cooperative.wgsl: the values that were read are the patch now, or what
                    // lies between them, with zeros around it. Pixel 2k lies ¼ before pixel k of x,
                    // pixel 2k + 1 ¼ behind it.
#for K in 0..${PATCH_WORDS}
                    {
                        let pixel = (lane + ${K}u * THREADS) % PATCH_PIXELS;
                        let word = (lane + ${K}u * THREADS) / PATCH_PIXELS;
                        if (word < SLAB_WORDS) {
                            let to = pixel * STRIDE + word * WORD;
#if UPSAMPLE == bilinear
                            let at = corner
                                + vec2<i32>(i32(pixel / PATCH_COLUMNS), i32(pixel % PATCH_COLUMNS));
                            let there = all(vec2<u32>(at) < 2u * vec2<u32>(p.x_height, p.x_width));
                            let near = ((at - 1) >> vec2<u32>(1u)) - source_corner;
                            let far = ((at + 1) >> vec2<u32>(1u)) - source_corner;
                            let odd = (at & vec2<i32>(1)) == vec2<i32>(1);
                            let t = select(vec2<f32>(0.75), vec2<f32>(0.25), odd);
#for Q in 0..${WORD_QUADS}
                            {
                                let c = word * WORD + ${Q}u * 4u;
                                let top = mix(
                                    source(near.x, near.y, c), source(near.x, far.y, c), t.y,
                                );
                                let bottom = mix(
                                    source(far.x, near.y, c), source(far.x, far.y, c), t.y,
                                );
                                let values =
                                    select(vec4<f16>(), vec4<f16>(mix(top, bottom, t.x)), there);
#for C in 0..4
                                patch_tile[to + ${Q}u * 4u + ${C}u] = values[${C}];
#endfor
                            }
#endfor
#else
#if X_EIGHTS
#for C in 0..8
                            patch_tile[to + ${C}u] = v${K}[${C} / 4][${C} % 4];
#endfor
#else
#for C in 0..4
                            patch_tile[to + ${C}u] = v${K}[${C}];
#endfor
#endif
#endif
                        }
                    }
#endfor
