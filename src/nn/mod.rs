//! Blocks that write into a graph. They take weights by name and know no architecture.

pub mod mmrb;
pub mod stylegan2;
pub mod transformer;
pub mod vqgan;

use std::collections::HashMap;
use std::ops::Range;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::{Activation, Conv2d, Graph, Interpolation, NodeId, Op, Padding, Param, ParamId};
use crate::tensor::Shape;

/// Geometry of a convolution with bias.
#[derive(Clone, Copy, Debug)]
pub struct ConvSpec {
    /// Output channels; `None`: as many as the weight has.
    pub out: Option<usize>,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Whether there is a `.bias`.
    pub bias: bool,
}

impl ConvSpec {
    /// Stride 1, same size, any number of outputs, with bias.
    pub const fn same(kernel: usize) -> Self {
        Self { out: None, kernel, stride: 1, bias: true }
    }

    /// The same with `out` output channels.
    pub const fn out(self, out: usize) -> Self {
        Self { out: Some(out), ..self }
    }

    /// The same without bias.
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// A graph under construction and the checkpoint that its parameters come from.
pub struct Builder<'a> {
    /// What was built so far.
    pub graph: Graph,
    checkpoint: &'a Checkpoint,
    params: HashMap<(String, u32), ParamId>,
}

impl<'a> Builder<'a> {
    /// Begins a graph with weights from `checkpoint`.
    pub fn new(checkpoint: &'a Checkpoint) -> Self {
        Self { graph: Graph::new(), checkpoint, params: HashMap::new() }
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// The tensor `name`, which must have `dims` (or as many elements, in dimensions of 1), times
    /// `scale`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another shape.
    pub fn param(&mut self, name: &str, dims: &[usize], scale: f32) -> Result<ParamId> {
        let key = (name.to_owned(), scale.to_bits());
        if let Some(&id) = self.params.get(&key)
            && self.graph.param(id).dims == dims
        {
            return Ok(id);
        }
        let param = self.checkpoint.require(name, dims)?.scaled(scale);
        let id = self.graph.add_param(param);
        self.params.insert(key, id);
        Ok(id)
    }

    /// Rows `range` of the tensor `name`, which must have `dims`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another shape.
    pub fn rows(&mut self, name: &str, dims: &[usize], range: Range<usize>) -> Result<ParamId> {
        let param = self.checkpoint.require(name, dims)?;
        let rows = param.rows(range.clone()).ok_or_else(|| Error::Tensor {
            name: name.to_owned(),
            what: format!("has shape {:?}, expected rows {range:?}", param.dims),
        })?;
        Ok(self.graph.add_param(rows))
    }

    /// A parameter that is computed, not stored.
    pub fn computed(&mut self, name: &str, dims: Vec<usize>, values: &[f32]) -> ParamId {
        self.graph.add_param(Param::from_values(name, dims, values))
    }

    /// The single value of the tensor `name`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or not a single value.
    pub fn scalar(&self, name: &str) -> Result<f32> {
        Ok(self.checkpoint.require(name, &[1])?.to_f32()[0])
    }

    /// The shape of a node.
    pub fn shape(&self, x: NodeId) -> Shape {
        self.graph.shape(x)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`Error::Shape`] when it does not fit its inputs.
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        Ok(self.graph.add(op, inputs)?)
    }

