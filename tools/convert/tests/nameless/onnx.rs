//! Writes ONNX files, sound ones and others.

/// How a tensor's values are stored.
#[derive(Clone, Copy)]
pub enum Store<'a> {
    /// As bytes.
    Raw,
    /// As bytes of binary16.
    RawHalf,
    /// As numbers of the message.
    Listed,
    /// In a file beside the model, from this offset on.
    Elsewhere(&'a str, usize),
}

/// An attribute of a layer.
pub enum Attr<'a> {
    Int(&'a str, i64),
    Float(&'a str, f32),
    Ints(&'a str, &'a [i64]),
    Text(&'a str, &'a str),
    Tensor(&'a str, Vec<u8>),
}

pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

pub fn int(out: &mut Vec<u8>, field: u64, value: i64) {
    varint(out, field << 3);
    varint(out, value as u64);
}

fn half(value: f32) -> [u8; 2] {
    half::f16::from_f32(value).to_le_bytes()
}

/// The message of a tensor of f32, or of f16.
pub fn tensor(name: &str, dims: &[usize], values: &[f32], store: Store<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for &d in dims {
        int(&mut out, 1, d as i64);
    }
    int(&mut out, 2, if matches!(store, Store::RawHalf) { 10 } else { 1 });
    bytes(&mut out, 8, name.as_bytes());
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    match store {
        Store::Raw => bytes(&mut out, 9, &raw),
        Store::RawHalf => {
            bytes(&mut out, 9, &values.iter().flat_map(|&v| half(v)).collect::<Vec<_>>());
        }
        Store::Listed => bytes(&mut out, 4, &raw),
        Store::Elsewhere(file, offset) => {
            let entries = [
                ("location", file.to_string()),
                ("offset", offset.to_string()),
                ("length", raw.len().to_string()),
            ];
            for (key, value) in entries {
                let mut entry = Vec::new();
                bytes(&mut entry, 1, key.as_bytes());
                bytes(&mut entry, 2, value.as_bytes());
                bytes(&mut out, 13, &entry);
            }
            int(&mut out, 14, 1);
        }
    }
    out
}

/// The message of a tensor of integers.
pub fn ints(name: &str, dims: &[usize], values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    for &d in dims {
        int(&mut out, 1, d as i64);
    }
    int(&mut out, 2, 7);
    bytes(&mut out, 8, name.as_bytes());
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes(&mut out, 9, &raw);
    out
}

/// A model that grows layer by layer.
pub struct Onnx {
    graph: Vec<u8>,
    opset: i64,
    results: usize,
}

impl Onnx {
    pub fn new(opset: i64) -> Self {
        let mut onnx = Self { graph: Vec::new(), opset, results: 0 };
        onnx.named(11, "input");
        onnx
    }

    fn named(&mut self, field: u64, name: &str) {
        let mut value = Vec::new();
        bytes(&mut value, 1, name.as_bytes());
        bytes(&mut self.graph, field, &value);
    }

    /// Adds a constant from its message.
    pub fn constant(&mut self, tensor: &[u8]) {
        bytes(&mut self.graph, 5, tensor);
    }

    /// Adds a layer; returns the name of its result.
    pub fn layer(&mut self, kind: &str, inputs: &[&str], attributes: &[Attr<'_>]) -> String {
        self.results += 1;
        let name = format!("r{}", self.results);
        let mut node = Vec::new();
        for input in inputs {
            bytes(&mut node, 1, input.as_bytes());
        }
        bytes(&mut node, 2, name.as_bytes());
        bytes(&mut node, 4, kind.as_bytes());
        for attribute in attributes {
            let mut out = Vec::new();
            match attribute {
                Attr::Int(name, value) => {
                    bytes(&mut out, 1, name.as_bytes());
                    int(&mut out, 3, *value);
                }
                Attr::Float(name, value) => {
                    bytes(&mut out, 1, name.as_bytes());
                    varint(&mut out, 2 << 3 | 5);
                    out.extend(value.to_le_bytes());
                }
                Attr::Ints(name, values) => {
                    bytes(&mut out, 1, name.as_bytes());
                    values.iter().for_each(|&value| int(&mut out, 8, value));
                }
                Attr::Text(name, value) => {
                    bytes(&mut out, 1, name.as_bytes());
                    bytes(&mut out, 4, value.as_bytes());
                }
                Attr::Tensor(name, value) => {
                    bytes(&mut out, 1, name.as_bytes());
                    bytes(&mut out, 5, value);
                }
            }
            bytes(&mut node, 5, &out);
        }
        bytes(&mut self.graph, 1, &node);
        name
    }

    /// A 3×3 convolution that keeps the size.
    pub fn conv(&mut self, x: &str, weight: &str, bias: &str) -> String {
        let attributes = [Attr::Ints("pads", &[1, 1, 1, 1]), Attr::Ints("kernel_shape", &[3, 3])];
        self.layer("Conv", &[x, weight, bias], &attributes)
    }

    /// A resize by a whole factor to the nearest pixel.
    pub fn nearest(&mut self, x: &str, factor: f32) -> String {
        let scales = tensor("", &[4], &[1.0, 1.0, factor, factor], Store::Raw);
        let scales = self.layer("Constant", &[], &[Attr::Tensor("value", scales)]);
        let attributes = [
            Attr::Text("mode", "nearest"),
            Attr::Text("nearest_mode", "floor"),
            Attr::Text("coordinate_transformation_mode", "asymmetric"),
        ];
        self.layer("Resize", &[x, "", &scales], &attributes)
    }

    /// The file, whose network gives this result.
    pub fn finish(mut self, output: &str) -> Vec<u8> {
        self.named(12, output);
        model(&self.graph, self.opset)
    }
}

/// A file around the message of a graph.
pub fn model(graph: &[u8], opset: i64) -> Vec<u8> {
    let mut out = Vec::new();
    int(&mut out, 1, 8);
    bytes(&mut out, 2, b"a test");
    bytes(&mut out, 7, graph);
    let mut set = Vec::new();
    bytes(&mut set, 1, b"");
    int(&mut set, 2, opset);
    bytes(&mut out, 8, &set);
    out
}
