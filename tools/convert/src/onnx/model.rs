//! The messages of an ONNX file that tell a network: its layers, their attributes, its constants.

use std::ops::Range;

use crate::{
    blob::Blob,
    error::{Error, Result, short},
    options::Limits,
    structure::Array,
    tensor::MAX_DIMS,
};

use super::tensor::{self, External};
use super::wire::{Fields, Value, bad};

/// Numbers that an attribute may list: pads and strides of a few axes.
const LIST: usize = 4 * MAX_DIMS;

/// What the file holds.
#[derive(Debug, Default)]
pub(super) struct Model<'f> {
    /// Version of the operators that ONNX itself defines.
    pub opset: i64,
    pub nodes: Vec<Node<'f>>,
    pub constants: Vec<(&'f str, Array)>,
    pub inputs: Vec<&'f str>,
    pub outputs: Vec<&'f str>,
}

/// A layer.
#[derive(Debug, Default)]
pub(super) struct Node<'f> {
    /// Its operator, such as `Conv`.
    pub kind: &'f str,
    /// Who defines the operator; empty for ONNX itself.
    pub domain: &'f str,
    pub name: &'f str,
    /// Names of what it is given; empty where it takes nothing.
    pub inputs: Vec<&'f str>,
    pub outputs: Vec<&'f str>,
    pub attributes: Vec<(&'f str, Attribute<'f>)>,
}

#[derive(Debug)]
pub(super) enum Attribute<'f> {
    Int(i64),
    Float(f32),
    Text(&'f str),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Array),
    /// A graph, or texts.
    Other,
}

