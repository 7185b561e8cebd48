//! Host side of `kernels/shared/load.wgsl`: a convolution's input, its resize and its style.

use crate::gpu::builder::Builder;
use crate::plan::{Upsample, View};

/// Binds `x` and `style` and writes the fields of `shared/load_params.wgsl`, which therefore open
/// the kernel's `Params`. Defines `X`, `UPSAMPLE` and `STYLE`.
pub fn bind(launch: &mut Builder<'_>, x: View, upsample: Upsample, style: Option<View>) {
    launch.view("X", x);
    launch.flag("X_BLOCKS", x.blocked);
    launch.uint("x_channels", x.shape.c);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.optional_view("STYLE", style);
    launch.define(
        "UPSAMPLE",
        match upsample {
            Upsample::None => "none",
            Upsample::Nearest => "nearest",
            Upsample::Bilinear => "bilinear",
        },
    );
}
