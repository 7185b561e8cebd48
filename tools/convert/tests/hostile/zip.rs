//! Zip files whose structure lies.

use pentimento_convert::{Error, Limits, Options};

use crate::build::*;

/// The sound file as entries, to be changed.
fn entries() -> Vec<Entry> {
    let pickle = Pickle::dict(&[("w", SIX)]);
    vec![Entry::stored("a/data.pkl", &pickle), Entry::stored("a/data/0", &six_floats())]
}

/// The message for the sound file after a change to its storage's entry.
fn changed(change: impl FnOnce(&mut Entry)) -> String {
    let mut entries = entries();
    change(&mut entries[1]);
    refused(&zip(&entries))
}

fn wide(values: &[u64]) -> Vec<u8> {
    let mut extra = vec![1, 0, 8 * values.len() as u8, 0];
    extra.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    extra
}

#[test]
fn deflated_entries_are_inflated() {
    let mut entries = entries();
    entries[0] = Entry::deflated("a/data.pkl", &entries[0].data);
    entries[1] = Entry::deflated("a/data/0", &entries[1].data);
    let checkpoint = read(&zip(&entries)).unwrap();
    assert_eq!(checkpoint.tensors[0].to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn sizes_and_offsets_may_be_wide() {
    let mut entries = entries();
    let offset = 30 + 10 + entries[0].data.len() as u64;
    let storage = &mut entries[1];
    (storage.size, storage.compressed, storage.offset) = (u32::MAX, u32::MAX, Some(u32::MAX));
    storage.extra = wide(&[24, 24, offset]);
    storage.local_extra = wide(&[24, 24]);
    assert!(read(&zip(&entries)).is_ok());
}

#[test]
fn a_wide_end_record_is_read_and_must_agree() {
    // The narrow fields keep their values, as PyTorch writes them.
    let with = |count: u64, length: u64, locator: u64| {
        let mut file = zip(&entries());
        let end = file.split_off(file.len() - 22);
        let at = file.len() as u64;
        let size = u64::from(u32::from_le_bytes(end[12..16].try_into().unwrap()));
        let start = u64::from(u32::from_le_bytes(end[16..20].try_into().unwrap()));
        file.extend(0x0606_4b50_u32.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend([0; 12]);
        for field in [count, count, size, start] {
            file.extend(field.to_le_bytes());
        }
        file.extend(0x0706_4b50_u32.to_le_bytes());
        file.extend([0; 4]);
        file.extend((at + locator).to_le_bytes());
        file.extend([1, 0, 0, 0]);
        file.extend(end);
        file
    };
    assert!(read(&with(2, 44, 0)).is_ok());
    assert!(refused(&with(3, 44, 0)).contains("disagree"));
    assert!(refused(&with(2, u64::MAX, 0)).contains("64-bit end record"));
    assert!(refused(&with(2, 44, 1)).contains("64-bit end record"));
    assert!(refused(&with(2, 44, u64::MAX / 2)).contains("64-bit end record"));
}

#[test]
fn wrong_sizes_are_refused() {
    assert!(changed(|e| e.size = 25).contains("takes 24 bytes for 25"));
    assert!(changed(|e| (e.size, e.compressed) = (1000, 1000)).contains("1000 bytes"));
    assert!(changed(|e| e.size = u32::MAX).contains("64-bit sizes"));
    let huge = changed(|e| {
        (e.size, e.compressed, e.offset) = (u32::MAX, u32::MAX, None);
        (e.extra, e.local_extra) = (wide(&[u64::MAX; 2]), wide(&[u64::MAX; 2]));
    });
    assert!(huge.contains(&format!("takes {} bytes", u64::MAX)), "{huge}");
    // The storage's declaration, not the zip file, is what the shorter one contradicts.
    assert!(changed(|e| (e.size, e.compressed) = (20, 20)).contains("6 × float32 do not fit"));
}

#[test]
fn header_and_directory_must_agree() {
    let file = zip(&entries());
    let header = 30 + 10 + entries()[0].data.len();
    // Flags, method, checksum, compressed size, size, name.
    for field in [6, 8, 14, 18, 22, 30] {
        let mut changed = file.clone();
        changed[header + field] ^= 4;
        assert!(refused(&changed).contains("the directory"), "{field}");
    }
    // Sizes that follow the data are left out of the header.
    let mut entries = entries();
    entries[1].flags = 8;
    let mut file = zip(&entries);
    file[header + 14..header + 26].fill(0);
    assert!(read(&file).is_ok());
}

#[test]
fn offsets_outside_are_refused() {
    assert!(changed(|e| e.offset = Some(1)).contains("no header"));
    assert!(changed(|e| e.offset = Some(0)).contains("differs from the directory"));
    assert!(changed(|e| e.offset = Some(u32::MAX - 1)).contains("behind the directory"));
}

#[test]
fn overlapping_entries_are_refused() {
    // The second entry's header and data lie inside the first one's data.
    let inner = zip(&[Entry::stored("a/data/0", &six_floats())]);
    let pickle = Pickle::dict(&[("w", SIX)]);
    let outer = Entry::stored("a/x", &inner);
    let mut shared = Entry::stored("a/data/0", &six_floats());
    shared.offset = Some(30 + 3);
    assert!(
        refused(&zip(&[outer, shared, Entry::stored("a/data.pkl", &pickle)]))
            .contains("share bytes")
    );
}

#[test]
fn a_repeated_name_is_refused() {
    let mut entries = entries();
    entries.push(entries[1].clone());
    let error = read(&zip(&entries)).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name, .. } if name == "a/data/0"));
}

