//! No number in a file may decide how much memory is reserved before it was checked.
//!
//! One test, alone in its program, because it counts every allocation of the process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use pentimento_convert::{Checkpoint, Options, from_bytes};

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::*;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator with the same arguments; counting allocates
// nothing. `realloc` and `alloc_zeroed` are the provided ones, made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; `ptr` came from `alloc`, thus from the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most bytes in use while the file was read, beyond those in use before and the file itself.
fn peak(file: Vec<u8>) -> (pentimento_convert::Result<Checkpoint>, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = from_bytes(file, &Options::default());
    (result, PEAK.load(Relaxed) - before)
}

#[test]
fn memory_is_bounded_by_the_file_and_by_what_was_checked() {
    let six = six_floats();
    let tensor = |t: Tensor| Pickle::dict(&[("w", t)]);
    let mut small = vec![small_zip(), small_legacy()];

    // Lengths of 2^32 and 2^64 bytes.
    for operation in [&b"X"[..], b"T", b"B", b"\x8b", b"\x8d", b"\x8e", b"\x96", b"\x95"] {
        small.push(archive(&Pickle::new().raw(operation).raw(&[0xff; 8]).0, &[]));
    }
    // Shapes, storages and views of up to 2^63 elements.
    for n in [1 << 24, 1 << 40, i64::MAX] {
        small.push(archive(&tensor(Tensor { shape: &[n], strides: &[0], ..SIX }), &[("0", &six)]));
        small.push(archive(&tensor(Tensor { numel: n, ..SIX }), &[("0", &six)]));
        let declared = tensor(Tensor { numel: n, view: Some(b"N"), ..SIX });
        small.push(legacy(&declared, &[("0", n as u64, &six)]));
        small.push(legacy(&declared, &[("0", u64::MAX, &six)]));
    }
    // A directory of 65,535 entries, and one whose entries are 4 GiB.
    let mut many = small_zip();
    let counts = many.len() - 14;
    many[counts..counts + 4].fill(0xff);
    small.push(many);
    let pickle = Entry::stored("a/data.pkl", &tensor(SIX));
    for size in [1 << 25, 1 << 28, u32::MAX - 1] {
        let mut claim = Entry::deflated("a/data/0", &six);
        claim.size = size;
        small.push(zip(&[pickle.clone(), claim]));
    }
    let (files, mut worst) = (small.len(), 0);
    for file in small {
        worst = worst.max(peak(file).1);
    }
    println!("{files} small files: {worst} bytes at most");
    assert!(worst < 64 << 10, "{worst}");

    // The bookkeeping of the largest pickles that are allowed.
    let cases: [(&str, Vec<u8>); 5] = [
        ("values", Pickle::new().repeat(b"N", 1 << 20).0),
        ("empty lists", Pickle::new().repeat(b"]", 1 << 20).0),
        ("lists of one", Pickle::new().repeat(b"]Na", 1 << 19).0),
        ("dictionaries of one", Pickle::new().repeat(b"}NNs", 1 << 18).0),
        ("references", Pickle::new().raw(b"Nq\0(").repeat(b"h\0", (1 << 20) - 1).raw(b"t").0),
    ];
    for (name, pickle) in cases {
        let file = archive(&pickle, &[]);
        let (result, peak) = peak(file);
        println!("{name}: {} KiB", peak >> 10);
        assert!(result.is_err());
        assert!(peak < 160 << 20, "{name}: {peak}");
    }
}
