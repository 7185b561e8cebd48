//! Blocks that write into a graph. They take weights by name and know no architecture.

pub mod batch_norm;
pub mod border;
pub mod mmrb;
pub mod resnet;
pub mod stylegan2;
pub mod swin;
pub mod transformer;
pub mod transposed;
pub mod vqgan;

use std::collections::HashMap;
use std::ops::Range;

use crate::checkpoint::Checkpoint;
use crate::graph::{
    Activation, Conv2d, Graph, Interpolation, NodeId, Op, Padding, Param, ParamId, ops,
};
use crate::tensor::Shape;
use crate::{Error, Result};

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
    /// Zeros around the input.
    pub padding: Padding,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

impl ConvSpec {
    /// Stride 1, same size, any number of outputs, with bias.
    pub const fn same(kernel: usize) -> Self {
        let padding = Padding::all((kernel / 2) as i32);
        Self { out: None, kernel, stride: 1, bias: true, padding, groups: 1 }
    }

    /// Sets the number of output channels.
    pub const fn out(self, out: usize) -> Self {
        Self { out: Some(out), ..self }
    }

    /// Leaves out the bias.
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// A graph under construction and the checkpoint that its parameters come from.
pub struct Builder<'a> {
    /// The graph so far.
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

    /// [`Builder::param`] for a weight that `x` is multiplied with. When its shape does not fit, the
    /// fault may lie with the weight that `x` came from, so the message names both.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another shape.
    pub fn weight(&mut self, x: NodeId, name: &str, dims: &[usize], scale: f32) -> Result<ParamId> {
        self.param(name, dims, scale).map_err(|error| self.after(x, error))
    }

    /// The values of [`Builder::weight`], to be computed with.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another shape.
    pub fn weight_values(&self, x: NodeId, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        let param = self.checkpoint.require(name, dims).map_err(|error| self.after(x, error))?;
        Ok(param.to_f32())
    }

    /// `error` about a tensor that `x` meets, with the name of the tensor that `x` comes from.
    pub fn after(&self, x: NodeId, error: Error) -> Error {
        match (error, self.origin(x)) {
            (Error::Tensor { name, what }, Some(origin)) => {
                Error::Tensor { name, what: format!("{what}; it follows tensor {origin}") }
            }
            (error, _) => error,
        }
    }

    /// The tensor `name` with one value per channel of `x`: a bias, slopes. Errors name both tensors
    /// as those of [`Builder::weight`] do.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another length.
    pub fn vector(&mut self, x: NodeId, name: &str) -> Result<ParamId> {
        self.weight(x, name, &[self.shape(x).c], 1.0)
    }

    /// The tensor that gave `x` its channels.
    fn origin(&self, mut x: NodeId) -> Option<String> {
        loop {
            let node = self.graph.node(x);
            let weight = match &node.op {
                Op::Conv2d(conv)
                | Op::ModulatedConv2d(ops::ModulatedConv2d { conv, .. })
                | Op::ModulatedConvTranspose2d(ops::ModulatedConvTranspose2d { conv, .. }) => {
                    conv.weight
                }
                Op::Linear(ops::Linear(weight)) => *weight,
                Op::Constant(ops::Constant { value, .. }) => *value,
                _ => {
                    x = *node.inputs.first()?;
                    continue;
                }
            };
            return Some(self.graph.param(weight).name.clone());
        }
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
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId> {
        Ok(self.graph.add(op, inputs)?)
    }

    /// `conv(x) + bias` with `{prefix}.weight` `[O, I, k, k]` and `{prefix}.bias` `[O]`.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn conv(&mut self, x: NodeId, prefix: &str, spec: ConvSpec) -> Result<NodeId> {
        let bias = format!("{prefix}.bias");
        self.conv_from(x, &format!("{prefix}.weight"), spec.bias.then_some(&bias), 1.0, spec)
    }

