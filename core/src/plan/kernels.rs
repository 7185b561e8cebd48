//! The table of kernels. From it expand the [`Variant`]s of steps and their names, the modules of
//! `gpu/ops`, `cpu` and `tests/ops`, the WGSL sources, and who executes what.
//!
//! A row is `Variant(form): name [WGSL files]`; the form says how the kernel is tiled. The row's host
//! side is `gpu/ops/name.rs`, its twin and its CPU version `cpu/name.rs`, its cases
//! `tests/ops/name.rs`. Where a kernel needs working memory on a GPU, `scratch file` names the file of
//! `plan/scratch` that knows how much.

use std::fmt;

use super::select::{
    CooperativeTile, DirectTile, GemmTile, LinearForm, PatchTile, PathRun, PathTile, WindowTile,
};

/// Calls `$expand!` with the table.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_kernel {
    ($expand:ident) => {
        $expand! {
            // Some of several for one operation: `plan::select` chooses.
            chosen {
                /// As many groups as channels.
                ConvDepthwise: conv_depthwise ["conv_depthwise"],
                /// Implicit products of matrices, each by its tile; on the CPU, which cuts blocks
                /// as it runs, without.
                ConvGemm(Vec<GemmTile>): conv_gemm ["conv_gemm"],
                /// F(4×4, 3×3) for 3×3, stride 1, dilation 1.
                ConvWinograd: conv_winograd [
                    "conv_winograd_input",
                    "conv_winograd_product",
                    "conv_winograd_output"
                ] scratch winograd,
                /// Matrix times few vectors.
                Linear(LinearForm): linear ["linear"],
                /// Linear layers side by side.
                Linears(LinearForm): linears ["linears"],
                /// Softmax attention within windows, by its tile; on the CPU without.
                WindowAttention(Option<WindowTile>): window_attention ["window_attention"],
            }
            // Such as only GPUs have.
            gpu {
                /// Any convolution, one thread per few outputs.
                ConvDirect(DirectTile): conv_direct ["conv_direct"],
                /// Implicit products of matrices that subgroups compute together, each by its tile.
                ConvGemmCooperative(Vec<CooperativeTile>): conv_gemm_cooperative
                    ["conv_gemm_cooperative"],
                /// Such products of stride 1, whose input is staged once for all taps.
                ConvPatchCooperative(Vec<PatchTile>): conv_patch_cooperative
                    ["conv_patch_cooperative"],
                /// All paths of an MMRB stage in one dispatch.
                MultiPathConv(PathTile): multi_path_conv ["multi_path_conv"],
            }
            // Such as only the CPU has.
            cpu {
                /// Paths of an MMRB stage, each as what is fastest for it.
                ConvPaths(Vec<PathRun>): conv_paths,
                /// Products whose lanes are output channels, for small pictures.
                ConvSmall: conv_small,
                /// Transposed convolution, a product per phase.
                ConvTranspose: conv_transpose,
            }
            // The only ones for the operations of their names.
            only {
                /// Mean and deviation of another tensor.
                AdaIn: ada_in ["ada_in"],
                /// Means of windows.
                AdaptiveAvgPool2d: adaptive_avg_pool2d ["adaptive_avg_pool2d"],
                /// Largest channel of each pixel.
                ArgMax: arg_max ["arg_max"],
                /// Softmax attention without a matrix of all scores.
                Attention: attention ["attention"],
                /// Softmax attention of channels.
                ChannelAttention: channel_attention ["channel_attention_scores", "channel_attention"] scratch channel_attention,
                /// A parameter as an activation.
                Constant: constant ["constant"],
                /// Demodulation factors.
                Demodulate: demodulate ["demodulate"],
                /// Rows of a table.
                Embedding: embedding ["embedding"],
                /// Normalised groups of channels.
                GroupNorm: group_norm ["group_norm_moments", "group_norm"] scratch group_norm,
                /// Normalised pixels.
                LayerNorm: layer_norm ["layer_norm"],
                /// Largest values of windows.
                MaxPool2d: max_pool2d ["max_pool2d"],
                /// Normalised vectors.
                PixelNorm: pixel_norm ["pixel_norm"],
                /// Depth to space.
                PixelShuffle: pixel_shuffle ["pixel_shuffle"],
                /// Space to depth.
                PixelUnshuffle: pixel_unshuffle ["pixel_unshuffle"],
                /// Only an epilogue.
                Pointwise: pointwise ["pointwise"],
                /// Mirrored borders.
                ReflectPad: reflect_pad ["reflect_pad"],
                /// Nearest and bilinear.
                Resize: resize ["resize"],
                /// Filtered resampling.
                Upfirdn2d: upfirdn2d ["upfirdn2d"],
                /// Windows as samples, and back.
                WindowPartition: window_partition ["window_partition"],
            }
        }
    };
}

