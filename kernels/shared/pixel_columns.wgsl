// A workgroup works on the channels of PIXELS neighbouring pixels; SHARES invocations share the
// channels of one.

const PIXELS = ${PIXELS}u;
const SHARES = ${SHARES}u;
const WORKGROUP = PIXELS * SHARES;

struct Column {
    n: u32,
    pixel: u32,
    // Whether there is such a pixel; where not, the last one stands in for it.
    inside: bool,
}

fn column_of(workgroup: u32, lane: u32) -> Column {
    let plane = p.y_height * p.y_width;
    let blocks = (plane + PIXELS - 1u) / PIXELS;
    let pixel = workgroup % blocks * PIXELS + lane % PIXELS;
    let n = workgroup / blocks;
    let inside = pixel < plane && n < p.y_batch;
    return Column(min(n, p.y_batch - 1u), min(pixel, plane - 1u), inside);
}
