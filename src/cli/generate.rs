//! `pentimento generate FOLDER`: the manual and the shells' completions, for those who package the
//! program, and the page of the documentation that lists every option. The help does not list it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use pentimento::{Error, Result};

use super::Cli;

/// Writes man pages, completions for bash, zsh, fish and PowerShell, and a Markdown page to a folder
#[derive(Args)]
pub struct Generate {
    /// Where to; the folders man/ and completions/ and the file options.md are made in it
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
            // Without `help`, which only shows what the other pages hold.
            let command = Cli::command().disable_help_subcommand(true);
            let command = command.mut_subcommands(|sub| sub.disable_help_subcommand(true));
            std::fs::write(self.folder.join("options.md"), options(&command))?;
            clap_mangen::generate_to(command, &pages)
        });
        written.map_err(|source| Error::Io { action: "write", path: self.folder, source })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A page with the long help of every command that the help lists.
fn options(command: &clap::Command) -> String {
    let mut page = "# Commands and options\n".to_owned();
    let name = command.get_name();
    let mut add = |title: &str, command: &clap::Command| {
        let help = command.clone().bin_name(title).term_width(90).render_long_help().to_string();
        page.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", help.trim_end()));
    };
    add(name, command);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let title = format!("{name} {}", sub.get_name());
        add(&title, sub);
        for below in sub.get_subcommands() {
            add(&format!("{title} {}", below.get_name()), below);
        }
    }
    page
}
