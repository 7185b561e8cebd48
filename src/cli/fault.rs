//! Faults that tests ask for, in builds with debug assertions only.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pentimento::{Error, Result};

/// For tests of the wall, in builds with debug assertions only: what `PENTIMENTO_FAULT` asks for,
/// `STAGE:KIND:NAME`, happens in that stage to the picture of that name. A device is lost once.
///
/// # Errors
/// [`Error::DeviceLost`] for the kind `lost`.
pub fn fault(stage: &str, input: &Path) -> Result<()> {
    static LOST: AtomicBool = AtomicBool::new(false);
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let Ok(wanted) = std::env::var("PENTIMENTO_FAULT") else { return Ok(()) };
    let mut parts = wanted.splitn(3, ':');
    let (at, kind, name) = (parts.next(), parts.next(), parts.next());
    if at != Some(stage) || name != input.file_name().and_then(|name| name.to_str()) {
        return Ok(());
    }
    match kind {
        Some("panic") => panic!("a test asked for it"),
        Some("hang") => loop {
            std::thread::park();
        },
        Some("lost") if !LOST.swap(true, Ordering::Relaxed) => {
            Err(Error::DeviceLost("a test asked for it".to_owned()))
        }
        _ => Ok(()),
    }
}
