//! Where everything of a plan lies in which buffer, before anything is allocated. Pure.

use std::collections::HashMap;

use super::memory::Memory;
use super::params::PARAMS_STRIDE;
use super::{Binding, Dispatch, ops};
use crate::graph::ParamId;
use crate::pixels::PixelFormat;
use crate::plan::{Plan, View, Weight, packed_len};
use crate::tensor::Dtype;
use crate::{Error, Result};

/// Something that is uploaded once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Constant {
    /// [`Binding::Weights`]
    Weights(Vec<Weight>),
    /// [`Binding::Values`]
    Values(Vec<ParamId>),
}

/// Where a constant lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Which of the weight buffers.
    pub buffer: usize,
    /// First byte.
    pub offset: usize,
    /// Bytes, a multiple of 4.
    pub bytes: usize,
}

/// How an 8-bit picture goes in, and where the network yields one, out. The parameters of both
/// dispatches change with the pixel format and follow those of the steps.
#[derive(Clone, Debug)]
pub struct PictureSchema {
    /// Bytes of the buffer for the picture that goes in, at four channels.
    pub bytes_in: usize,
    /// From the picture to the input.
    pub input: Dispatch,
    /// The picture that comes out, where the first output is a separate picture.
    pub output: Option<PictureOut>,
}

/// How an 8-bit picture comes out.
#[derive(Clone, Debug)]
pub struct PictureOut {
    /// Where the word behind it stands that tells of values that are not finite.
    pub flag: usize,
    /// From the output to the picture.
    pub dispatch: Dispatch,
}

impl PictureSchema {
    /// Both of its dispatches, or the first.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        std::iter::once(&self.input).chain(self.output.iter().map(|output| &output.dispatch))
    }

    /// Bytes of the buffer for the picture that comes out.
    pub fn bytes_out(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.flag + 4)
    }
}

/// The buffers of an executor and what lies in them.
#[derive(Debug)]
pub struct Schema {
    /// The launches of each step.
    pub steps: Vec<Vec<Dispatch>>,
    /// Bytes of each block of the arena.
    pub blocks: Vec<usize>,
    /// Bytes of each buffer of constants.
    pub weights: Vec<usize>,
    /// Where each constant lies.
    pub places: HashMap<Constant, Place>,
    /// The constants in upload order.
    pub constants: Vec<Constant>,
    /// Bytes of the parameters of all dispatches.
    pub params: usize,
    /// Bytes of the buffer through which results come back.
    pub readback: usize,
    /// Present when the plan takes pictures.
    pub picture: Option<PictureSchema>,
}

/// Bytes `first..end` of a view's storage's block, rounded outwards to whole words.
pub fn copied_bytes(plan: &Plan, view: &View) -> std::ops::Range<usize> {
    let storage = &plan.storages[view.storage.index()];
    let size = storage.dtype.size();
    let first = storage.offset + view.offset * size;
    first / 4 * 4..(first + view.span() * size).next_multiple_of(4)
}

/// The memory that an executor of `plan` will allocate. Pure.
///
/// # Errors
/// As [`Executor::new`](super::Executor::new), as far as no device is needed to know.
pub fn predict(plan: &Plan) -> Result<Memory> {
    Ok(Schema::new(plan)?.memory())
}

impl Schema {
    /// Lays out `plan`.
    ///
    /// # Errors
    /// [`Error::Device`] when a step has no kernel, [`Error::OutOfMemory`] when a binding is larger
    /// than the target's limit.
    pub fn new(plan: &Plan) -> Result<Self> {
        let steps =
            plan.steps.iter().map(|step| ops::record(step, plan)).collect::<Result<Vec<_>>>()?;
        let mut schema = Self {
            steps,
            blocks: plan.blocks.iter().map(|bytes| bytes.next_multiple_of(4)).collect(),
            weights: Vec::new(),
            places: HashMap::new(),
            constants: Vec::new(),
            params: 0,
            readback: plan.outputs.iter().map(|view| copied_bytes(plan, view).len()).sum(),
            picture: picture(plan),
        };
        schema.place_constants(plan)?;
        let mut launches = schema.steps.iter().map(Vec::len).sum::<usize>();
        if let Some(picture) = &schema.picture {
            launches += picture.dispatches().count();
            schema.readback = schema.readback.max(picture.bytes_out());
        }
        schema.params = launches * PARAMS_STRIDE;
        Ok(schema)
    }

    /// The memory that [`Executor::memory`](super::Executor::memory) will report.
    pub fn memory(&self) -> Memory {
        let picture = self.picture.as_ref().map_or(0, |p| p.bytes_in + p.bytes_out());
        Memory {
            weights: self.weights.iter().sum(),
            arena: self.blocks.iter().sum(),
            params: self.params,
            staging: self.readback + picture,
        }
    }

    /// Fills buffers in the order of the first use.
    fn place_constants(&mut self, plan: &Plan) -> Result<()> {
        let bytes_of = |weight: &Weight| {
            let len = packed_len(plan.graph.param(weight.param), weight.layout);
            (len * plan.weight_dtype(*weight).size()).next_multiple_of(4)
        };
        for dispatch in self.steps.iter().flatten() {
            for binding in &dispatch.bindings {
                let (constant, bytes) = match binding {
                    Binding::Weights(weights) => {
                        (Constant::Weights(weights.clone()), weights.iter().map(bytes_of).sum())
                    }
                    Binding::Values(params) => {
                        let len: usize = params.iter().map(|&p| plan.graph.param(p).len()).sum();
                        (Constant::Values(params.clone()), len * Dtype::F32.size())
                    }
                    _ => continue,
                };
                if self.places.contains_key(&constant) {
                    continue;
                }
                if bytes > plan.target.max_binding {
                    return Err(Error::OutOfMemory {
                        needed: bytes,
                        available: plan.target.max_binding,
                        hint: "one weight is larger than the device can bind".to_owned(),
                    });
                }
                let start = (self.weights.last())
                    .map(|used| used.next_multiple_of(plan.target.alignment))
                    .filter(|start| start + bytes <= plan.target.max_buffer);
                let offset = start.unwrap_or_else(|| {
                    self.weights.push(0);
                    0
                });
                let buffer = self.weights.len() - 1;
                self.weights[buffer] = offset + bytes;
                self.places.insert(constant.clone(), Place { buffer, offset, bytes });
                self.constants.push(constant);
            }
        }
        Ok(())
    }
}

/// A plan from one `[N, 3, H, W]` takes pictures; one whose first output is `[N, 3, H', W']` yields
/// some too.
fn picture(plan: &Plan) -> Option<PictureSchema> {
    let &[input] = &plan.inputs[..] else { return None };
    if input.shape.c != 3 {
        return None;
    }
    let bytes = |view: &View| view.shape.n * view.shape.plane() * 4;
    let is_picture = |output: &&View| output.shape.c == 3 && output.shape.n == input.shape.n;
    let output = plan.outputs.first().filter(is_picture).map(|output| PictureOut {
        flag: bytes(output).next_multiple_of(plan.target.alignment),
        dispatch: ops::tensor_to_image::record(plan, *output, PixelFormat::UNIT),
    });
    let bytes_in = bytes(&input);
    let input = ops::image_to_tensor::record(plan, input, PixelFormat::UNIT);
    Some(PictureSchema { bytes_in, input, output })
}
