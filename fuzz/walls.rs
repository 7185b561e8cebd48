//! What a panic means to the fuzzer.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::{panic, process};

/// Folders of what a registry brought.
const REGISTRIES: [&str; 2] = ["/registry/src/", "\\registry\\src\\"];

/// From now on a panic in a decoder of others unwinds: the wall around the work on one picture makes
/// an error of it. Each place is printed once. Any other panic ends the program, as libFuzzer wants
/// it.
pub fn stand() {
    static PLACES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if !REGISTRIES.iter().any(|folder| place.contains(folder)) {
            end(info);
            process::abort();
        }
        if PLACES.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            eprintln!("walled: {info}");
        }
    }));
}
