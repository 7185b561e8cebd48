//! The host side of every kernel: a step becomes dispatches. Pure functions.

pub mod block_luminance;
#[cfg(test)]
pub(super) mod conv_tests;
pub mod grain_histogram;
pub mod image_to_tensor;
pub mod match_colours;
pub mod paste;
mod shared;
pub mod tensor_to_image;
pub mod tone;
pub mod warp_affine;

use super::Dispatch;
use super::builder::MAX_STORAGE_BINDINGS;
use super::params::PARAMS_STRIDE;
use crate::plan::{Plan, Step, Variant};
use crate::{Result, for_each_kernel};

macro_rules! hosts {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu { $($(#[$cpu_doc:meta])* $cpu:ident $(($cpu_form:ty))?: $cpu_name:ident,)* }
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        $(mod $chosen_name;)*
        $(mod $gpu_name;)*
        $(mod $only_name;)*

        fn launches(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
            match step.variant {
                $(Variant::$chosen { .. } => $chosen_name::record(step, plan),)*
                $(Variant::$gpu { .. } => $gpu_name::record(step, plan),)*
                $(Variant::$cpu { .. })|* => Err(step.misfit("it runs on the CPU alone")),
                $(Variant::$only => $only_name::record(step, plan),)*
            }
        }
    };
}

for_each_kernel!(hosts);

/// The launches that execute `step`, in order.
///
/// # Errors
/// [`Error::Internal`](crate::Error::Internal) when its kernel cannot compute what the step asks for.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let dispatches = launches(step, plan)?;
    for dispatch in &dispatches {
        if dispatch.bindings.len() > MAX_STORAGE_BINDINGS {
            return Err(step.misfit(&format!("it binds more than {MAX_STORAGE_BINDINGS} buffers")));
        }
        if !dispatch.params.fit() {
            let needed = format!("its parameters take more than {PARAMS_STRIDE} bytes");
            return Err(step.misfit(&needed));
        }
    }
    Ok(dispatches)
}
