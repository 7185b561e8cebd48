// A tile of a matrix product by invocations of 8×8 sums each: DEPTH rows of both factors are staged
// in workgroup memory (8 KiB for 64×64), and an invocation reads four 128-bit words of it for 64
// products. Its rows and columns are two groups of four, half a tile apart, so that neighbouring
// invocations read neighbouring words. With SPLITS a workgroup has as many tiles of every factor:
// parts of THREADS invocations, of which `part` says the number, sum shares of the depth.

const DEPTH = ${DEPTH}u;
const TILE_ROWS = ${TILE_ROWS}u;
const TILE_COLUMNS = ${TILE_COLUMNS}u;
const THREADS = TILE_ROWS * TILE_COLUMNS / 64u;
#if SPLITS
const SPLITS = ${SPLITS}u;
#else
const SPLITS = 1u;
#endif

// In words of four values.
const U_WIDTH = TILE_ROWS / 4u;
const V_WIDTH = TILE_COLUMNS / 4u;

var<workgroup> u_tile: array<vec4<f32>, SPLITS * DEPTH * U_WIDTH>;
var<workgroup> v_tile: array<vec4<f32>, SPLITS * DEPTH * V_WIDTH>;
