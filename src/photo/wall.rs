//! A wall around the work on one picture.

/// Runs `work`, which decodes or changes one picture, on a thread of its own with a large stack. A
/// panic in it, also one of a library, is an error that says where; the caller goes on.
///
/// In a browser nothing unwinds, and `work` runs as it is. So it does under a fuzzer, which is to see
/// every panic, and makes more runs than threads can be started.
///
/// # Errors
/// The panic's message, as a sentence without the picture's name.
pub fn walled<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    #[cfg(any(target_arch = "wasm32", fuzzing))]
    return Ok(work());
    #[cfg(not(any(target_arch = "wasm32", fuzzing)))]
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, work);
        let thread = thread.map_err(|e| format!("there is no thread for it left ({e})"))?;
        thread.join().map_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            let text = text.unwrap_or("no reason was given").replace(char::is_control, " ");
            format!("a fault in this program stopped the work on it: {text}; please report it")
        })
    })
}

/// The name of threads behind the wall, by which a panic hook knows them.
pub const THREAD: &str = "picture";
/// Bytes. Some decoders call themselves.
#[cfg(not(any(target_arch = "wasm32", fuzzing)))]
const STACK: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::walled;

    #[test]
    fn a_panic_is_a_sentence() {
        assert_eq!(walled(|| 7), Ok(7));
        let text = walled(|| -> u8 { panic!("row {} of {}", 5, 3) }).unwrap_err();
        assert!(text.contains("row 5 of 3") && text.contains("report"), "{text}");
    }
}
