//! Host side of `kernels/image_to_tensor.wgsl`.

use crate::gpu::builder::Builder;
use crate::gpu::{Binding, Dispatch};
use crate::pixels::PixelFormat;
use crate::plan::{Plan, View};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// The picture that goes in becomes `x`. Only `params` depend on the format.
pub fn record(plan: &Plan, x: View, format: PixelFormat) -> Dispatch {
    let mut launch = Builder::new(plan, "image_to_tensor");
    launch.define("WORKGROUP", WORKGROUP);
    launch.bind(Binding::PictureIn);
    launch.view("X", x);
    launch.uint("batch", x.shape.n);
    launch.uint("plane", x.shape.plane());
    pixel_format(&mut launch, format);
    launch.finish((x.shape.n * x.shape.plane()).div_ceil(WORKGROUP))
}

/// The fields that both image kernels end with.
pub(super) fn pixel_format(launch: &mut Builder<'_>, format: PixelFormat) {
    launch.uint("channels", format.channels);
    launch.uint("bgr", usize::from(format.bgr));
    let scale = ["scale_0", "scale_1", "scale_2"].into_iter().zip(format.scale);
    let offset = ["offset_0", "offset_1", "offset_2"].into_iter().zip(format.offset);
    for (name, value) in scale.chain(offset) {
        launch.float(name, value);
    }
}
