    // of shared/load.wgsl; src/gpu/ops/shared/load.rs writes them
    x_offset: u32,
    x_batch_stride: u32,
    x_channels: u32,
    x_height: u32,
    x_width: u32,
    style_offset: u32,
    style_batch_stride: u32,
