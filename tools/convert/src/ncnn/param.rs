//! The list of layers of an ncnn model: a text (`.param`) or the same as numbers (`.param.bin`).

use std::collections::BTreeMap;

use crate::{
    cursor::Cursor,
    error::{Error, Place, Result, short},
    options::Limits,
};

/// First number of both files.
pub(crate) const MAGIC: u32 = 7_767_517;
/// Numbers that a layer's parameters may have.
const IDS: i64 = 32;
/// What array parameters count down from.
const ARRAYS: i64 = -23_300;
/// What ends the parameters in the binary file.
const END: i32 = -233;
/// Numbers that an array parameter may hold.
const ARRAY_LENGTH: usize = 1024;

/// A layer.
#[derive(Debug)]
pub(super) struct Layer {
    /// Its type, such as `Convolution`.
    pub kind: String,
    pub name: String,
    /// Names of what it is given.
    pub inputs: Vec<String>,
    /// Names of what it gives.
    pub outputs: Vec<String>,
    pub parameters: Parameters,
}

/// One number; in the binary file nothing says which of both it is.
#[derive(Clone, Copy, Debug)]
struct Number {
    int: i64,
    float: f32,
}

/// The parameters of a layer, by number.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    numbers: BTreeMap<i64, Number>,
    arrays: BTreeMap<i64, Vec<Number>>,
}

impl Parameters {
    pub fn int(&self, id: i64, default: i64) -> i64 {
        self.numbers.get(&id).map_or(default, |number| number.int)
    }

    pub fn float(&self, id: i64, default: f32) -> f32 {
        self.numbers.get(&id).map_or(default, |number| number.float)
    }

    /// A number that sizes something.
    pub fn size(&self, id: i64, default: usize) -> Option<usize> {
        match self.numbers.get(&id) {
            Some(number) => usize::try_from(number.int).ok(),
            None => Some(default),
        }
    }

    pub fn floats(&self, id: i64) -> Vec<f32> {
        let numbers = self.arrays.get(&id).into_iter().flatten();
        numbers.map(|number| number.float).collect()
    }
}

pub(super) fn bad(reason: impl Into<String>) -> Error {
    Error::Ncnn { reason: reason.into() }
}

/// Checks a count of the file against a bound.
fn bounded(what: &str, value: u64, limit: usize) -> Result<usize> {
    match usize::try_from(value) {
        Ok(count) if count <= limit => Ok(count),
        _ => {
            let (what, limit) = (what.to_string(), limit as u64);
            Err(Error::Limit { what, value, limit, option: "layers" })
        }
    }
}

/// Reads the text file.
pub(super) fn text(bytes: &[u8], limits: &Limits) -> Result<Vec<Layer>> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("the .param file is not a text"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next().and_then(|line| line.parse().ok()) != Some(MAGIC) {
        return Err(bad("the .param file does not begin with 7767517"));
    }
    let counts = lines.next().unwrap_or_default();
    let mut numbers = counts.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(layers)), Some(Ok(_)), None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return Err(bad("its second line is not the number of layers and of results"));
    };
    let expected = bounded("the list of layers", layers, limits.layers)?;
    let mut found = Vec::new();
    let mut wires = 0;
    for line in lines {
        if found.len() == expected {
            return Err(bad(format!("it has more layers than the {expected} that it says")));
        }
        let layer = line_of(line, limits)?;
        wires += layer.inputs.len() + layer.outputs.len();
        bounded("the wiring of the layers", wires as u64, limits.objects)?;
        found.push(layer);
    }
    if found.len() != expected {
        return Err(bad(format!("it has {} layers and says {expected}", found.len())));
    }
    Ok(found)
}

/// `Convolution conv1 1 1 data conv1 0=64 1=3 -23310=1,0.2`
fn line_of(line: &str, limits: &Limits) -> Result<Layer> {
    let wrong = || bad(format!("the line {:?} is not a layer", short(line)));
    let mut words = line.split_whitespace();
    let mut word = || words.next().ok_or_else(wrong);
    let (kind, name) = (word()?.to_string(), word()?.to_string());
    let inputs: usize = word()?.parse().map_err(|_| wrong())?;
    let outputs: usize = word()?.parse().map_err(|_| wrong())?;
    // As many as there are words, whatever the numbers say.
    let mut names = |count: usize| -> Result<Vec<String>> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(word()?.to_string());
            bounded("the wiring of a layer", names.len() as u64, limits.objects)?;
        }
        Ok(names)
    };
    let (inputs, outputs) = (names(inputs)?, names(outputs)?);
    let mut parameters = Parameters::default();
    for word in words {
        let (id, value) = word.split_once('=').ok_or_else(wrong)?;
        let id: i64 = id.parse().map_err(|_| wrong())?;
        let is_list = value.contains(',');
        let mut numbers = Vec::new();
        for number in value.split(',').filter(|number| !number.is_empty()) {
            if numbers.len() > ARRAY_LENGTH {
                return Err(bad(format!("a list of {} is too long", short(&name))));
            }
            match number_of(number) {
                Some(number) => numbers.push(number),
                // A text, which no layer of ours has.
                None if value.starts_with('"') => {}
                None => return Err(wrong()),
            }
        }
        let array = ARRAYS - id;
        if (0..IDS).contains(&array) {
            // The first number is how many follow.
            parameters.arrays.insert(array, numbers.into_iter().skip(1).collect());
        } else if !(0..IDS).contains(&id) {
            return Err(wrong());
        } else if is_list {
            parameters.arrays.insert(id, numbers);
        } else if let Some(&number) = numbers.first() {
            parameters.numbers.insert(id, number);
        }
    }
    Ok(Layer { kind, name, inputs, outputs, parameters })
}

