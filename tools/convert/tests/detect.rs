//! What a file is, by its first bytes.

use pentimento_convert::{Kind, detect};

#[test]
fn kinds_are_told_apart() {
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], Kind); 26] = [
        (b"", Kind::Empty),
        (b"PK\x03\x04", Kind::Zip),
        (b"PK\x05\x06", Kind::Zip),
        (b"PK\x03", Kind::Unknown),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Kind::Legacy),
        (b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Kind::Legacy),
        (b"\x80\x02}q\0.", Kind::Pickle),
        (b"\x80\x09}q\0.", Kind::Unknown),
        (b"\x40\0\0\0\0\0\0\0{\"w\":", Kind::Safetensors),
        // Lengths that begin as a pickle, as gzip and as ONNX.
        (b"\x80\x05\0\0\0\0\0\0{\"w\":", Kind::Safetensors),
        (b"\x1f\x8b\0\0\0\0\0\0{\"w\":", Kind::Safetensors),
        (b"\x08\x03\0\0\0\0\0\0{\"w\":", Kind::Safetensors),
        (b"\xef\xbb\xbf\n <!doctype HTML>", Kind::Html),
        (b"<html lang=\"en\">", Kind::Html),
        (b"version https://git-lfs.github.com/spec/v1\n", Kind::GitLfs),
        (b"{\"error\": \"not found\"}", Kind::Text),
        (b"caf\xc3", Kind::Text),
        (b"\x1f\x8b\x08", Kind::Gzip),
        (b"\x89HDF\r\n", Kind::Hdf5),
        (b"GGUF\x03", Kind::Gguf),
        (b"ftrt\0\0", Kind::TensorRt),
        (b"ptrt\0\0", Kind::TensorRt),
        (b"\x1c\0\0\0TFL3", Kind::TfLite),
        (b"7z\xbc\xaf'\x1c\0\x04", Kind::Packed),
        (b"Rar!\x1a\x07\x01\0", Kind::Packed),
        (&tar, Kind::Tar),
    ];
    for (bytes, kind) in cases {
        assert_eq!(detect(bytes), kind, "{bytes:?}");
    }
}

#[test]
fn any_bytes_are_some_kind() {
    for first in 0..=255 {
        for rest in [&b""[..], b"\0", b"\xff\xff", b"text", &[0; 600]] {
            detect(&[&[first], rest].concat());
        }
    }
}
