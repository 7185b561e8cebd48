// Loads of a convolution's input x[n, c, h, w] with zeros around it, through a resize ×2 where
// the plan fused one (h and w then count resized pixels), times style[n, c].
//
// With X_BLOCKS eight channels of a pixel lie side by side (View of core/src/plan/step.rs), and with
// X_EIGHTS a kernel reads them so, by words of sixteen bytes.

#include "shared/read.wgsl"
#if STYLE
@group(0) @binding(_) var<storage, read_write> style: array<f32>;
#endif

// With X_EIGHTS channels c to c + 7, of a multiple of eight.
fn read_x(n: u32, c: u32, h: i32, w: i32) -> Read {
    let sample = p.x_offset + n * p.x_batch_stride;
#if X_BLOCKS
    let row = c / 8u * p.x_height + u32(h);
    let at = (row * p.x_width + u32(w)) * 8u + c % 8u;
#else
    let row = c * p.x_height + u32(h);
    let at = row * p.x_width + u32(w);
#endif
    return read_at((sample + at) / READS);
}

// x without style.
fn load_plain(n: u32, c: u32, h: i32, w: i32) -> Read {
    // One comparison of vectors, in which what is negative is large: SwiftShader's compiler walks all
    // paths through a loop, and four branches per load, one behind the other, are too many of them.
    let at = vec2<u32>(vec2<i32>(h, w));
#if UPSAMPLE == none
    if (any(at >= vec2<u32>(p.x_height, p.x_width))) {
        return Read();
    }
    return read_x(n, c, h, w);
#else
    if (any(at >= 2u * vec2<u32>(p.x_height, p.x_width))) {
        return Read();
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
    let top = between(read_x(n, c, h0, w0), read_x(n, c, h0, w1), tw);
    let bottom = between(read_x(n, c, h1, w0), read_x(n, c, h1, w1), tw);
    return between(top, bottom, th);
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

#if !X_EIGHTS
fn load_x(n: u32, c: u32, h: i32, w: i32) -> f32 {
#if STYLE
    return load_plain(n, c, h, w) * load_style(n, c);
#else
    return load_plain(n, c, h, w);
#endif
}
#endif
