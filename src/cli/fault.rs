//! Faults that tests ask for, in builds with debug assertions only.

use std::path::Path;

/// What `PENTIMENTO_FAULT` asks for, `STAGE:KIND:NAME`, happens in that stage to the picture of that
/// name: a panic, or a hang.
pub fn fault(stage: &str, input: &Path) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(wanted) = std::env::var("PENTIMENTO_FAULT") else { return };
    let mut parts = wanted.splitn(3, ':');
    let (at, kind, name) = (parts.next(), parts.next(), parts.next());
    if at != Some(stage) || name != input.file_name().and_then(|name| name.to_str()) {
        return;
    }
    match kind {
        Some("panic") => panic!("a test asked for it"),
        Some("hang") => loop {
            std::thread::park();
        },
        _ => {}
    }
}
