//! What is unusual about single pages of a file, in as few sentences as tell it.

use super::PageKind;

/// Sentences, each with the pages that it is about.
#[derive(Clone, Default, Debug)]
pub struct PageNotes {
    notes: Vec<(String, Vec<usize>)>,
}

impl PageNotes {
    /// Adds a sentence about the page of this index, from 0.
    pub fn add(&mut self, index: usize, note: String) {
        match self.notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, pages)) if pages.last() == Some(&index) => {}
            Some((_, pages)) => pages.push(index),
            None => self.notes.push((note, vec![index])),
        }
    }

    /// A sentence each, behind the pages that it is about where these are not all `count`.
    #[must_use]
    pub fn sentences(&self, kind: PageKind, count: usize) -> Vec<String> {
        const NAMED: usize = 4;
        let name = if kind == PageKind::Frame { "frame" } else { "page" };
        let sentence = |(note, pages): &(String, Vec<usize>)| {
            if pages.len() == count {
                return note.clone();
            }
            let named: Vec<String> =
                pages.iter().take(NAMED).map(|i| (i + 1).to_string()).collect();
            let more = pages.len().saturating_sub(NAMED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let plural = if pages.len() == 1 { "" } else { "s" };
            format!("{name}{plural} {}{more}: {note}", named.join(", "))
        };
        self.notes.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_its_pages_unless_they_are_all() {
        let mut notes = PageNotes::default();
        for index in 0..7 {
            notes.add(index, "all".to_owned());
            if index > 0 {
                notes.add(index, "most".to_owned());
            }
        }
        notes.add(3, "one".to_owned());
        notes.add(3, "one".to_owned());
        let sentences = notes.sentences(PageKind::Page, 7);
        assert_eq!(sentences, ["all", "pages 2, 3, 4, 5 and 2 more: most", "page 4: one"]);
    }
}