#[test]
fn unusual_features_are_refused() {
    assert!(changed(|e| e.flags = 1).contains("encrypted"));
    assert!(changed(|e| e.method = 12).contains("method 12"));
    assert!(changed(|e| e.name = b"a/data/\xff".into()).contains("not UTF-8"));
    let mut file = zip(&entries());
    let disk = file.len() - 18;
    file[disk] = 1;
    assert!(refused(&file).contains("set of several files"));
}

#[test]
fn a_directory_that_cannot_hold_its_entries_is_refused() {
    let mut file = zip(&entries());
    let counts = file.len() - 14;
    file[counts..counts + 4].fill(0xfe);
    assert!(refused(&file).contains("cannot hold 65278 entries"));
    file[counts..counts + 4].copy_from_slice(&[1, 0, 1, 0]);
    assert!(refused(&file).contains("belong to no entry"));
    let limits = Limits { zip_entries: 1, ..Limits::default() };
    let error = read_with(&zip(&entries()), &Options { limits, ..Options::default() }).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "zip_entries", value: 2, limit: 1, .. }));
}

#[test]
fn bombs_are_refused() {
    // Honest: 256 MiB of zeros in 260 kB.
    let zeros = vec![0; 1 << 28];
    let honest = Entry::deflated("a/data/0", &zeros);
    let floats = zeros.len() as i64 / 4;
    let flat = Tensor { numel: floats, shape: &[1], strides: &[1], ..SIX };
    let pickle = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", flat)]));
    let error = read(&zip(&[pickle.clone(), honest.clone()])).unwrap_err();
    assert!(matches!(error, Error::Limit { option: "expansion_ratio", .. }), "{error}");

    // Says less than it holds: the inflation ends one byte after what it said.
    let lie = Entry { size: 24, ..honest };
    let six = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", SIX)]));
    assert!(refused(&zip(&[six.clone(), lie])).contains("not the recorded 24 bytes"));

    // Says more than deflate can do, below the limit.
    let mut claim = Entry::deflated("a/data/0", &six_floats());
    claim.size = 1 << 25;
    let flat = Tensor { numel: 1 << 23, ..flat };
    let pickle = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", flat)]));
    assert!(refused(&zip(&[pickle, claim])).contains("cannot hold"));

    // Says more than it holds, which deflate could do; and has bytes left over.
    let mut claim = Entry::deflated("a/data/0", &six_floats()[..20]);
    claim.size = 24;
    assert!(refused(&zip(&[six.clone(), claim])).contains("not the recorded 24 bytes"));
    let mut rest = Entry::deflated("a/data/0", &six_floats());
    rest.data.push(0);
    rest.compressed += 1;
    assert!(refused(&zip(&[six, rest])).contains("end early"));
}

