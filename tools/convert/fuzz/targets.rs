//! What is fuzzed: any bytes may be refused, and whatever is read must be sound.

use pentimento_convert::{
    Checkpoint, DETECT_BYTES, Kind, Limits, Options, Result, detect, from_bytes, from_ncnn,
};

use crate::{
    build::{self, *},
    corpus::corpus,
    ncnn::Store as Stored,
    networks::{self, RRDB, Rrdb},
    onnx::Store,
};

/// A fuzz target.
pub struct Target {
    pub name: &'static str,
    /// Panics when a reader does something wrong.
    pub run: fn(&[u8]),
    /// The seed corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What the format is made of, for changes that hit.
    pub words: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "zip", run: zip, seeds: zip_seeds, words: &ZIP },
    Target { name: "legacy", run: legacy, seeds: legacy_seeds, words: &PICKLE },
    Target { name: "pickle", run: pickle, seeds: pickle_seeds, words: &PICKLE },
    Target { name: "safetensors", run: safetensors, seeds: safetensors_seeds, words: &SAFETENSORS },
    Target { name: "onnx", run: onnx, seeds: onnx_seeds, words: &ONNX },
    Target { name: "ncnn", run: ncnn, seeds: ncnn_seeds, words: &NCNN },
];

/// Operations, and what is called.
const PICKLE: [&[u8]; 24] = [
    b"(",
    b")",
    b"}",
    b"]",
    b"s",
    b"u",
    b"t",
    b"R",
    b"b",
    b"Q",
    b"K\x01",
    b"h\0",
    b"q\0",
    b"\x81",
    b"\x93",
    b"\x94",
    b"N",
    b".",
    b"ctorch\nFloatStorage\n",
    b"\x85",
    b"\x86",
    b"\x8c\x01",
    b"X\x01\0\0\0",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
];
const ZIP: [&[u8]; 12] = [
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"\x01\0",
    b"\x08\0",
    b"a/data.pkl",
    b"a/data/0",
    b"a/byteorder",
    b"ctorch\nFloatStorage\n",
    b"\xFF\xFF\xFF\xFF",
];
const SAFETENSORS: [&[u8]; 16] = [
    b"\"dtype\"",
    b"\"shape\"",
    b"\"data_offsets\"",
    b"\"__metadata__\"",
    b"[0,24]",
    b"\"F16\"",
    b"\"BF16\"",
    b"\"F64\"",
    b"\"F8_E4M3\"",
    b"[]",
    b"{}",
    b"\":",
    b"\\u0000",
    b"18446744073709551615",
    b"-1",
    b"1e3",
];
/// Fields of the messages, and operators.
const ONNX: [&[u8]; 16] = [
    b"\x0a",
    b"\x12",
    b"\x22",
    b"\x2a",
    b"\x32",
    b"\x3a",
    b"\x4a",
    b"\x08\x07",
    b"\x10\x01",
    b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    b"Conv",
    b"PRelu",
    b"DepthToSpace",
    b"Resize",
    b"Constant",
    b"pads",
];
const NCNN: [&[u8]; 17] = [
    b"7767517\n",
    b"Convolution ",
    b"Input ",
    b"PReLU ",
    b"PixelShuffle ",
    b"Interp ",
    b"BinaryOp ",
    b"Split ",
    b" 0=1",
    b" -23300=2,1,1",
    b" 6=27",
    b"1000000000",
    b"-1",
    b"\x47\x6B\x30\x01",
    b"\x38\x4B\x0D\0",
    b"\x56\xC0\x02\0",
    b"\n",
];

/// The zip reader and all behind it. Its checksums are off: hardly any change would get past them.
pub fn zip(data: &[u8]) {
    read_as(Kind::Zip, data.to_vec());
}

/// The reader of the stream before PyTorch 1.6.
pub fn legacy(data: &[u8]) {
    read_as(Kind::Legacy, data.to_vec());
}

/// The pickle interpreter: `data` is the pickle of an archive with one storage of six floats.
pub fn pickle(data: &[u8]) {
    read_as(Kind::Zip, archive(data, &[("0", &six_floats())]));
}

/// The safetensors loader.
pub fn safetensors(data: &[u8]) {
    read_as(Kind::Safetensors, data.to_vec());
}

fn read_as(kind: Kind, file: Vec<u8>) {
    if detect(&file[..file.len().min(DETECT_BYTES)]) != kind {
        return;
    }
    // Small bounds, so that many files are tried in a second.
    let limits = Limits { objects: 1 << 14, expansion_floor: 1 << 16, ..Limits::default() };
    let options = Options { verify_checksums: false, limits, ..Options::default() };
    let found = from_bytes(file.clone(), &options);
    // What is in a pickle for a training framework is refused first, then passed over.
    let again = found.is_err() && matches!(kind, Kind::Zip | Kind::Legacy);
    check(found);
    if again {
        check(from_bytes(file, &Options { skip_unknown: true, ..options }));
    }
}