    /// `scale·conv(x) + bias` with tensors of any name; [`ConvSpec::bias`] is not looked at.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn conv_from(
        &mut self,
        x: NodeId,
        weight: &str,
        bias: Option<&str>,
        scale: f32,
        spec: ConvSpec,
    ) -> Result<NodeId> {
        let dims = self.weight_dims(x, weight, spec)?;
        let param = self.weight(x, weight, &dims, scale)?;
        let y = self.convolve(x, weight, param, spec)?;
        let Some(bias) = bias else { return Ok(y) };
        let bias = self.vector(y, bias)?;
        self.add_scoped(weight, ops::Bias(bias), &[y])
    }

    /// StyleGAN's equalised convolution: `conv(x)/√fan_in + bias`.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn equal_conv(
        &mut self,
        x: NodeId,
        weight: &str,
        bias: Option<&str>,
        spec: ConvSpec,
    ) -> Result<NodeId> {
        let fan_in = self.shape(x).c / spec.groups * spec.kernel * spec.kernel;
        self.conv_from(x, weight, bias, 1.0 / (fan_in as f32).sqrt(), spec)
    }

    /// The dimensions `[O, I/groups, k, k]` that the weight of a convolution of `x` must have.
    ///
    /// # Errors
    /// When `O` is to be read off the weight and it is missing.
    pub fn weight_dims(&self, x: NodeId, weight: &str, spec: ConvSpec) -> Result<[usize; 4]> {
        let out = match spec.out {
            Some(out) => out,
            None => self.checkpoint.rows(weight)?,
        };
        Ok([out, self.shape(x).c / spec.groups, spec.kernel, spec.kernel])
    }

    /// The convolution of `x` with `param`, named after the tensor `weight`.
    ///
    /// # Errors
    /// When it does not fit `x`.
    pub fn convolve(
        &mut self,
        x: NodeId,
        weight: &str,
        param: ParamId,
        spec: ConvSpec,
    ) -> Result<NodeId> {
        let ConvSpec { stride, padding, groups, .. } = spec;
        let conv = Conv2d { weight: param, stride, padding, dilation: 1, groups };
        self.add_scoped(weight, conv, &[x])
    }

    /// Adds a node that is named after the tensor `weight`.
    ///
    /// # Errors
    /// When it does not fit its inputs.
    pub fn add_scoped(
        &mut self,
        weight: &str,
        op: impl Into<Op>,
        inputs: &[NodeId],
    ) -> Result<NodeId> {
        let layer = weight.strip_suffix(".weight").unwrap_or(weight);
        Ok(self.graph.scoped(layer, |graph| graph.add(op, inputs))?)
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
        let weight = self.weight(x, &format!("{prefix}.weight"), &dims, scale)?;
        let bias = self.param(&format!("{prefix}.bias"), &[out], bias_scale)?;
        self.graph.scoped(prefix, |graph| {
            let y = graph.add(ops::Linear(weight), &[x])?;
            Ok(graph.add(ops::Bias(bias), &[y])?)
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
        self.add(Activation::LeakyRelu(slope), &[x])
    }

    /// `√2 · lrelu(x)` with slope 0.2, the activation of StyleGAN2.
    ///
    /// # Errors
    /// Never for nodes of this graph.
    pub fn scaled_leaky_relu(&mut self, x: NodeId) -> Result<NodeId> {
        let y = self.leaky_relu(x, 0.2)?;
        self.add(ops::Scale(std::f32::consts::SQRT_2), &[y])
    }

    /// Bilinear resize by `factor` (2 or ½), PyTorch's `align_corners=False`; odd last rows and
    /// columns are dropped when halving.
    ///
    /// # Errors
    /// When halving leaves nothing.
    pub fn bilinear(&mut self, x: NodeId, factor: f32) -> Result<NodeId> {
        let Shape { h, w, .. } = self.shape(x);
        let size = |n: usize| (n as f32 * factor).floor() as usize;
        let resize = ops::Resize {
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
        let resize = ops::Resize {
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
        let op = ops::Upfirdn2d { kernel, up: 2, down: 1, padding: Padding::pair(2, 1) };
        self.add(op, &[x])
    }

    /// Resize to the height and width of `like`.
    ///
    /// # Errors
    /// Never for nodes of this graph.
    pub fn resize_like(
        &mut self,
        x: NodeId,
        like: NodeId,
        interpolation: Interpolation,
    ) -> Result<NodeId> {
        let (from, to) = (self.shape(x), self.shape(like));
        let step = [from.h as f32 / to.h as f32, from.w as f32 / to.w as f32];
        self.add(ops::Resize { height: to.h, width: to.w, interpolation, step }, &[x])
    }

    /// Several layers on the same input as one: their weights `[rows, inner…]` and biases `[rows]`
    /// one after the other. `layers` are prefixes and rows.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn stacked<S: AsRef<str>>(
        &mut self,
        x: NodeId,
        layers: &[(S, usize)],
        inner: &[usize],
    ) -> Result<[ParamId; 2]> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (prefix, rows) in layers {
            let prefix = prefix.as_ref();
            let dims = [&[*rows], inner].concat();
            weights.extend(self.weight_values(x, &format!("{prefix}.weight"), &dims)?);
            biases.extend(self.weight_values(x, &format!("{prefix}.bias"), &[*rows])?);
        }
        let dims = [&[biases.len()], inner].concat();
        let name = layers.first().map_or("", |(prefix, _)| prefix.as_ref());
        let weight = self.computed(&format!("{name}.weight"), dims, &weights);
        Ok([weight, self.computed(&format!("{name}.bias"), vec![biases.len()], &biases)])
    }

    /// Several 1×1 convolutions of the same input as one.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn stacked_conv<S: AsRef<str>>(
        &mut self,
        x: NodeId,
        layers: &[(S, usize)],
    ) -> Result<NodeId> {
        let inner = [self.shape(x).c, 1, 1];
        let [weight, bias] = self.stacked(x, layers, &inner)?;
        let name = layers.first().map_or("", |(prefix, _)| prefix.as_ref());
        let y = self.add_scoped(name, Conv2d::same(weight, 1), &[x])?;
        self.add_scoped(name, ops::Bias(bias), &[y])
    }

    /// `x · y`, value by value.
    ///
    /// # Errors
    /// When their shapes differ.
    pub fn product(&mut self, x: NodeId, y: NodeId) -> Result<NodeId> {
        let nothing = self.add(ops::Scale(0.0), &[x])?;
        self.add(ops::Sft { first_channel: 0 }, &[x, y, nothing])
    }

    /// Channels `start..end` of `x`.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn slice(&mut self, x: NodeId, start: usize, end: usize) -> Result<NodeId> {
        self.add(ops::Slice { start, end }, &[x])
    }

    /// The thirds of `x`'s channels, in their order: queries, keys and values.
    ///
    /// # Errors
    /// When it has none.
    pub fn thirds(&mut self, x: NodeId) -> Result<[NodeId; 3]> {
        let third = self.shape(x).c / 3;
        let mut part = |i: usize| self.slice(x, i * third, (i + 1) * third);
        Ok([part(0)?, part(1)?, part(2)?])
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
