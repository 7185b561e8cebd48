//! Legacy streams that lie.

use pentimento_convert::Error;

use crate::build::*;

fn object(view: &'static [u8]) -> Vec<u8> {
    Pickle::dict(&[("w", Tensor { view: Some(view), ..SIX })])
}

#[test]
fn the_head_is_checked() {
    let tail = [object(b"N"), legacy_storages(&[("0", 6, &six_floats())])].concat();
    let file =
        |magic: &[u8], version: &[u8], little| [magic, version, &system(little), &tail].concat();
    assert!(read(&file(MAGIC, VERSION, true)).is_ok());
    assert!(matches!(read(&file(MAGIC, VERSION, false)), Err(Error::BigEndian)));
    assert!(refused(&file(MAGIC, b"\x80\x02M\xea\x03.", true)).contains("version"));
    assert!(refused(&file(b"\x80\x02K\x01.", VERSION, true)).contains("plain Python pickle"));
    // Protocol 4, which puts frames around each pickle.
    let framed = [b"\x80\x04\x95\x0d\0\0\0\0\0\0\0", &MAGIC[2..]].concat();
    assert!(read(&file(&framed, b"\x80\x04\x95\x04\0\0\0\0\0\0\0M\xe9\x03.", true)).is_ok());
    // The magic number as bytes of another value.
    let disguised = [b"\x80\x02U\x0a", &MAGIC[4..]].concat();
    assert!(refused(&file(&disguised, VERSION, true)).contains("magic number"));
}

#[test]
fn a_view_must_lie_in_its_storage() {
    let view = |start: i64, len: i64| {
        Pickle(Vec::new()).raw(b"(").text("v").int(start).int(len).raw(b"t").0.leak()
            as &'static [u8]
    };
    let six = six_floats();
    let read_view = |view, shape: &'static [i64]| {
        let tensor = Tensor { view: Some(view), shape, strides: &[1], ..SIX };
        read(&legacy(&Pickle::dict(&[("w", tensor)]), &[("0", 6, &six)]))
    };
    assert_eq!(read_view(view(2, 4), &[4]).unwrap().tensors[0].to_f32(), [3.0, 4.0, 5.0, 6.0]);
    for (start, len) in [(2, 5), (7, 0), (i64::MAX, i64::MAX), (-1, 2), (0, -1)] {
        let error = read_view(view(start, len), &[0]).unwrap_err();
        assert!(error.to_string().contains("does not lie inside"), "{start} {len}: {error}");
    }
    // Inside the storage, outside the view.
    assert!(read_view(view(2, 3), &[4]).unwrap_err().to_string().contains("reach element 3 of 3"));
    assert!(read_view(b"K\x01", &[1]).unwrap_err().to_string().contains("does not lie inside"));
}

#[test]
fn storages_must_be_as_declared() {
    let six = six_floats();
    let object = object(b"N");
    let with = |storages: &[(&str, u64, &[u8])]| refused(&legacy(&object, storages));
    assert!(read(&legacy(&object, &[("0", 6, &six)])).is_ok());
    assert!(with(&[("0", 5, &six[..20])]).contains("5 elements, the pickle says 6"));
    assert!(with(&[("0", u64::MAX, &six)]).contains("the pickle says 6"));
    assert!(with(&[("0", 6, &six[..23])]).contains("23 are left"));
    assert!(with(&[("0", 6, &six), ("0", 6, &six)]).contains("twice"));
    assert!(with(&[("1", 6, &six)]).contains("nothing in the checkpoint refers to it"));
    assert!(with(&[]).contains("not in the file's list"));
    assert!(with(&[("0", 6, &[&six[..], b"x"].concat())]).contains("1 bytes follow"));
}

#[test]
fn a_huge_declaration_is_refused() {
    // Pickle and stream agree on a size that no file has.
    for numel in [1 << 61, i64::MAX, 1 << 40] {
        let tensor = Tensor { numel, view: Some(b"N"), ..SIX };
        let object = Pickle::dict(&[("w", tensor)]);
        let message = refused(&legacy(&object, &[("0", numel as u64, &six_floats())]));
        assert!(message.contains("24 are left") || message.contains("overflow"), "{message}");
    }
}

#[test]
fn the_list_of_storages_must_be_a_list_of_texts() {
    let object = object(b"N");
    let with = |list: &[u8]| refused(&[MAGIC, VERSION, &system(true), &object, list].concat());
    assert!(with(b"\x80\x02}.").contains("not a list"));
    assert!(with(b"\x80\x02]K\x01a.").contains("not a text"));
}