fn number_of(text: &str) -> Option<Number> {
    if let Ok(int) = text.parse::<i64>() {
        return Some(Number { int, float: int as f32 });
    }
    let float: f32 = text.parse().ok()?;
    Some(Number { int: float as i64, float })
}

/// Types of layers in the order of ncnn's registry, which only grows at its end; checked against the
/// numbers that ncnn 1.0.20261020 gives them.
const TYPES: &str = "\
    AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout Eltwise ELU \
    Embed Exp Flatten InnerProduct Input Log LRN MemoryData MVN Pooling Power PReLU Proposal \
    Reduction ReLU Reshape ROIPooling Scale Sigmoid Slice Softmax Split SPP TanH Threshold Tile \
    RNN LSTM BinaryOp UnaryOp ConvolutionDepthWise Padding Squeeze ExpandDims Normalize Permute \
    PriorBox DetectionOutput Interp DeconvolutionDepthWise ShuffleChannel InstanceNorm Clip Reorg \
    YoloDetectionOutput Quantize Dequantize Yolov3DetectionOutput PSROIPooling ROIAlign Packing \
    Requantize Cast HardSigmoid SELU HardSwish Noop PixelShuffle DeepCopy Mish StatisticsPooling \
    Swish Gemm GroupNorm LayerNorm Softplus GRU MultiHeadAttention GELU";

/// Reads the binary file, in which layers and results have numbers for names.
pub(super) fn binary(bytes: &[u8], limits: &Limits) -> Result<Vec<Layer>> {
    let mut cursor = Cursor::new(bytes, Place { stream: "the file", offset: 0 });
    let mut next = |what: &'static str| -> Result<i32> { Ok(cursor.u32(what)? as i32) };
    if next("the first number")? as u32 != MAGIC {
        return Err(bad("the .param.bin file does not begin with 7767517"));
    }
    let count = |value: i32| u64::try_from(value).unwrap_or(u64::MAX);
    let layers = bounded("the list of layers", count(next("the layers")?), limits.layers)?;
    next("the results")?;
    let mut found = Vec::new();
    let mut wires = 0;
    for place in 0..layers {
        let kind = next("a layer's type")?;
        let kind = usize::try_from(kind).ok().and_then(|kind| TYPES.split_whitespace().nth(kind));
        let kind = kind.map_or_else(|| "a newer type".to_string(), str::to_string);
        let inputs = count(next("a layer's inputs")?);
        let outputs = count(next("a layer's results")?);
        let mut names = |count: u64| -> Result<Vec<String>> {
            wires += bounded("the wiring of a layer", count, limits.objects)?;
            bounded("the wiring of the layers", wires as u64, limits.objects)?;
            // As many as the file holds, whatever the number says.
            (0..count).map(|_| Ok(next("a result's number")?.to_string())).collect()
        };
        let (inputs, outputs) = (names(inputs)?, names(outputs)?);
        let mut parameters = Parameters::default();
        loop {
            let id = next("a parameter's number")?;
            if id == END {
                break;
            }
            let id = i64::from(id);
            let array = ARRAYS - id;
            let mut number = || -> Result<Number> {
                let bits = next("a parameter")?;
                Ok(Number { int: bits.into(), float: f32::from_bits(bits as u32) })
            };
            if (0..IDS).contains(&array) {
                let length = count(number()?.int as i32);
                bounded("a list of parameters", length, ARRAY_LENGTH)?;
                let numbers = (0..length).map(|_| number()).collect::<Result<_>>()?;
                parameters.arrays.insert(array, numbers);
            } else if (0..IDS).contains(&id) {
                parameters.numbers.insert(id, number()?);
            } else {
                return Err(bad(format!("layer {place} has a parameter with the number {id}")));
            }
        }
        found.push(Layer { kind, name: place.to_string(), inputs, outputs, parameters });
    }
    Ok(found)
}
