// Which pixels of x and y a column of the product stands for.

// Row and column of x that tap (0, 0) reads for a pixel.
fn corner(pixel: u32) -> vec2<i32> {
    let r = i32(pixel / p.columns);
    let c = i32(pixel % p.columns);
    return vec2<i32>(r * p.stride + p.top, c * p.stride + p.left);
}

#if UPSAMPLE != bilinear
// Whether such a row and column exist, of x as its resize leaves it.
fn is_inside(at: vec2<i32>) -> bool {
#if UPSAMPLE == nearest
    let size = vec2<i32>(i32(2u * p.x_height), i32(2u * p.x_width));
#else
    let size = vec2<i32>(i32(p.x_height), i32(p.x_width));
#endif
    return all(at >= vec2<i32>()) && all(at < size);
}
#endif

#if EIGHTS
// Stores eight channels of a pixel of the product.
fn store_pixel(v: Values, n: u32, o: u32, pixel: u32) {
    let h = pixel / p.columns * p.phases + p.phase_row;
    let w = pixel % p.columns * p.phases + p.phase_column;
    store_y(v, n, o, h, w);
}
#else
// Stores a pixel of the product, or with IN_QUADS four, which are pixels of y in their order.
fn store_pixel(v: Values, channel: Channel, n: u32, o: u32, pixel: u32) {
#if IN_QUADS
    if (n < p.y_batch && pixel < p.rows * p.columns) {
        store_at(v, channel, n, o, pixel);
    }
#else
    let h = pixel / p.columns * p.phases + p.phase_row;
    let w = pixel % p.columns * p.phases + p.phase_column;
    store_channel(v, channel, n, o, h, w);
#endif
}
#endif
