//! How much working memory kernels need: one file for each that needs some.

use super::{Backend, Step, Target, Variant};
use crate::for_each_kernel;

macro_rules! scratch {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu $cpu:tt
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        $($(mod $chosen_scratch;)?)*
        $($(mod $gpu_scratch;)?)*
        $($(mod $only_scratch;)?)*

        /// f32 values of working memory that `step` needs on `target`; 0 when none. `step.scratch`
        /// is not looked at.
        pub fn scratch_len(step: &Step, target: &Target) -> usize {
            if target.backend == Backend::Cpu {
                return 0;
            }
            match step.variant {
                $($(Variant::$chosen { .. } => $chosen_scratch::len(step, target),)?)*
                $($(Variant::$gpu { .. } => $gpu_scratch::len(step, target),)?)*
                $($(Variant::$only => $only_scratch::len(step, target),)?)*
                _ => 0,
            }
        }
    };
}

for_each_kernel!(scratch);

pub use group_norm::{NORM_CHUNKS, NormScratch};
pub use winograd::{WINOGRAD_BLOCK, WINOGRAD_TILE, WINOGRAD_VALUES, WinogradScratch};
