//! `pentimento devices`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use pentimento::{DeviceInfo, Engine, Result};

use super::output::{bytes, print, print_json};

/// Lists what this machine can compute on, and which device is used without --device
#[derive(Args)]
pub struct Devices {
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub fn run(&self) -> Result<ExitCode> {
        let devices = Engine::devices();
        if self.json {
            print_json(&devices)?;
        } else {
            print(&text(&devices))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(devices: &[DeviceInfo]) -> String {
    let mut text = String::new();
    for device in devices {
        let selector = device.index.map_or_else(|| "cpu".to_owned(), |index| index.to_string());
        let mark = if device.default { "*" } else { " " };
        let _ = writeln!(text, "{mark} {selector:>3}  {}", device.name);
        if device.index.is_some() {
            let [smallest, largest] = device.subgroup_sizes;
            let features = match device.features.as_slice() {
                [] => "none".to_owned(),
                features => features.join(", "),
            };
            let of = if device.vendor.is_empty() {
                String::new()
            } else {
                format!(" of {}", device.vendor)
            };
            let _ = writeln!(
                text,
                "       {} device{of}, {}, driver {}",
                device.kind, device.backend, device.driver
            );
            let _ = writeln!(
                text,
                "       optional features: {features}; subgroups of {smallest} to {largest}"
            );
            let _ = writeln!(
                text,
                "       largest buffer {}, largest binding {}, workgroup memory {}",
                limit(device.max_buffer),
                limit(device.max_binding),
                limit(device.workgroup_memory.into()),
            );
        }
        let used = if device.default { "the default" } else { "not the default" };
        let _ = writeln!(text, "       {used}: {}", device.reason);
    }
    text
}

fn limit(n: u64) -> String {
    usize::try_from(n).map_or_else(|_| "unlimited".to_owned(), bytes)
}