macro_rules! declare {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu { $($(#[$cpu_doc:meta])* $cpu:ident $(($cpu_form:ty))?: $cpu_name:ident,)* }
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        /// Which kernel executes a step, and how it is tiled.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Variant {
            $($(#[$chosen_doc])* $chosen $(($chosen_form))?,)*
            $($(#[$gpu_doc])* $gpu $(($gpu_form))?,)*
            $($(#[$cpu_doc])* $cpu $(($cpu_form))?,)*
            $($(#[$only_doc])* $only,)*
        }

        impl Variant {
            /// The names of those that run on GPUs, and of those that run on the CPU.
            pub const NAMES: [&[&str]; 2] = [
                &[
                    $(stringify!($chosen_name),)*
                    $(stringify!($gpu_name),)*
                    $(stringify!($only_name),)*
                ],
                &[
                    $(stringify!($chosen_name),)*
                    $(stringify!($cpu_name),)*
                    $(stringify!($only_name),)*
                ],
            ];

            /// The kernel's name.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$chosen { .. } => stringify!($chosen_name),)*
                    $(Self::$gpu { .. } => stringify!($gpu_name),)*
                    $(Self::$cpu { .. } => stringify!($cpu_name),)*
                    $(Self::$only => stringify!($only_name),)*
                }
            }
        }
    };
}

for_each_kernel!(declare);

impl fmt::Display for Variant {
    /// The name, and how it is tiled.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = |splits: usize| if splits > 1 { format!("/{splits}") } else { String::new() };
        let mut forms: Vec<String> = match self {
            Self::ConvDirect(DirectTile { outputs, parts }) => {
                vec![format!("{outputs}{}", split(*parts))]
            }
            Self::ConvGemm(tiles) => (tiles.iter())
                .map(|GemmTile { rows, columns, splits }| {
                    format!("{rows}x{columns}{}", split(*splits))
                })
                .collect(),
            Self::ConvGemmCooperative(tiles) => (tiles.iter())
                .map(|tile| format!("{}x{}{}", tile.rows, tile.columns, split(tile.splits)))
                .collect(),
            Self::ConvPatchCooperative(tiles) => (tiles.iter())
                .map(|tile| format!("{}x{}x{}", tile.rows, tile.height, PatchTile::COLUMNS))
                .collect(),
            Self::ConvPaths(runs) => (runs.iter())
                .map(|PathRun { paths, form }| format!("{paths}:{form:?}").to_lowercase())
                .collect(),
            Self::Linear(form) | Self::Linears(form) => vec![format!("{form:?}").to_lowercase()],
            Self::MultiPathConv(tile) => vec![tile.outputs.to_string()],
            Self::WindowAttention(Some(tile)) => vec![tile.keys.to_string()],
            _ => Vec::new(),
        };
        forms.dedup();
        f.write_str(self.name())?;
        if forms.is_empty() { Ok(()) } else { write!(f, " {}", forms.join(",")) }
    }
}