impl Node<'_> {
    fn attribute(&self, name: &str) -> Option<&Attribute<'_>> {
        self.attributes.iter().find(|(own, _)| *own == name).map(|(_, attribute)| attribute)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attribute(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.attribute(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    pub fn text(&self, name: &str, default: &'static str) -> &str {
        match self.attribute(name) {
            Some(Attribute::Text(value)) => value,
            _ => default,
        }
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attribute(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// The constant that a layer without inputs is.
    pub fn value(&self) -> Option<Array> {
        match self.attributes.first() {
            Some((_, Attribute::Tensor(array))) => Some(array.clone()),
            Some((_, Attribute::Int(value))) => Array::of_i64(Vec::new(), &[*value]),
            Some((_, Attribute::Ints(values))) => Array::of_i64(vec![values.len()], values),
            Some((_, Attribute::Float(value))) => Array::of_f32(Vec::new(), &[*value]),
            Some((_, Attribute::Floats(values))) => Array::of_f32(vec![values.len()], values),
            _ => None,
        }
    }
}

/// Reads the messages of a file, and counts what costs memory.
pub(super) struct Reader<'f> {
    file: &'f Blob,
    bytes: &'f [u8],
    limits: &'f Limits,
    external: &'f External<'f>,
    /// Layers, constants and their wires.
    items: usize,
}

impl<'f> Reader<'f> {
    pub fn new(file: &'f Blob, external: &'f External<'f>, limits: &'f Limits) -> Self {
        Self { file, bytes: file.bytes(), limits, external, items: 0 }
    }

    pub fn model(&mut self) -> Result<Model<'f>> {
        let mut model = Model::default();
        let mut graph = None;
        let mut fields = Fields::new(self.bytes, 0..self.bytes.len());
        while let Some((number, value)) = fields.next()? {
            match number {
                7 => graph = Some(value.range()?),
                8 => {
                    let (domain, version) = self.opset(value.range()?)?;
                    if domain.is_empty() || domain == "ai.onnx" {
                        model.opset = version;
                    }
                }
                _ => {}
            }
        }
        self.graph(
            graph.ok_or_else(|| {
                bad("it holds no graph; models of TensorFlow and Core ML are not read")
            })?,
            &mut model,
        )?;
        Ok(model)
    }

    fn opset(&self, range: Range<usize>) -> Result<(&'f str, i64)> {
        let (mut domain, mut version) = ("", 0);
        let mut fields = Fields::new(self.bytes, range);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => domain = self.text(&value)?,
                2 => version = value.int()?,
                _ => {}
            }
        }
        Ok((domain, version))
    }

    fn graph(&mut self, range: Range<usize>, model: &mut Model<'f>) -> Result<()> {
        let mut fields = Fields::new(self.bytes, range);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    self.more(self.limits.layers, model.nodes.len(), "layers")?;
                    model.nodes.push(self.node(value.range()?)?);
                }
                5 => {
                    self.more(self.limits.tensors, model.constants.len(), "tensors")?;
                    model.constants.push(self.tensor(value.range()?)?);
                }
                11 => {
                    self.item()?;
                    model.inputs.push(self.value_name(value.range()?)?);
                }
                12 => {
                    self.item()?;
                    model.outputs.push(self.value_name(value.range()?)?);
                }
                15 => return Err(bad("it holds sparse tensors, which no network of ours has")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts one more of a kind that has its own limit.
    fn more(&self, limit: usize, count: usize, option: &'static str) -> Result<()> {
        if count < limit {
            return Ok(());
        }
        let (what, value, limit) =
            (format!("the list of {option}"), count as u64 + 1, limit as u64);
        Err(Error::Limit { what, value, limit, option })
    }

    /// Counts one more of anything.
    fn item(&mut self) -> Result<()> {
        self.items += 1;
        self.more(self.limits.objects, self.items, "objects")
    }

    fn value_name(&self, range: Range<usize>) -> Result<&'f str> {
        let mut fields = Fields::new(self.bytes, range);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                return self.text(&value);
            }
        }
        Ok("")
    }

    fn node(&mut self, range: Range<usize>) -> Result<Node<'f>> {
        let mut node = Node::default();
        let mut fields = Fields::new(self.bytes, range);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 | 2 => {
                    self.item()?;
                    let list = if number == 1 { &mut node.inputs } else { &mut node.outputs };
                    list.push(self.text(&value)?);
                }
                3 => node.name = self.text(&value)?,
                4 => node.kind = self.text(&value)?,
                5 => {
                    self.item()?;
                    node.attributes.push(self.attribute(value.range()?)?);
                }
                7 => node.domain = self.text(&value)?,
                _ => {}
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    fn attribute(&mut self, range: Range<usize>) -> Result<(&'f str, Attribute<'f>)> {
        let mut name = "";
        let mut found = Attribute::Other;
        let (mut ints, mut floats) = (Vec::new(), Vec::new());
        let mut fields = Fields::new(self.bytes, range);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => name = self.text(&value)?,
                2 => found = Attribute::Float(value.float()?),
                3 => found = Attribute::Int(value.int()?),
                4 => {
                    // A text by its type only: it may be any bytes.
                    let bytes = self.bytes.get(value.range()?).unwrap_or_default();
                    found = std::str::from_utf8(bytes).map_or(Attribute::Other, Attribute::Text);
                }
                5 => found = Attribute::Tensor(self.tensor(value.range()?)?.1),
                7 => match value {
                    Value::Bytes(range) => {
                        let bytes = self.bytes.get(range).unwrap_or_default();
                        let numbers = bytes.as_chunks::<4>().0.iter().take(LIST + 1);
                        floats.extend(numbers.map(|&b| f32::from_le_bytes(b)));
                    }
                    value => floats.push(value.float()?),
                },
                8 => match value {
                    Value::Bytes(range) => {
                        let mut packed = Fields::new(self.bytes, range);
                        while let Some(value) = packed.packed()?.filter(|_| ints.len() <= LIST) {
                            ints.push(value.cast_signed());
                        }
                    }
                    value => ints.push(value.int()?),
                },
                _ => {}
            }
            if ints.len() > LIST || floats.len() > LIST {
                return Err(bad(format!("the attribute {:?} has too many numbers", short(name))));
            }
        }
        if !ints.is_empty() {
            found = Attribute::Ints(ints);
        } else if !floats.is_empty() {
            found = Attribute::Floats(floats);
        }
        Ok((name, found))
    }

    fn tensor(&mut self, range: Range<usize>) -> Result<(&'f str, Array)> {
        self.item()?;
        tensor::read(self.file, range, self.external)
    }

    fn text(&self, value: &Value) -> Result<&'f str> {
        text(self.bytes, value)
    }
}

/// The text of a field.
pub(super) fn text<'f>(file: &'f [u8], value: &Value) -> Result<&'f str> {
    let bytes = file.get(value.range()?).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| bad("a name in it is not a text"))
}
