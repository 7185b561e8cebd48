//! The kernels of a plan, ready to run.

use super::arena::Operands;
use super::epilogue::{self, Epilogue};
use super::tensor::{Tensor, TensorMut};
use super::workspace::Workspace;
use crate::error::Result;
use crate::for_each_kernel;
use crate::graph::ops::Arity;
use crate::graph::{Graph, Op};
use crate::plan::{Step, Variant};

/// Which version of a kernel runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    /// The fast one.
    Fast,
    /// The readable one, which others are compared with.
    Twin,
}

/// The buffers that a kernel reads and writes.
pub struct Io<'a, 'b> {
    operands: &'a [Tensor<'b>],
    modulated: bool,
    /// The changes of a value before it is stored.
    pub epilogue: &'a Epilogue<'b>,
    /// The result.
    pub output: &'a mut TensorMut<'b>,
    /// Memory to borrow.
    pub workspace: &'a Workspace,
}

impl<'a, 'b> Io<'a, 'b> {
    /// The first operand.
    pub fn x(&self) -> &'a Tensor<'b> {
        self.operand(0)
    }

    /// Operand `index`, of as many as the operation's arity.
    pub fn operand(&self, index: usize) -> &'a Tensor<'b> {
        &self.operands[index]
    }

    /// The style of a modulated convolution.
    pub fn style(&self) -> Option<&'a Tensor<'b>> {
        self.modulated.then(|| self.operand(1))
    }
}

/// The kernel of a step, with its weights in the kernel's layout.
pub struct Ready {
    /// Bytes of weights.
    memory: usize,
    run: Box<dyn Fn(Io<'_, '_>) + Send + Sync>,
}

impl Ready {
    /// `run`, which holds `memory` bytes of weights.
    pub fn new(memory: usize, run: impl Fn(Io<'_, '_>) + Send + Sync + 'static) -> Self {
        Self { memory, run: Box::new(run) }
    }
}

macro_rules! kernels {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu { $($(#[$cpu_doc:meta])* $cpu:ident $(($cpu_form:ty))?: $cpu_name:ident,)* }
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        fn ready(step: &Step, graph: &Graph, quality: Quality) -> Result<Ready> {
            match (&step.variant, quality) {
                $((Variant::$chosen { .. }, Quality::Fast) => {
                    super::$chosen_name::prepare(step, graph)
                })*
                $((Variant::$cpu { .. }, Quality::Fast) => super::$cpu_name::prepare(step, graph),)*
                $((Variant::$gpu { .. }, Quality::Fast) => {
                    Err(step.misfit("it runs on GPUs alone"))
                })*
                $((Variant::$only, _) => super::$only_name::prepare(step, graph, quality),)*
                (_, Quality::Twin) => twin(step, graph),
            }
        }

        /// The twin of all kernels for an operation that has several.
        fn twin(step: &Step, graph: &Graph) -> Result<Ready> {
            match &step.op {
                Op::Conv2d(_) | Op::ModulatedConv2d(_) => super::conv_direct::prepare(step, graph),
                Op::ModulatedConvTranspose2d(_) => super::conv_transpose::twin(step, graph),
                Op::Linear(_) => super::linear::twin(step, graph),
                Op::Linears(_) => super::linears::prepare(step, graph),
                Op::MultiPathConv(_) => super::multi_path_conv::twin(step, graph),
                Op::WindowAttention(_) => super::window_attention::twin(step, graph),
                $(Op::$only(_) => Err(step.misfit("its only kernel has its twin")),)*
                Op::Input(_) | Op::Concat(_) | Op::Slice(_) => {
                    Err(step.misfit("others fill its memory"))
                }
                Op::Activation(_)
                | Op::Add(_)
                | Op::Bias(_)
                | Op::Noise(_)
                | Op::Scale(_)
                | Op::ScaleChannels(_)
                | Op::Sft(_) => Err(step.misfit("it is a part of an epilogue")),
            }
        }
    };
}

for_each_kernel!(kernels);

/// A step, ready to run.
pub struct Prepared {
    ready: Ready,
    modulated: bool,
    epilogue: epilogue::Parameters,
}

impl Prepared {
    /// Packs the weights of `step` for its kernel.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when the kernel cannot compute the step.
    pub fn new(graph: &Graph, step: &Step, quality: Quality) -> Result<Self> {
        if step.op.arity() != Arity::Exactly(step.operands.len()) {
            return Err(step.misfit("it has another number of operands"));
        }
        let ready = ready(step, graph, quality)?;
        let epilogue = epilogue::Parameters::new(graph, &step.epilogue);
        Ok(Self { ready, modulated: step.op.is_modulated(), epilogue })
    }

    /// Bytes of weights.
    pub fn memory(&self) -> usize {
        self.ready.memory + self.epilogue.memory()
    }

    /// Computes the step.
    pub fn run(&self, operands: Operands, workspace: &Workspace) {
        let Operands { operands, epilogue, mut output } = operands;
        let epilogue = self.epilogue.bind(output.shape, epilogue);
        (self.ready.run)(Io {
            operands: &operands,
            modulated: self.modulated,
            epilogue: &epilogue,
            output: &mut output,
            workspace,
        });
    }
}
