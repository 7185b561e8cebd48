//! What the convolution kernels are tried on: shapes that fill no tile.

use super::trial::Case;
use crate::graph::Padding;
use crate::plan::Upsample;

/// Convolutions whose inputs and outputs lie by blocks of channels, by each kernel that devices without
/// cooperative matrices have.
pub(super) fn blocks() -> Vec<Case> {
    let direct = |x, outputs, size| Case::new("conv_direct", x, outputs, size);
    let gemm = |x, outputs, size| Case::new("conv_gemm", x, outputs, size);
    vec![
        direct([1, 8, 5, 7], 16, 3),
        Case { epilogue: true, ..direct([2, 16, 6, 6], 16, 3) },
        Case { epilogue: true, ..direct([1, 24, 4, 6], 16, 1) },
        Case { style: true, ..direct([2, 72, 9, 13], 3, 1) },
        Case { stride: 2, groups: 2, style: true, ..direct([2, 16, 9, 7], 16, 3) },
        Case { upsample: Upsample::Bilinear, ..direct([1, 8, 3, 5], 8, 3) },
        Case { upsample: Upsample::Nearest, ..direct([1, 16, 3, 5], 8, 3) },
        Case { epilogue: true, ..gemm([2, 16, 5, 12], 80, 3) },
        Case { upsample: Upsample::Bilinear, style: true, ..gemm([2, 40, 4, 3], 48, 3) },
        Case { epilogue: true, upsample: Upsample::Bilinear, ..gemm([2, 8, 4, 6], 16, 1) },
        Case { stride: 2, groups: 2, ..gemm([1, 48, 9, 12], 80, 3) },
        Case { epilogue: true, ..gemm([2, 72, 6, 14], 80, 3) },
        Case { transposed: true, stride: 2, epilogue: true, ..gemm([2, 16, 5, 3], 32, 4) },
        Case { epilogue: true, ..Case::new("conv_winograd", [2, 16, 10, 6], 16, 3) },
        Case {
            paths: vec![[8, 0, 16, 3, 1, 1], [16, 8, 16, 5, 1, 2], [8, 16, 8, 3, 2, 1]],
            ..Case::new("multi_path_conv", [2, 24, 9, 18], 0, 1)
        },
        Case {
            epilogue: true,
            paths: [1, 2, 3].map(|step| [16, 0, 8, 3, step, 1]).to_vec(),
            ..Case::new("multi_path_conv", [2, 8, 9, 12], 0, 1)
        },
    ]
}

/// F(4×4, 3×3), of tiles that are not full.
pub(super) fn winograd() -> Vec<Case> {
    let plain = |x, outputs| Case::new("conv_winograd", x, outputs, 3);
    vec![
        plain([1, 5, 9, 7], 3),
        plain([2, 17, 13, 21], 70),
        plain([1, 1, 1, 1], 1),
        Case { epilogue: true, style: true, ..plain([2, 9, 10, 6], 12) },
        Case { upsample: Upsample::Nearest, ..plain([1, 6, 5, 9], 8) },
        Case { upsample: Upsample::Bilinear, ..plain([2, 6, 5, 9], 8) },
        Case { upsample: Upsample::Bilinear, style: true, ..plain([1, 4, 1, 1], 2) },
        Case { upsample: Upsample::Bilinear, epilogue: true, ..plain([1, 4, 16, 18], 66) },
    ]
}

/// What every member of the family of matrix products computes; `inputs` of the 1×1 convolution.
pub(super) fn products(inputs: usize) -> Vec<Case> {
    let plain = |x, outputs, size| Case::new("conv_gemm", x, outputs, size);
    vec![
        plain([1, 5, 9, 7], 3, 3),
        plain([2, inputs, 11, 13], 70, 1),
        Case { style: true, ..plain([2, 17, 6, 5], 9, 3) },
        Case { epilogue: true, ..plain([2, 9, 10, 6], 12, 5) },
        Case { stride: 2, padding: Padding::pair(0, 1), ..plain([1, 18, 9, 12], 67, 3) },
        Case { stride: 2, dilation: 2, taps: [2, 3], groups: 3, ..plain([2, 51, 9, 8], 6, 3) },
        Case { upsample: Upsample::Bilinear, style: true, ..plain([2, 3, 4, 3], 5, 3) },
        Case { upsample: Upsample::Nearest, ..plain([1, 3, 4, 3], 5, 3) },
        Case { epilogue: true, ..plain([2, 9, 5, 12], 12, 3) },
    ]
}

