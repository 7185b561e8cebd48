//! Files cut at every byte, changed at every byte, and changed at random.

use std::time::{Duration, Instant};

use crate::build::*;

#[test]
fn the_sound_files_are_read() {
    for file in [small_zip(), small_legacy()] {
        let checkpoint = read(&file).unwrap();
        assert_eq!(checkpoint.tensors.len(), 1);
        assert_eq!(checkpoint.tensors[0].to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    for file in [small_zip(), small_legacy()] {
        let start = Instant::now();
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "{end} of {}", file.len());
        }
        let each = start.elapsed() / file.len() as u32;
        assert!(each < Duration::from_millis(5), "{each:?}");
    }
}

#[test]
fn a_file_changed_at_any_byte_does_no_harm() {
    for file in [small_zip(), small_legacy()] {
        for at in 0..file.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= change;
                harmless(&changed);
            }
        }
    }
}

#[test]
fn files_changed_at_random_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    // Checksums would refuse nearly all of them before the pickle is looked at.
    for file in [small_zip(), small_legacy()] {
        for _ in 0..20_000 {
            let mut changed = file.clone();
            for _ in 0..1 + random(4) {
                let at = random(changed.len());
                match random(4) {
                    0 => changed[at] = random(256) as u8,
                    1 => changed[at] = b"()]}Rbciotueqhs0.\x81\x85\x93\x94\x95"[random(21)],
                    2 => drop(changed.remove(at)),
                    _ => changed.insert(at, random(256) as u8),
                }
            }
            harmless(&changed);
        }
    }
}

/// Reads the file in the most permissive way and looks at every tensor.
fn harmless(file: &[u8]) {
    let options = pentimento_convert::Options { verify_checksums: false, ..skipping() };
    if let Ok(checkpoint) = read_with(file, &options) {
        for tensor in checkpoint.tensors {
            let bytes = tensor.to_contiguous_le().len();
            assert_eq!(bytes, tensor.numel() * tensor.dtype.size());
            assert_eq!(tensor.to_f32().len(), tensor.numel());
        }
    }
}
