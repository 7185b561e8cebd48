// Loads of a convolution's input x[n, c, h, w] with zeros around it, through a resize ×2 where
// the plan fused one (h and w then count resized pixels), times style[n, c].

#enable f16 if X == f16
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;
#if STYLE
@group(0) @binding(_) var<storage, read_write> style: array<f32>;
#endif

fn read_x(n: u32, c: u32, h: i32, w: i32) -> f32 {
    let row = c * p.x_height + u32(h);
    return f32(x[p.x_offset + n * p.x_batch_stride + row * p.x_width + u32(w)]);
}

// x without style.
fn load_plain(n: u32, c: u32, h: i32, w: i32) -> f32 {
    // One comparison of vectors, in which what is negative is large: SwiftShader's compiler walks all
    // paths through a loop, and four branches per load, one behind the other, are too many of them.
    let at = vec2<u32>(vec2<i32>(h, w));
#if UPSAMPLE == none
    if (any(at >= vec2<u32>(p.x_height, p.x_width))) {
        return 0.0;
    }
    return read_x(n, c, h, w);
#else
    if (any(at >= 2u * vec2<u32>(p.x_height, p.x_width))) {
        return 0.0;
    }
#if UPSAMPLE == nearest
    return read_x(n, c, h / 2, w / 2);
#else
    // Pixel 2k lies ¼ before input pixel k, pixel 2k + 1 lies ¼ behind it; edges clamp.
    let h0 = max((h - 1) >> 1u, 0);
    let w0 = max((w - 1) >> 1u, 0);
    let h1 = min((h + 1) >> 1u, i32(p.x_height) - 1);
    let w1 = min((w + 1) >> 1u, i32(p.x_width) - 1);
    let th = select(0.75, 0.25, (h & 1) == 1);
    let tw = select(0.75, 0.25, (w & 1) == 1);
    let top = mix(read_x(n, c, h0, w0), read_x(n, c, h0, w1), tw);
    let bottom = mix(read_x(n, c, h1, w0), read_x(n, c, h1, w1), tw);
    return mix(top, bottom, th);
#endif
#endif
}

fn load_style(n: u32, c: u32) -> f32 {
#if STYLE
    return style[p.style_offset + n * p.style_batch_stride + c];
#else
    return 1.0;
#endif
}

fn load_x(n: u32, c: u32, h: i32, w: i32) -> f32 {
#if STYLE
    return load_plain(n, c, h, w) * load_style(n, c);
#else
    return load_plain(n, c, h, w);
#endif
}
