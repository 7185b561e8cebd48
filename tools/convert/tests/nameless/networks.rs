//! Small networks of both formats, with the tensors that they are made of.

use crate::ncnn::{self, Ncnn};
use crate::onnx::{Attr, Onnx, Store, ints, tensor};

/// A name, dimensions and values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// Values that are exact in f16.
fn values(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 127) as f32 / 64.0 - 1.0).collect()
}

fn convolution(name: &str, out: usize, inputs: usize, seed: usize) -> [Named; 2] {
    let weight = values(seed, out * inputs * 9);
    [
        (format!("{name}.weight"), vec![out, inputs, 3, 3], weight),
        (format!("{name}.bias"), vec![out], values(seed + 1, out)),
    ]
}

/// SRVGGNetCompact of 4 channels and three convolutions that enlarges twice.
pub fn srvgg() -> Vec<Named> {
    let mut all = Vec::new();
    all.extend(convolution("body.0", 4, 3, 1));
    all.push(("body.1.weight".into(), vec![4], values(3, 4)));
    all.extend(convolution("body.2", 4, 4, 5));
    all.push(("body.3.weight".into(), vec![4], values(7, 4)));
    all.extend(convolution("body.4", 12, 4, 9));
    all
}

/// RRDBNet of 4 channels, growth 2, and one block, that enlarges four times.
pub fn rrdb() -> Vec<Named> {
    let mut all = Vec::new();
    all.extend(convolution("conv_first", 4, 3, 1));
    for dense in 1..=3 {
        for i in 1..=5 {
            let name = format!("body.0.rdb{dense}.conv{i}");
            let out = if i == 5 { 4 } else { 2 };
            all.extend(convolution(&name, out, 4 + 2 * (i - 1), 10 * dense + i));
        }
    }
    for (i, name) in ["conv_body", "conv_up1", "conv_up2", "conv_hr"].into_iter().enumerate() {
        all.extend(convolution(name, 4, 4, 50 + 2 * i));
    }
    all.extend(convolution("conv_last", 3, 4, 60));
    all
}

/// The values of the tensor of that name.
pub fn get<'n>(tensors: &'n [Named], name: &str) -> &'n [f32] {
    &tensors.iter().find(|(own, ..)| own == name).unwrap().2
}

/// Names of constants that say nothing, as folding leaves them.
fn numbered(onnx: &mut Onnx, tensors: &[Named], store: impl Fn(usize, usize) -> Store<'static>) {
    let mut offset = 0;
    for (i, (name, dims, values)) in tensors.iter().enumerate() {
        // PyTorch gives slopes two more dimensions.
        let slopes = name.starts_with("body.") && dims.len() == 1 && name.ends_with("weight");
        let dims = if slopes { vec![dims[0], 1, 1] } else { dims.clone() };
        onnx.constant(&tensor(&format!("c{i}"), &dims, values, store(i, offset)));
        offset += 4 * values.len();
    }
}

/// SRVGGNetCompact as ONNX.
pub fn srvgg_onnx(tensors: &[Named], store: impl Fn(usize, usize) -> Store<'static>) -> Vec<u8> {
    let mut onnx = Onnx::new(17);
    numbered(&mut onnx, tensors, store);
    let y = onnx.conv("input", "c0", "c1");
    let y = onnx.layer("PRelu", &[&y, "c2"], &[]);
    let y = onnx.conv(&y, "c3", "c4");
    let y = onnx.layer("PRelu", &[&y, "c5"], &[]);
    let y = onnx.conv(&y, "c6", "c7");
    let attributes = [Attr::Int("blocksize", 2), Attr::Text("mode", "CRD")];
    let y = onnx.layer("DepthToSpace", &[&y], &attributes);
    let base = onnx.nearest("input", 2.0);
    let y = onnx.layer("Add", &[&y, &base], &[]);
    onnx.finish(&y)
}

/// How an RRDBNet is written, and what is wrong with it.
#[derive(Clone, Copy)]
pub struct Rrdb {
    pub slope: f32,
    pub residual: f32,
    /// Whether each dense block's factor is part of its last convolution.
    pub folded: bool,
    /// Whether each convolution sees all results before it, or the last one twice.
    pub dense: bool,
}

pub const RRDB: Rrdb = Rrdb { slope: 0.2, residual: 0.2, folded: false, dense: true };

