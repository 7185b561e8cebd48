//! Writes the seed corpus of every target to `corpus/`, where cargo-fuzz looks for it, and its words to
//! `dictionaries/`.

use std::fmt::Write as _;
use std::{fs, io, path::Path};

use pentimento_convert_fuzz::targets::{TARGETS, Target};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(root.join("dictionaries"))?;
    for Target { name, seeds, words, .. } in TARGETS {
        let folder = root.join("corpus").join(name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        fs::write(root.join("dictionaries").join(name), dictionary(words))?;
    }
    Ok(())
}

/// The words as libFuzzer reads them: one a line, in quotes.
fn dictionary(words: &[&[u8]]) -> String {
    let mut lines = String::new();
    for word in words {
        lines.push('"');
        for byte in *word {
            let _ = write!(lines, "\\x{byte:02X}");
        }
        lines.push_str("\"\n");
    }
    lines
}