/// Paths that differ by their steps, and by what they read.
pub(super) fn alike() -> [Case; 2] {
    let stage = |x, paths| Case { paths, ..Case::new("multi_path_conv", x, 0, 1) };
    let epilogue = true;
    [
        Case {
            epilogue,
            ..stage([2, 8, 9, 12], [1, 2, 3].map(|step| [20, 0, 8, 3, step, 1]).to_vec())
        },
        stage([1, 40, 6, 7], [[12, 4, 16, 3, 1, 2], [12, 20, 16, 3, 4, 2]].to_vec()),
    ]
}

/// Convolutions of stride 1, of pixels and channels that fill no tile.
pub(super) fn patches() -> Vec<Case> {
    let plain = |x, outputs, size| Case::new("conv_patch_cooperative", x, outputs, size);
    vec![
        plain([1, 9, 5, 16], 3, 3),
        plain([2, 41, 11, 17], 70, 3),
        Case { epilogue: true, ..plain([2, 17, 6, 21], 66, 3) },
        Case { epilogue: true, ..plain([2, 24, 6, 20], 80, 3) },
        Case { dilation: 2, padding: Padding::all(2), groups: 2, ..plain([2, 48, 9, 19], 80, 3) },
        Case { dilation: 3, padding: Padding::pair(2, 3), ..plain([1, 16, 9, 23], 130, 3) },
        Case { taps: [2, 5], padding: Padding::pair(0, 2), ..plain([1, 33, 8, 18], 20, 5) },
        Case { upsample: Upsample::Nearest, ..plain([1, 8, 3, 9], 5, 3) },
        Case { upsample: Upsample::Bilinear, epilogue: true, ..plain([2, 24, 4, 8], 48, 3) },
        Case { upsample: Upsample::Bilinear, style: true, ..plain([2, 19, 5, 11], 65, 3) },
        Case {
            paths: vec![[8, 0, 16, 3, 1, 2], [40, 2, 14, 3, 2, 1], [30, 5, 8, 5, 1, 1]],
            ..plain([2, 16, 17, 18], 0, 1)
        },
    ]
}

/// Transposed convolutions, which scatter.
pub(super) fn transposed() -> Vec<Case> {
    let plain = |x, outputs, size| Case {
        transposed: true,
        stride: 2,
        padding: Padding::default(),
        ..Case::new("conv_gemm", x, outputs, size)
    };
    vec![
        plain([1, 5, 4, 7], 3, 3),
        Case { style: true, ..plain([2, 18, 5, 3], 66, 3) },
        Case { epilogue: true, padding: Padding::pair(1, 0), ..plain([1, 4, 6, 5], 6, 4) },
        Case { stride: 3, taps: [2, 5], ..plain([2, 3, 3, 4], 5, 2) },
        Case { stride: 1, ..plain([1, 3, 3, 4], 5, 3) },
        plain([1, 3, 1, 1], 2, 1),
    ]
}

/// Stages of several paths.
pub(super) fn paths() -> Vec<Case> {
    let plain = |x, paths: &[[usize; 6]]| Case {
        paths: paths.to_vec(),
        ..Case::new("multi_path_conv", x, 0, 1)
    };
    vec![
        plain([1, 7, 19, 23], &[[5, 0, 7, 3, 1, 1], [9, 0, 7, 3, 2, 1], [2, 0, 7, 3, 3, 1]]),
        plain([2, 8, 17, 5], &[[8, 0, 8, 5, 1, 8], [4, 2, 4, 7, 1, 2], [3, 5, 3, 1, 1, 1]]),
        Case { epilogue: true, ..plain([2, 3, 9, 18], &[[3, 0, 3, 3, 1, 3], [4, 0, 3, 5, 2, 1]]) },
        // Neither this halo nor this kernel fits into workgroup memory.
        plain([1, 2, 21, 20], &[[2, 0, 2, 3, 23, 1], [9, 0, 1, 13, 1, 1]]),
    ]
}
