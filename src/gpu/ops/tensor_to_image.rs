//! Host side of `kernels/tensor_to_image.wgsl`.

use super::image_to_tensor::pixel_format;
use crate::gpu::builder::Builder;
use crate::gpu::{Binding, Dispatch};
use crate::pixels::PixelFormat;
use crate::plan::{Plan, View};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// `y` becomes the picture that comes out. Only `params` depend on the format; the grid is that of
/// four channels, the most there are.
pub fn record(plan: &Plan, y: View, format: PixelFormat) -> Dispatch {
    let pixels = y.shape.n * y.shape.plane();
    let mut launch = Builder::new(plan, "tensor_to_image");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("Y", y);
    launch.bind(Binding::PictureOut);
    launch.bind(Binding::NonFinite);
    launch.uint("bytes", pixels * format.channels);
    launch.uint("plane", y.shape.plane());
    pixel_format(&mut launch, format);
    launch.finish(pixels.div_ceil(WORKGROUP))
}