#[test]
fn a_damaged_entry_is_refused_unless_checksums_are_off() {
    let mut entries = entries();
    entries[1].data[3] ^= 0x80;
    let error = read(&zip(&entries)).unwrap_err();
    assert!(matches!(&error, Error::Checksum { entry, .. } if entry == "a/data/0"));
    let options = Options { verify_checksums: false, ..Options::default() };
    assert_eq!(read_with(&zip(&entries), &options).unwrap().tensors[0].to_f32()[0], -1.0);
}

#[test]
fn big_endian_storages_are_turned_round() {
    let mut entries = entries();
    entries[1] = Entry::stored("a/data/0", &six_floats_big_endian());
    entries.push(Entry::stored("a/byteorder", b"big"));
    let checkpoint = read(&zip(&entries)).unwrap();
    assert_eq!(checkpoint.tensors[0].to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(*checkpoint.tensors[0].to_contiguous_le(), six_floats());
}

#[test]
fn a_path_is_no_root() {
    for root in ["..", ".", "", "..\\a", "../../a", "/a"] {
        let pickle = Pickle::dict(&[("w", SIX)]);
        let entry = |name: &str, data: &[u8]| Entry::stored(&format!("{root}/{name}"), data);
        let file = zip(&[entry("data.pkl", &pickle), entry("data/0", &six_floats())]);
        assert!(refused(&file).contains("no folder with a data.pkl"), "{root}");
    }
}

#[test]
fn other_zip_files_are_named() {
    assert!(refused(&zip(&[])).contains("no folder with a data.pkl"));
    assert!(refused(&zip(&[Entry::stored("x.pth", b"")])).contains("no folder with a data.pkl"));
    let mut entries = entries();
    entries.push(Entry::stored("b/data.pkl", b""));
    assert!(refused(&zip(&entries)).contains("several folders"));
    entries[2] = Entry::stored("a/constants.pkl", b"");
    assert!(refused(&zip(&entries)).contains("TorchScript"));
    for neither in [&b"middle"[..], b"bigger", b"", b"little-endian, as usual"] {
        entries[2] = Entry::stored("a/byteorder", neither);
        assert!(refused(&zip(&entries)).contains("byteorder"));
    }
    entries[2] = Entry::stored("a/byteorder", b"little");
    assert!(read(&zip(&entries)).is_ok());
    entries.remove(1);
    assert!(refused(&zip(&entries)).contains("no entry \"a/data/0\""));
}

#[test]
fn a_file_saved_without_checksums_is_read() {
    let pickle = Pickle::dict(&[("w", SIX)]);
    let mut entries =
        vec![Entry::stored("a/data.pkl", &pickle), Entry::stored("a/data/0", &six_floats())];
    for entry in &mut entries {
        entry.crc = 0;
    }
    assert_eq!(read(&zip(&entries)).unwrap().tensors[0].to_f32().len(), 6);
    // One that lacks its checksum is damaged, not saved without.
    entries[0] = Entry::stored("a/data.pkl", &pickle);
    let error = refused(&zip(&entries));
    assert!(error.contains("--no-checksums"), "{error}");
    let options = pentimento_convert::Options { verify_checksums: false, ..Default::default() };
    assert!(read_with(&zip(&entries), &options).is_ok());
}
