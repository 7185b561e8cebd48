//! `pentimento generate FOLDER`: the manual and the shells' completions, for those who package the
//! program. The help does not list it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use pentimento::{Error, Result};

use super::Cli;

/// Writes man pages and completions for bash, zsh, fish and PowerShell to a folder
#[derive(Args)]
pub struct Generate {
    /// Where to; the folders man/ and completions/ are made in it
    folder: PathBuf,
}

impl Generate {
    /// Writes the files.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be written.
    pub fn run(self) -> Result<ExitCode> {
        let [pages, completions] = ["man", "completions"].map(|name| self.folder.join(name));
        let written = [&pages, &completions].into_iter().try_for_each(std::fs::create_dir_all);
        let written = written.and_then(|()| {
            let mut command = Cli::command();
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
                clap_complete::generate_to(shell, &mut command, "pentimento", &completions)?;
            }
            clap_mangen::generate_to(command, &pages)
        });
        written.map_err(|source| Error::Io { action: "write", path: self.folder, source })?;
        Ok(ExitCode::SUCCESS)
    }
}
