// The parameters of a convolution as a product of matrices; src/gpu/ops/conv_gemm.rs writes them.
struct Params {
#include "shared/load_params.wgsl"
    batch: u32,
    groups: u32,
    first_input: u32,
    group_inputs: u32,
    first_output: u32,
    group_outputs: u32,
    rows: u32,
    columns: u32,
    stride: i32,
    step: i32,
    top: i32,
    left: i32,
    taps: u32,
    first_tap: u32,
    tap_rows: u32,
    tap_columns: u32,
    tap_row_step: u32,
    tap_column_step: u32,
    phases: u32,
    phase_row: u32,
    phase_column: u32,
#include "shared/epilogue_params.wgsl"
}
