//! Two threads with a session each on one engine: many pictures, the same results as one after
//! the other, and no growth of memory. A program of its own, because it measures its process.

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::thread;

use pentimento::Session;

use support::engines::{engines, model, picture};

const PICTURES: usize = 200;
/// After so many, memory stays as it is.
const SETTLED: usize = 10;
/// What the allocator may keep for itself, in bytes: far less than one picture's leak would add up
/// to, with 3 kB for its bytes alone and 200 kB for its intermediates.
const SLACK: u64 = 1 << 20;

/// Resident memory of this process in bytes; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/self/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn two_threads_on_one_engine_need_no_more_memory_after_the_tenth_picture() {
    let model = model();
    for engine in engines() {
        let name = &engine.device().name;
        let mut single = Session::new(&engine, &model, 0, 0).expect("a session");
        let len = single.input_shape().len();
        let expected: Vec<Vec<u8>> =
            (0..PICTURES).map(|seed| single.run(&picture(seed, len)).expect("a picture")).collect();
        drop(single);

        let mut sessions =
            [0, 1].map(|_| Session::new(&engine, &model, 0, 0).expect("another session"));
        // Of these pictures, the even ones by the first session and the odd ones by the second. What
        // fails on a thread fails the test as the threads end.
        let mut restore = |first: usize, end: usize| {
            thread::scope(|scope| {
                for (half, session) in sessions.iter_mut().enumerate() {
                    let expected = &expected;
                    scope.spawn(move || {
                        for seed in (first + half..end).step_by(2) {
                            let result = session.run(&picture(seed, len)).expect("a picture");
                            assert!(result == expected[seed], "picture {seed} differs");
                        }
                    });
                }
            });
            (resident(), engine.allocated())
        };
        let before = restore(0, SETTLED);
        let after = restore(SETTLED, PICTURES);
        eprintln!("{name}: resident {before:?} -> {after:?} bytes (process, GPU)");
        assert_eq!(before.1, after.1, "{name}: GPU memory");
        if let (Some(before), Some(after)) = (before.0, after.0) {
            assert!(after <= before + SLACK, "{name}: {before} -> {after} bytes");
        }
        drop(sessions);
        assert_eq!(engine.allocated(), 0, "{name}: dropped sessions hold memory");
    }
}
