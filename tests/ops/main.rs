//! Every kernel against its twin on random shapes, and both against PyTorch's goldens.

#[path = "../support/mod.rs"]
mod support;

mod cpu;
mod golden_cases;
mod goldens;
mod harness;
mod images;
mod one_step;

/// Each row of the table of kernels has a file of its name here.
macro_rules! cases {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu { $($(#[$cpu_doc:meta])* $cpu:ident $(($cpu_form:ty))?: $cpu_name:ident,)* }
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        $(mod $chosen_name;)*
        $(mod $gpu_name;)*
        $(mod $cpu_name;)*
        $(mod $only_name;)*
    };
}

pentimento::for_each_kernel!(cases);
