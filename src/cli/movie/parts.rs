//! The parts of a film that are restored already, in a hidden folder beside it: what a run that was
//! broken off leaves to the next one.

use std::fs;
use std::path::{Path, PathBuf};

use pentimento::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::cli::inputs::create_folder;
use crate::cli::journal::Stamp;
use crate::cli::output::write_text;

const LIST: &str = "film.json";

/// The finished parts.
pub struct Parts {
    folder: PathBuf,
    list: List,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct List {
    input: PathBuf,
    stamp: Option<Stamp>,
    options: String,
    parts: Vec<Part>,
    /// The file that a stopped run has left in the place of the film.
    unfinished: Option<Stamp>,
}

/// A file with some frames.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Part {
    pub file: String,
    /// The first of them, counted over the film, and their number.
    pub first: usize,
    pub frames: usize,
}

impl Parts {
    /// The parts of the film that goes to `output`: those that are there, if they were made from the
    /// same input with the same options and nobody wants to begin `anew`, or none.
    pub fn open(input: &Path, output: &Path, options: &str, anew: bool) -> Self {
        let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = output.with_file_name(format!(".{name}.pentimento"));
        let whole = input.canonicalize().unwrap_or_else(|_| input.to_owned());
        let fresh = List {
            input: whole,
            stamp: Stamp::of(input),
            options: options.to_owned(),
            parts: Vec::new(),
            unfinished: None,
        };
        let known = fs::read(folder.join(LIST)).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<List>(&bytes).ok());
        let list = match known {
            Some(known) => {
                let same = !anew
                    && known.input == fresh.input
                    && known.stamp == fresh.stamp
                    && known.options == fresh.options;
                // What a stopped run left may be replaced in any case.
                let unfinished = known.unfinished;
                if same { known } else { List { unfinished, ..fresh } }
            }
            None => fresh,
        };
        let mut parts = Self { folder, list };
        parts.list.parts = parts.whole();
        parts
    }

    /// Makes their folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn make_folder(&self) -> Result<()> {
        create_folder(&self.folder)
    }

    /// Those of the list that are there, up to the first gap.
    fn whole(&self) -> Vec<Part> {
        let mut next = 0;
        let is_next = |part: &&Part| {
            let there = part.first == next && self.folder.join(&part.file).is_file();
            next += part.frames;
            there && !part.file.contains(['/', '\\'])
        };
        self.list.parts.iter().take_while(is_next).cloned().collect()
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Part] {
        &self.list.parts
    }

    /// Frames that are done.
    pub fn frames(&self) -> usize {
        self.list.parts.iter().map(|part| part.frames).sum()
    }

    /// Where a part is.
    pub fn path(&self, part: &Part) -> PathBuf {
        self.folder.join(&part.file)
    }

    /// The path of a file in their folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The next part, without frames yet.
    pub fn next(&self) -> Part {
        let first = self.frames();
        Part { file: format!("part-{first:08}.nut"), first, frames: 0 }
    }

    /// Notes that a part is finished.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, part: Part) -> Result<()> {
        self.list.parts.push(part);
        self.save()
    }

    /// Whether the file at `output` is what a stopped run has left there.
    pub fn is_ours(&self, output: &Path) -> bool {
        self.list.unfinished.is_some() && self.list.unfinished == Stamp::of(output)
    }

    /// Notes what a stopped run leaves at `output`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn leave(&mut self, output: &Path) -> Result<()> {
        self.list.unfinished = Stamp::of(output);
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_string(&self.list)
            .map_err(|error| Error::Internal(error.to_string()))?;
        write_text(&self.folder.join(LIST), &text)
    }

    /// Removes them all, when the film is there.
    pub fn remove(self) {
        // What cannot be removed stays.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
