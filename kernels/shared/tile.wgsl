// A 64×64 tile of a matrix product by 64 invocations of 8×8 sums each: DEPTH rows of both factors
// are staged in workgroup memory (8 KiB), and an invocation reads four 128-bit words of it for 64
// products. Its rows and columns are two groups of four, half a tile apart, so that neighbouring
// invocations read neighbouring words.

const DEPTH = 16u;
const THREADS = 64u;

var<workgroup> u_tile: array<vec4<f32>, 256>;
var<workgroup> v_tile: array<vec4<f32>, 256>;
