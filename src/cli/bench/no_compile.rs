//! `pentimento bench --compile` where there is no Vulkan.

use std::process::ExitCode;

use pentimento::{Engine, Error, Result};

use super::Bench;

impl Bench {
    /// # Errors
    /// Always.
    pub(super) fn compile(&self, _: &Engine) -> Result<ExitCode> {
        let _ = (&self.code, &self.save);
        let why =
            "--compile asks Vulkan drivers, of which this system has none; use Linux or Windows";
        Err(Error::Device(why.to_owned()))
    }
}
