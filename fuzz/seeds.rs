//! Writes the seed corpus of every target to `corpus/`, where cargo-fuzz looks for it.

use std::{fs, io, path::Path};

use pentimento_fuzz::targets::{TARGETS, Target};

fn main() -> io::Result<()> {
    for Target { name, seeds, .. } in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