/// Whatever was read is sound, and whatever was not is refused in one line.
fn check(found: Result<Checkpoint>) {
    match found {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors {
                let numel: usize = tensor.shape.iter().product();
                assert_eq!(tensor.numel(), numel);
                assert_eq!(tensor.to_contiguous_le().len(), numel * tensor.dtype.size());
                assert_eq!(tensor.to_f32().len(), numel);
                assert!(!tensor.name.contains(char::is_control));
            }
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}

/// The ONNX reader and the recognition by structure behind it.
pub fn onnx(data: &[u8]) {
    read_as(Kind::Onnx, data.to_vec());
}

/// The ncnn readers and the recognition behind them: two bytes say how long the list of layers is,
/// the rest are the weights.
pub fn ncnn(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (list, weights) = rest.split_at(length);
    let limits = Limits { objects: 1 << 14, layers: 1 << 10, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    check(from_ncnn(list.to_vec(), weights.to_vec(), &options));
}

fn onnx_seeds() -> Vec<Vec<u8>> {
    let (srvgg, rrdb) = (networks::srvgg(), networks::rrdb());
    let stores: [fn(usize, usize) -> Store<'static>; 4] = [
        |_, _| Store::Raw,
        |_, _| Store::RawHalf,
        |_, _| Store::Listed,
        |_, offset| Store::Elsewhere("w", offset),
    ];
    let mut seeds: Vec<Vec<u8>> =
        stores.into_iter().map(|store| networks::srvgg_onnx(&srvgg, store)).collect();
    let others = [
        RRDB,
        Rrdb { folded: true, ..RRDB },
        Rrdb { dense: false, ..RRDB },
        Rrdb { slope: 0.1, ..RRDB },
        Rrdb { residual: 0.1, ..RRDB },
    ];
    seeds.extend(others.into_iter().map(|how| networks::rrdb_onnx(&rrdb, how)));
    seeds.extend(networks::operators());
    seeds
}

fn ncnn_seeds() -> Vec<Vec<u8>> {
    use Stored::{F16, F32, I8, Table};
    let (srvgg, rrdb) = (networks::srvgg(), networks::rrdb());
    let mut seeds = Vec::new();
    for store in [F32, F16, I8, Table] {
        for model in [
            networks::srvgg_ncnn(&srvgg, store, false),
            networks::srvgg_ncnn(&srvgg, store, true),
            networks::rrdb_ncnn(&rrdb, store),
        ] {
            for list in [model.text(), model.binary()] {
                let length = (list.len() as u16).to_le_bytes();
                seeds.push([&length[..], &list, &model.bin].concat());
            }
        }
    }
    seeds
}

/// The small files of the hostile corpus that are of this kind, and these sound ones.
fn seeds(kind: Kind, sound: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let hostile = corpus().into_iter().map(|file| file.bytes);
    let of_kind =
        hostile.filter(|b| b.len() < 4096 && detect(&b[..b.len().min(DETECT_BYTES)]) == kind);
    sound.into_iter().chain(of_kind).collect()
}

fn zip_seeds() -> Vec<Vec<u8>> {
    let pickle = Pickle::dict(&[("w", SIX)]);
    let deflated =
        [Entry::deflated("a/data.pkl", &pickle), Entry::deflated("a/data/0", &six_floats())];
    let big_endian = [
        Entry::stored("a/data.pkl", &pickle),
        Entry::stored("a/data/0", &six_floats_big_endian()),
        Entry::stored("a/byteorder", b"big"),
    ];
    seeds(Kind::Zip, vec![small_zip(), build::zip(&deflated), build::zip(&big_endian)])
}

fn legacy_seeds() -> Vec<Vec<u8>> {
    seeds(Kind::Legacy, vec![small_legacy()])
}

fn safetensors_seeds() -> Vec<Vec<u8>> {
    seeds(Kind::Safetensors, vec![small_safetensors()])
}

fn pickle_seeds() -> Vec<Vec<u8>> {
    let dict = || Pickle::new().raw(b"}");
    let view = Tensor { shape: &[3, 1, 2], strides: &[2, 9, 1], ..SIX };
    let mut seeds = vec![
        Pickle::dict(&[("w", SIX), ("v", view)]),
        dict().text("params").raw(b"}").text("w").tensor(&SIX).stop(b"ss"),
        dict().text("w").typed_tensor(&Tensor { numel: 24, ..SIX }, "float32").stop(b"s"),
        dict().text("iter").raw(b"K\x03s").text("w").tensor(&SIX).stop(b"s"),
        Pickle::new()
            .global("collections", "OrderedDict")
            .raw(b"]](U\x01w")
            .tensor(&SIX)
            .stop(b"ea\x85R"),
    ];
    // Every operation that pushes or calls, beside the weights.
    let operations: [&[u8]; 16] = [
        b"I01\n",
        b"L7L\n",
        b"\x8b\x09\0\0\0abcdefghi",
        b"G\0\0\0\0\0\0\0\0",
        b"\x8f(K\x01\x90",
        b"(K\x01K\x02d",
        b"\x96\x01\0\0\0\0\0\0\0a",
        b"K\x01p300\n0g300\n",
        b"NK\x01\x940j\0\0\0\0\x860K\x01",
        b"ctorch\nSize\n(K\x02K\x03t\x85R",
        b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\0\0\0f8\x89\x88tRC\x01atR",
        b"c_codecs\nencode\nX\x01\0\0\0aX\x06\0\0\0latin1\x86R",
        b"cos\nsystem\nX\x02\0\0\0id\x85R}b",
        b"(X\x02\0\0\0idios\nsystem\n",
        b"(cos\nsystem\nX\x02\0\0\0ido",
        b"X\x02\0\0\0osX\x06\0\0\0system\x93X\x02\0\0\0id\x85}\x92",
    ];
    for operation in operations {
        seeds.push(dict().text("x").raw(operation).raw(b"s").text("w").tensor(&SIX).stop(b"s"));
    }
    seeds
}
