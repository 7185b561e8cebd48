//! `pentimento models`

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pentimento::models::{PUBLISHED, Published, published};
use pentimento::{Error, Result};
use serde::Serialize;

use super::download::Download;
use super::inputs::create_folder;
use super::output::{bytes, print, print_json};
use super::{cache, convert, defaults};

/// Lists published checkpoints, and fetches them
///
/// A fetched model is used by its name: pentimento restore face.jpg -o out.png --model gfpgan-1.4
#[derive(Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Models {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print one JSON array instead of a table
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento models
  pentimento models pull gfpgan-1.4
  pentimento models pull default                 the files that are used when none is named
  pentimento models pull gpen-512 --from ~/Downloads/GPEN-BFR-512.pth";

#[derive(Subcommand)]
enum Action {
    Pull(Pull),
}

/// Fetches a model, checks it, and converts it
///
/// An interrupted download goes on where it stopped. Proxy and certificates are those of the
/// environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE). Models are kept in the user's cache folder,
/// or in the folder that PENTIMENTO_CACHE names.
#[derive(Args)]
struct Pull {
    /// Name of the model, as `pentimento models` lists it; "default" for the model and the detector
    /// that are used when none is named
    #[arg(value_name = "NAME")]
    name: String,

    /// Take this file instead of fetching it; for "default", the folder of its files
    #[arg(long, value_name = "FILE", conflicts_with = "mirror")]
    from: Option<PathBuf>,

    /// Fetch URL/file-name instead of the published address
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,

    /// Print nothing but errors and what a licence forbids
    #[arg(short, long)]
    quiet: bool,
}

/// A line of the table, for programs.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    published: &'static Published,
    /// Where it is on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<PathBuf>,
}

impl Models {
    pub fn run(&self) -> Result<ExitCode> {
        match &self.action {
            Some(Action::Pull(pull)) => pull.run()?,
            None if self.json => print_json(&entries()?)?,
            None => print(&table(&entries()?, &cache::models()?))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn entries() -> Result<Vec<Entry>> {
    let entry = |published| {
        let here = cache::model(published)?;
        Ok(Entry { published, here: here.is_file().then_some(here) })
    };
    PUBLISHED.iter().map(entry).collect()
}

fn table(entries: &[Entry], folder: &Path) -> String {
    let head = ["name", "architecture", "what it does", "file", "memory", "commercial", "licence"];
    let mut rows = vec![head.map(str::to_owned)];
    for Entry { published, here } in entries {
        let size = published.bytes.and_then(|n| usize::try_from(n).ok()).map(bytes);
        let memory = published.memory.map(|[exact, _]| format!("{exact} MB"));
        rows.push([
            format!("{}{}", published.name, if here.is_some() { " *" } else { "" }),
            published.architecture.to_owned(),
            published.task.to_owned(),
            size.unwrap_or_else(|| "-".to_owned()),
            memory.unwrap_or_else(|| "-".to_owned()),
            if published.commercial { "yes" } else { "no" }.to_owned(),
            published.licence.to_owned(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let [a, b, c, d, e, f, _]: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for [name, architecture, task, size, memory, commercial, licence] in &rows {
        let _ = writeln!(
            text,
            "{name:a$}  {architecture:b$}  {task:c$}  {size:>d$}  {memory:>e$}  {commercial:f$}  \
             {licence}"
        );
    }
    let _ = writeln!(
        text,
        "\n* is in {}; `pentimento models pull NAME` fetches a model.\n\
         Memory is what a picture takes on a GPU in f32. Licences are those the publishers\n\
         state; most face networks were trained on FFHQ, whose pictures are CC BY-NC-SA 4.0.\n\
         `--json` tells more of each.",
        folder.display()
    );
    text
}

impl Pull {
    fn run(&self) -> Result<()> {
        if self.name.eq_ignore_ascii_case(defaults::NAME) {
            return self.pull_defaults();
        }
        let published = find(&self.name)?;
        let target = cache::model(published)?;
        let folder = cache::models()?;
        create_folder(&folder)?;
        self.warn(published);
        if let Some(file) = &self.from {
            self.download(published, "").check(file)?;
            convert::to_safetensors(file, &target)?;
        } else {
            let downloaded = self.fetch(published, &folder)?;
            convert::to_safetensors(&downloaded, &target)?;
            // Only the converted file is of further use.
            let _ = fs::remove_file(downloaded);
        }
        if self.quiet {
            return Ok(());
        }
        print(&format!("{} -> {}\n", published.name, target.display()))
    }

    fn pull_defaults(&self) -> Result<()> {
        let paths = defaults::pull(self.from.as_deref(), self.mirror.as_deref(), self.quiet)?;
        if self.quiet {
            return Ok(());
        }
        let lines = paths.iter().map(|path| format!("{} -> {}\n", defaults::NAME, path.display()));
        print(&lines.collect::<String>())
    }

    /// What somebody must know before the file is here.
    fn warn(&self, published: &Published) {
        let Published { name, licence, page, note, .. } = published;
        if !published.commercial {
            eprintln!("note: {name}: its licence ({licence}) forbids commercial use, see {page}");
        } else if !self.quiet {
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            eprintln!("note: {name}: licence {licence}, see {page}{note}");
        }
        if published.sha256.is_none() && !self.quiet {
            eprintln!("note: {name}: no digest is known, the file cannot be told from another");
        }
    }

    fn download<'a>(&self, published: &Published, url: &'a str) -> Download<'a> {
        Download { url, bytes: published.bytes, sha256: published.sha256 }
    }

    /// The fetched file.
    fn fetch(&self, published: &Published, folder: &Path) -> Result<PathBuf> {
        let Published { name, file, page, .. } = published;
        if defaults::is_offline() {
            return Err(Error::Input(format!(
                "--offline or PENTIMENTO_OFFLINE forbids to fetch {name}; name its file with \
                 `pentimento models pull {name} --from {file}`"
            )));
        }
        let url = match (&self.mirror, published.url) {
            (Some(mirror), _) => format!("{}/{file}", mirror.trim_end_matches('/')),
            (None, Some(url)) => url.to_owned(),
            (None, None) => {
                return Err(Error::Input(format!(
                    "{name} has no address to fetch it from; get {file} by way of {page}, then run \
                     `pentimento models pull {name} --from {file}`"
                )));
            }
        };
        let path = folder.join(file);
        self.download(published, &url).fetch_shown(&path, file, self.quiet)?;
        Ok(path)
    }
}

fn find(name: &str) -> Result<&'static Published> {
    published(name).ok_or_else(|| {
        let near: Vec<&str> = PUBLISHED
            .iter()
            .map(|p| p.name)
            .filter(|known| {
                let stem =
                    |s: &str| s.split(['-', '.', '_', '+']).next().map(str::to_ascii_lowercase);
                stem(known) == stem(name)
            })
            .collect();
        let hint = match near.as_slice() {
            [] => "`pentimento models` lists them".to_owned(),
            near => format!("there are {}", near.join(", ")),
        };
        Error::Input(format!("no published model is called {name}; {hint}"))
    })
}