/// RRDBNet as ONNX.
pub fn rrdb_onnx(tensors: &[Named], how: Rrdb) -> Vec<u8> {
    let mut onnx = Onnx::new(11);
    let scaled: Vec<Named> = tensors
        .iter()
        .map(|(name, dims, values)| {
            let factor = if how.folded && name.contains(".conv5.") { 0.2 } else { 1.0 };
            (name.clone(), dims.clone(), values.iter().map(|v| v * factor).collect())
        })
        .collect();
    numbered(&mut onnx, &scaled, |_, _| Store::Raw);
    let factor = tensor("", &[], &[how.residual], Store::Raw);
    let factor = onnx.layer("Constant", &[], &[Attr::Tensor("value", factor)]);
    let mut next = (0..).step_by(2);
    let mut conv = |onnx: &mut Onnx, x: &str| {
        let i: usize = next.next().unwrap();
        onnx.conv(x, &format!("c{i}"), &format!("c{}", i + 1))
    };
    let leaky = |onnx: &mut Onnx, x: &str| {
        onnx.layer("LeakyRelu", &[x], &[Attr::Float("alpha", how.slope)])
    };
    let first = conv(&mut onnx, "input");
    let mut y = first.clone();
    for _ in 0..3 {
        let mut parts = vec![y.clone()];
        for _ in 0..4 {
            let mut seen: Vec<&str> = parts.iter().map(String::as_str).collect();
            if !how.dense && seen.len() == 3 {
                seen[1] = seen[2];
            }
            let all = onnx.layer("Concat", &seen, &[Attr::Int("axis", 1)]);
            let one = conv(&mut onnx, &all);
            parts.push(leaky(&mut onnx, &one));
        }
        let seen: Vec<&str> = parts.iter().map(String::as_str).collect();
        let all = onnx.layer("Concat", &seen, &[Attr::Int("axis", 1)]);
        let mut last = conv(&mut onnx, &all);
        if !how.folded {
            last = onnx.layer("Mul", &[&last, &factor], &[]);
        }
        y = onnx.layer("Add", &[&last, &y], &[]);
    }
    let y = onnx.layer("Mul", &[&y, &factor], &[]);
    let y = onnx.layer("Add", &[&first, &y], &[]);
    let y = conv(&mut onnx, &y);
    let mut y = onnx.layer("Add", &[&first, &y], &[]);
    for _ in 0..2 {
        y = onnx.nearest(&y, 2.0);
        y = conv(&mut onnx, &y);
        y = leaky(&mut onnx, &y);
    }
    let y = conv(&mut onnx, &y);
    let y = leaky(&mut onnx, &y);
    let y = conv(&mut onnx, &y);
    onnx.finish(&y)
}

/// SRVGGNetCompact as ncnn, without a shuffle where the factor is 1.
pub fn srvgg_ncnn(tensors: &[Named], store: ncnn::Store, resized: bool) -> Ncnn {
    let mut ncnn = Ncnn::new();
    let get = |name: &str| get(tensors, name);
    let layer = |i: usize| (get(&format!("body.{i}.weight")), get(&format!("body.{i}.bias")));
    let mut copies = ncnn.layer("Split", &["data"], 2, "").into_iter();
    let (picture, mut y) = (copies.next().unwrap(), copies.next().unwrap());
    for i in [0, 2] {
        y = ncnn.conv(&y, layer(i), store, "");
        let rest = format!("0={}", get(&format!("body.{}.weight", i + 1)).len());
        y = ncnn.layer("PReLU", &[&y], 1, &rest).remove(0);
        ncnn.plain(get(&format!("body.{}.weight", i + 1)));
    }
    y = ncnn.conv(&y, layer(4), store, "");
    y = ncnn.layer("PixelShuffle", &[&y], 1, "0=2").remove(0);
    let base = ncnn.layer("Interp", &[&picture], 1, "0=1 1=2.0 2=2.0").remove(0);
    y = ncnn.layer("BinaryOp", &[&y, &base], 1, "").remove(0);
    if resized {
        ncnn.layer("Interp", &[&y], 1, "0=3 1=0.5 2=0.5");
    }
    ncnn
}

