//! The threads that compute: all of them are started, or none. Left to its first use, rayon's pool
//! would panic where the system has no thread left, and from then on for ever.

use crate::Result;

/// Starts them, unless they are there. Where the program has a pool of its own, that one computes.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the system refuses one of them; a later call tries again.
#[cfg(not(target_arch = "wasm32"))]
pub fn start() -> Result<()> {
    use std::sync::{Arc, Mutex, PoisonError, mpsc};

    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if *started {
        return Ok(());
    }
    let count = wanted();
    let (hand, roles) = mpsc::channel::<rayon::ThreadBuilder>();
    let roles = Arc::new(Mutex::new(roles));
    for _ in 0..count {
        let roles = Arc::clone(&roles);
        // Each waits for its role, and ends where there is none.
        let wait = move || roles.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let work = move || {
            if let Ok(role) = wait() {
                role.run();
            }
        };
        std::thread::Builder::new().spawn(work).map_err(refused)?;
    }
    let give = move |role| hand.send(role).map_err(|_| std::io::ErrorKind::BrokenPipe.into());
    // The only error is that there is a pool.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(count).spawn_handler(give).build_global();
    *started = true;
    Ok(())
}

/// A page has one thread.
///
/// # Errors
/// None.
#[cfg(target_arch = "wasm32")]
pub fn start() -> Result<()> {
    Ok(())
}

/// As many as rayon would start.
#[cfg(not(target_arch = "wasm32"))]
fn wanted() -> usize {
    let set = std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    set.filter(|&count| count > 0).unwrap_or_else(cores)
}

#[cfg(not(target_arch = "wasm32"))]
fn refused(why: std::io::Error) -> crate::Error {
    crate::Error::Io {
        action: "start",
        path: "the threads that compute".into(),
        source: std::io::Error::other(format!(
            "{why}; end other programs, allow more processes, or set RAYON_NUM_THREADS=1"
        )),
    }
}
