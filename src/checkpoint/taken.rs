//! The choices that were made where a file left one: said, never silent.

use pentimento_convert::Contents;
use serde::Serialize;

/// Which of a file's tensors were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The entry that they lie under, such as `params_ema`; `None`: at the top.
    pub entry: Option<String>,
    /// Other entries with tensors, which were not taken; the empty one is the top.
    pub others: Vec<String>,
    /// Prefixes that were removed from names.
    pub stripped: Vec<String>,
    /// How many other things of the file were left out.
    pub left_out: usize,
    /// The first of these, each with what it is, or what the file adds to the network.
    pub left_out_first: Vec<String>,
}

/// How many of the things that were left out are named.
const NAMED: usize = 5;

impl Taken {
    pub(super) fn new(contents: &Contents) -> Self {
        let entry = contents.container.clone();
        let taken = entry.as_deref().unwrap_or_default();
        let others = contents.candidates.iter().filter(|name| *name != taken).cloned().collect();
        let stripped = contents.stripped.clone();
        let left_out_first = contents.dropped.iter().take(NAMED).cloned().collect();
        Self { entry, others, stripped, left_out: contents.dropped.len(), left_out_first }
    }

    /// Whether other weights could have been meant.
    pub fn was_chosen(&self) -> bool {
        !self.others.is_empty()
    }

    /// What was left out, as a list of a few; `None` when nothing was.
    pub fn left_out_list(&self) -> Option<String> {
        let shown = self.left_out_first.join(", ");
        match self.left_out.saturating_sub(self.left_out_first.len()) {
            _ if shown.is_empty() => None,
            0 => Some(shown),
            more => Some(format!("{shown} and {more} more")),
        }
    }

    /// One sentence about the entry and the others, and how to use one of those.
    pub fn sentence(&self) -> String {
        const SHOWN: usize = 5;
        let taken = quoted(self.entry.as_deref().unwrap_or_default());
        if self.others.is_empty() {
            return format!("the weights {taken}");
        }
        let mut others: Vec<String> = self.others.iter().take(SHOWN).map(|n| quoted(n)).collect();
        if self.others.len() > SHOWN {
            others.push(format!("{} more", self.others.len() - SHOWN));
        }
        format!(
            "the weights {taken}; there are also {} (`pentimento convert --key NAME` takes them)",
            others.join(", ")
        )
    }
}

/// A name of the file between quotes, with nothing that a terminal would obey.
fn quoted(name: &str) -> String {
    if name.is_empty() {
        return "at the top (\"\")".to_owned();
    }
    format!("\"{}\"", name.escape_debug())
}