/// RRDBNet as ncnn, with activations as a part of convolutions and sums with factors.
pub fn rrdb_ncnn(tensors: &[Named], store: ncnn::Store) -> Ncnn {
    let mut ncnn = Ncnn::new();
    let active = "9=2 -23310=1,2.000000e-01";
    let residual = "0=1 -23301=2,2.000000e-01,1.000000e+00";
    let layer = |name: &str| {
        (get(tensors, &format!("{name}.weight")), get(tensors, &format!("{name}.bias")))
    };
    let first = ncnn.conv("data", layer("conv_first"), store, "");
    let mut y = first.clone();
    for dense in 1..=3 {
        let mut parts = vec![y.clone()];
        for i in 1..=5 {
            let all = match parts.as_slice() {
                [only] => only.clone(),
                parts => {
                    let seen: Vec<&str> = parts.iter().map(String::as_str).collect();
                    ncnn.layer("Concat", &seen, 1, "").remove(0)
                }
            };
            let rest = if i == 5 { "" } else { active };
            parts.push(ncnn.conv(&all, layer(&format!("body.0.rdb{dense}.conv{i}")), store, rest));
        }
        y = ncnn.layer("Eltwise", &[&parts[5], &y], 1, residual).remove(0);
    }
    y = ncnn.layer("Eltwise", &[&y, &first], 1, residual).remove(0);
    y = ncnn.conv(&y, layer("conv_body"), store, "");
    y = ncnn.layer("BinaryOp", &[&first, &y], 1, "").remove(0);
    for up in ["conv_up1", "conv_up2"] {
        y = ncnn.layer("Interp", &[&y], 1, "0=1 1=2.0 2=2.0").remove(0);
        y = ncnn.conv(&y, layer(up), store, active);
    }
    y = ncnn.conv(&y, layer("conv_hr"), store, active);
    ncnn.conv(&y, layer("conv_last"), store, "");
    ncnn
}

/// Small graphs of every operator that is read, which are no network.
pub fn operators() -> Vec<Vec<u8>> {
    let chains: [&[(&str, &[&str])]; 7] = [
        &[("Relu", &[]), ("Sigmoid", &[]), ("Erf", &[]), ("Sqrt", &[]), ("Reciprocal", &[])],
        &[("Conv", &["w"]), ("BatchNormalization", &["v", "v", "v", "v"]), ("MaxPool", &[])],
        &[("ConvTranspose", &["w"]), ("Pad", &["pads"]), ("Transpose", &[]), ("Concat", &["w"])],
        &[("MatMul", &["m"]), ("Gemm", &["m", "v"]), ("Softmax", &[]), ("TopK", &["one"])],
        &[("InstanceNormalization", &["v", "v"]), ("LayerNormalization", &["v", "v"])],
        &[("Slice", &["one", "shape", "one"]), ("Gather", &["one"]), ("Split", &["shape"])],
        &[("Reshape", &["shape"]), ("Expand", &["shape"]), ("Unsqueeze", &["one"]), ("Clip", &[])],
    ];
    let folds: [(&str, &[&str]); 16] = [
        ("Add", &["m", "v"]),
        ("Sub", &["m", "one"]),
        ("Mul", &["w", "w"]),
        ("Div", &["shape", "shape"]),
        ("Pow", &["v", "v"]),
        ("Cast", &["v"]),
        ("Transpose", &["m"]),
        ("Reshape", &["m", "shape"]),
        ("Unsqueeze", &["v", "one"]),
        ("Squeeze", &["m"]),
        ("Expand", &["v", "shape"]),
        ("Concat", &["m", "m"]),
        ("Gather", &["m", "one"]),
        ("Slice", &["m", "one", "shape"]),
        ("Shape", &["w"]),
        ("ConstantOfShape", &["shape"]),
    ];
    let begin = || {
        let mut onnx = Onnx::new(13);
        onnx.constant(&tensor("w", &[2, 2, 1, 1], &[0.5, 1.0, 2.0, 4.0], Store::Raw));
        onnx.constant(&tensor("m", &[2, 2], &[0.5, 1.0, 2.0, 4.0], Store::RawHalf));
        onnx.constant(&tensor("v", &[2], &[1.0, 2.0], Store::Listed));
        onnx.constant(&ints("one", &[1], &[1]));
        onnx.constant(&ints("shape", &[2], &[2, 2]));
        onnx.constant(&ints("pads", &[8], &[0, 0, 0, 0, 0, 0, 1, 1]));
        onnx
    };
    let chained = chains.iter().map(|chain| {
        let mut onnx = begin();
        let mut y = "input".to_string();
        for (kind, more) in *chain {
            y = onnx.layer(kind, &[&[y.as_str()], *more].concat(), &[Attr::Int("axis", 0)]);
        }
        onnx.finish(&y)
    });
    let folded = folds.iter().map(|(kind, inputs)| {
        let mut onnx = begin();
        let y = onnx.layer(kind, inputs, &[]);
        let y = onnx.layer("Add", &["input", &y], &[]);
        onnx.finish(&y)
    });
    chained.chain(folded).collect()
}