    /// `conv(x) + bias` with `{prefix}.weight` `[O, I, k, k]` and `{prefix}.bias` `[O]`.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn conv(&mut self, x: NodeId, prefix: &str, spec: ConvSpec) -> Result<NodeId> {
        let name = format!("{prefix}.weight");
        let out = match spec.out {
            Some(out) => out,
            None => self.checkpoint.rows(&name)?,
        };
        let channels = self.shape(x).c;
        let weight = self.param(&name, &[out, channels, spec.kernel, spec.kernel], 1.0)?;
        let bias = match spec.bias {
            true => Some(self.param(&format!("{prefix}.bias"), &[out], 1.0)?),
            false => None,
        };
        let conv = Conv2d { stride: spec.stride, ..Conv2d::same(weight, spec.kernel) };
        self.graph.scoped(prefix, |graph| {
            let y = graph.add(Op::Conv2d(conv), &[x])?;
            Ok(match bias {
                Some(bias) => graph.add(Op::Bias(bias), &[y])?,
                None => y,
            })
        })
    }

    /// `scale·W x + bias_scale·b` with `{prefix}.weight` `[O, I]` and `{prefix}.bias` `[O]`;
    /// `gain` is `[scale, bias_scale]`.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn linear(
        &mut self,
        x: NodeId,
        prefix: &str,
        out: usize,
        [scale, bias_scale]: [f32; 2],
    ) -> Result<NodeId> {
        let dims = [out, self.shape(x).sample()];
        let weight = self.param(&format!("{prefix}.weight"), &dims, scale)?;
        let bias = self.param(&format!("{prefix}.bias"), &[out], bias_scale)?;
        self.graph.scoped(prefix, |graph| {
            let y = graph.add(Op::Linear(weight), &[x])?;
            Ok(graph.add(Op::Bias(bias), &[y])?)
        })
    }

    /// StyleGAN's equalised linear layer: `W·m/√I x + b·m`.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn equal_linear(
        &mut self,
        x: NodeId,
        prefix: &str,
        out: usize,
        multiplier: f32,
    ) -> Result<NodeId> {
        let scale = multiplier / (self.shape(x).sample() as f32).sqrt();
        self.linear(x, prefix, out, [scale, multiplier])
    }

    /// Leaky ReLU; slope 1 is the identity.
    ///
    /// # Errors
    /// Never for nodes of this graph.
    pub fn leaky_relu(&mut self, x: NodeId, slope: f32) -> Result<NodeId> {
        self.add(Op::Activation(Activation::LeakyRelu(slope)), &[x])
    }

    /// `√2 · lrelu(x)` with slope 0.2, the activation of StyleGAN2.
    ///
    /// # Errors
    /// Never for nodes of this graph.
    pub fn scaled_leaky_relu(&mut self, x: NodeId) -> Result<NodeId> {
        let y = self.leaky_relu(x, 0.2)?;
        self.add(Op::Scale(std::f32::consts::SQRT_2), &[y])
    }

    /// Bilinear resize by `factor` (2 or ½), PyTorch's `align_corners=False`; odd last rows and
    /// columns are dropped when halving.
    ///
    /// # Errors
    /// When halving leaves nothing.
    pub fn bilinear(&mut self, x: NodeId, factor: f32) -> Result<NodeId> {
        let Shape { h, w, .. } = self.shape(x);
        let size = |n: usize| (n as f32 * factor).floor() as usize;
        let resize = Op::Resize {
            height: size(h),
            width: size(w),
            interpolation: Interpolation::Bilinear,
            step: [1.0 / factor; 2],
        };
        self.add(resize, &[x])
    }

    /// Nearest resize by a whole factor.
    ///
    /// # Errors
    /// When the result is too large.
    pub fn nearest(&mut self, x: NodeId, factor: usize) -> Result<NodeId> {
        let Shape { h, w, .. } = self.shape(x);
        let resize = Op::Resize {
            height: h * factor,
            width: w * factor,
            interpolation: Interpolation::Nearest,
            step: [1.0 / factor as f32; 2],
        };
        self.add(resize, &[x])
    }

    /// Upsampling ×2 by StyleGAN2's FIR filter, `kernel` `[4, 4]` already times 4.
    ///
    /// # Errors
    /// Never for nodes of this graph.
    pub fn fir_up(&mut self, x: NodeId, kernel: ParamId) -> Result<NodeId> {
        let op = Op::Upfirdn2d { kernel, up: 2, down: 1, padding: Padding::pair(2, 1) };
        self.add(op, &[x])
    }

    /// Channels `start..end` of `x`.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn slice(&mut self, x: NodeId, start: usize, end: usize) -> Result<NodeId> {
        self.add(Op::Slice { start, end }, &[x])
    }

    /// The finished graph with `output` as its output.
    pub fn finish(mut self, output: NodeId) -> Graph {
        self.graph.set_output(output);
        self.graph
    }
}

/// An input that a network cannot take.
pub fn check_square(input: Shape, size: usize) -> Result<()> {
    if input.c != 3 || input.h != size || input.w != size {
        return Err(Error::Input(format!(
            "this network takes [N, 3, {size}, {size}], the input is {input}"
        )));
    }
    Ok(())
}
