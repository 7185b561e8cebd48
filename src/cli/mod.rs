//! The command line: one file per subcommand.

mod album;
mod below;
mod bench;
mod cache;
mod case;
mod compute;
mod convert;
mod crew;
mod defaults;
mod devices;
mod download;
mod faces;
mod fault;
mod film;
mod generate;
mod inputs;
mod inspect;
mod journal;
mod memory;
mod model;
mod models;
mod movie;
mod output;
mod page;
mod preview;
mod queue;
mod read;
mod report;
mod restore;
mod run;
mod service;
mod several;
mod stage;
mod target;
mod value;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pentimento::photo::silence_panics;
use pentimento::{Engine, EngineOptions, Error, Precision};

/// Restores degraded faces in pictures, on any GPU or on the CPU.
#[derive(Parser)]
#[command(name = "pentimento", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Fetch nothing. The default model and detector are otherwise fetched once where they are
    /// missing (as with the environment variable PENTIMENTO_OFFLINE=1)
    #[arg(long, global = true)]
    offline: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento restore face.jpg -o restored.png    restore one face
  pentimento restore album/ -o restored/         restore a folder of them
  pentimento convert GFPGANv1.4.pth              PyTorch's checkpoint to safetensors
  pentimento devices                             what this machine can compute on
  pentimento inspect weights/mmrbnet-256.safetensors
  pentimento models pull gfpgan-1.4              fetch another model
  pentimento bench --filter gfpgan               measure a network and its kernels here

'pentimento help <command>' says more about a command.";

#[derive(Subcommand)]
enum Command {
    Restore(restore::Restore),
    Bench(bench::Bench),
    Convert(convert::Convert),
    Devices(devices::Devices),
    Inspect(inspect::Inspect),
    Models(models::Models),
    #[command(hide = true)]
    Generate(generate::Generate),
}

/// Reads the arguments, the program's name first, and does what they ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    silence_panics();
    let cli = Cli::parse_from(arguments);
    if cli.offline {
        defaults::stay_offline();
    }
    let result = pentimento::threads::start().and_then(|()| match cli.command {
        Command::Restore(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Convert(command) => command.run(),
        Command::Devices(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Models(command) => command.run(),
        Command::Generate(command) => command.run(),
    });
    result.unwrap_or_else(|error| {
        output::print_error(&error);
        ExitCode::FAILURE
    })
}

/// Where and how to compute.
#[derive(Args, Debug)]
struct EngineArgs {
    /// Device to compute on: a number or a part of a name from `pentimento devices`, a backend
    /// ("vulkan", "metal", "dx12", "gl"), or "cpu". Without this, the best one. `restore` takes
    /// several, as in "0,1" or "0,cpu", and shares the pictures among them; "all" is every GPU.
    #[arg(short, long, value_name = "DEVICE", help_heading = "Computing")]
    device: Option<String>,

    /// Storage of weights and intermediates. "auto" takes f16 where the device has it; sums are
    /// always f32.
    #[arg(long, value_name = "TYPE", value_parser = value::precision, default_value = "auto",
          help_heading = "Computing")]
    precision: Precision,

    /// Memory that the network may take on the device, as "2GB" or "512MiB". Large pictures are
    /// then computed in smaller tiles. Devices that compute in the machine's own memory share it.
    /// The pictures themselves are not counted.
    #[arg(long, value_name = "SIZE", value_parser = value::memory, help_heading = "Computing")]
    memory: Option<usize>,

    /// Do without the device's cooperative matrices, which multiply in f16.
    #[arg(long, help_heading = "Computing")]
    no_cooperative: bool,

    /// Try for about a second which tile sizes of the kernels are the fastest on this device, and
    /// remember it.
    #[arg(long, help_heading = "Computing")]
    tune: bool,
}

impl EngineArgs {
    fn options(&self) -> EngineOptions {
        let mut options = EngineOptions::new()
            .precision(self.precision)
            .cooperative_matrices(!self.no_cooperative);
        // Without a home nothing is kept.
        options.cache = cache::kernels().ok();
        options.tuning = options.cache.clone().filter(|_| self.tune);
        (options.device, options.memory) = (self.device.clone(), self.memory);
        options
    }

    fn engine(&self) -> pentimento::Result<Engine> {
        let mut engines = self.engines()?;
        match (engines.pop(), engines.len()) {
            (Some((_, engine)), 0) => Ok(engine),
            (_, more) => Err(Error::Input(format!(
                "--device {} names {} devices; this work is not shared, name one of them",
                self.device.as_deref().unwrap_or_default(),
                more + 1
            ))),
        }
    }
}
