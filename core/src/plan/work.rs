//! The least cost of a step, on any executor.

use std::collections::BTreeSet;

use super::{Plan, Step};
use crate::graph::ParamId;
use crate::graph::ops::Reads;
use crate::tensor::Dtype;

/// The cost of one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Products that are added up, a convolution counted as direct. Kernels that transform
    /// (Winograd) do fewer.
    pub multiply_adds: u64,
    /// Bytes read and written when everything is read once: inputs, parameters as in the
    /// checkpoint but in the plan's type, the output. Working memory is not counted.
    pub bytes: u64,
}

impl Plan {
    /// The cost of `step`.
    pub fn work(&self, step: &Step) -> Work {
        let views: BTreeSet<_> =
            step.reads().map(|view| (view.storage, view.offset, view.shape.len())).collect();
        let read: usize = views.iter().map(|&(id, _, len)| len * self.element(id.index())).sum();
        let written = step.output.shape.len() * self.element(step.output.storage.index());
        let params: BTreeSet<ParamId> = step.params().into_iter().collect();
        let reads = step.op.planning().reads;
        let bytes = |id| match reads {
            Reads::Values => self.param_bytes(id),
            Reads::TapSquares => {
                let filters: usize = self.graph.param(id).dims.iter().take(2).product();
                filters * Dtype::F32.size()
            }
        };
        let params: usize = params.into_iter().map(bytes).sum();
        Work { multiply_adds: self.multiply_adds(step), bytes: (read + written + params) as u64 }
    }

    fn element(&self, storage: usize) -> usize {
        self.storages[storage].dtype.size()
    }

    fn param_bytes(&self, id: ParamId) -> usize {
        let param = self.graph.param(id);
        // Vectors and noise are f32 in every plan.
        let small = param.dims.iter().filter(|&&d| d > 1).count() < 2 || param.dims[0] == 1;
        let dtype = if param.exact || small { Dtype::F32 } else { self.target.dtype };
        param.len() * dtype.size()
    }

    /// Multiply-adds of a step; of one that has none, the values that it writes.
    pub fn multiply_adds(&self, step: &Step) -> u64 {
        let inputs: Vec<_> = step.operands.iter().map(|view| view.shape).collect();
        let output = step.output.shape;
        match step.op.multiply_adds(&self.graph, &inputs, output) {
            0 => output.len() as u64,
            count => count as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::{Conv2d, Graph, Param, ops};
    use crate::plan::Target;
    use crate::tensor::Shape;

    #[test]
    fn a_convolution_reads_its_input_and_weight_once() {
        let mut graph = Graph::new();
        let x = graph.add_input("x", Shape::new(2, 4, 5, 7));
        let weight = graph.add_param(Param::from_values("w", vec![6, 4, 3, 3], &[0.0; 216]));
        let y = graph.add(Conv2d::same(weight, 3), &[x]).unwrap();
        let bias = graph.add_param(Param::from_values("b", vec![6], &[0.0; 6]));
        let y = graph.add(ops::Bias(bias), &[y]).unwrap();
        graph.set_output(y);
        let target = Target { dtype: Dtype::F16, ..Target::webgpu_defaults() };
        let plan = Plan::new(Arc::new(graph), target).unwrap();
        let work = plan.work(&plan.steps[0]);
        assert_eq!(work.multiply_adds, 2 * 6 * 35 * 36);
        assert_eq!(work.bytes, (2 * (2 * 4 * 35 + 216 + 2 * 6 * 35) + 4 * 6) as u64);
    }
}
