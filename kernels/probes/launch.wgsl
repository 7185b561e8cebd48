// y[0] = 1, where p.write is 1
//
// y: one value. Measures what a launch costs that does nothing.

struct Params {
    write: u32,
}

@group(0) @binding(_) var<uniform> p: Params;
@group(0) @binding(_) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
    if (p.write == 1u) {
        y[0] = 1.0;
    }
}
