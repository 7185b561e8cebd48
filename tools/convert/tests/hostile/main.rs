//! Files made to break the reader. Each must be refused with its reason, quickly; the sound twin
//! next to it must be read, so that no test passes because its file is broken in another way.

#[allow(dead_code)]
mod build;
mod legacy;
mod pickle;
mod state_dict;
mod tensor;
mod whole_files;
mod zip;
