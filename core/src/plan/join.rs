//! Linear layers of the same vectors become one step: a generator computes the styles of all its
//! convolutions from one latent, and from these the factors that demodulate.

use super::select::{Context, LinearForm, select};
use super::{Epilogue, Layout, Step, Storage, StorageId, Target, Variant, View, packed_len};
use crate::Result;
use crate::graph::ops::{Demodulate, Layer, Linear, Linears};
use crate::graph::{Graph, Op};
use crate::tensor::{Dtype, Shape};

/// What layers must have in common to be computed together.
#[derive(PartialEq)]
struct Common {
    demodulate: bool,
    storage: StorageId,
    batch_stride: usize,
    batch: usize,
    biased: bool,
    exact: bool,
}

/// Joins what can be joined of `steps`, whose outputs move into one storage. Those in `kept` stay where
/// they are; no binding of weights is larger than the target's largest.
///
/// # Errors
/// Those of [`select`].
pub(super) fn join_layers(
    steps: &mut Vec<Step>,
    storages: &mut [Storage],
    kept: &[View],
    graph: &Graph,
    target: &Target,
) -> Result<()> {
    for demodulate in [false, true] {
        let mut first = 0;
        while first < steps.len() {
            let alone = |step: &Step| {
                let View { storage, offset, shape, .. } = step.output;
                let whole = offset == 0 && storages[storage.index()].len == shape.len();
                whole && kept.iter().all(|view| view.storage != storage)
            };
            let common = common(&steps[first], graph)
                .filter(|common| common.demodulate == demodulate && alone(&steps[first]));
            if let Some(common) = common {
                let like = |step: &Step| {
                    self::common(step, graph).as_ref() == Some(&common) && alone(step)
                };
                let members: Vec<usize> =
                    (first..steps.len()).filter(|&at| like(&steps[at])).collect();
                // What the last of them reads must be there when the first of them is computed.
                let written = steps[first..].iter().all(|s| s.output.storage != common.storage);
                let fits = bytes(steps, &members, graph) <= target.max_binding;
                if members.len() > 1 && written && fits {
                    join(steps, storages, &members, demodulate);
                    let context = Context { target, graph, storages };
                    steps[first].variant = select(&steps[first], context)?;
                }
            }
            first += 1;
        }
    }
    Ok(())
}

/// The layer that `step` computes, from the first value of its operand's storage on.
fn layer(step: &Step) -> Option<(Layer, bool)> {
    let bias = step.epilogue.bias;
    let first = step.operands.first()?.offset;
    let (weight, demodulate) = match step.op {
        Op::Linear(Linear(weight)) => (weight, false),
        Op::Demodulate(Demodulate(weight)) if bias.is_none() => (weight, true),
        _ => return None,
    };
    let plain = step.epilogue == Epilogue { bias, ..Epilogue::default() };
    // Kernels were chosen that read outputs by words of four values.
    let words = step.output.shape.c.is_multiple_of(4);
    (plain && words).then_some((Layer { weight, bias, first }, demodulate))
}

fn common(step: &Step, graph: &Graph) -> Option<Common> {
    let (layer, demodulate) = layer(step)?;
    let x = step.operands.first()?;
    Some(Common {
        demodulate,
        storage: x.storage,
        batch_stride: x.batch_stride,
        batch: x.shape.n,
        biased: layer.bias.is_some(),
        exact: graph.param(layer.weight).exact,
    })
}

/// Bytes of the weights of `members` at most.
fn bytes(steps: &[Step], members: &[usize], graph: &Graph) -> usize {
    let layers = members.iter().filter_map(|&at| layer(&steps[at]));
    let len = |(layer, demodulate): (Layer, bool)| {
        packed_len(graph.param(layer.weight), Layout::of_layers(demodulate)) * Dtype::F32.size()
    };
    layers.map(len).sum()
}

fn join(steps: &mut Vec<Step>, storages: &mut [Storage], members: &[usize], demodulate: bool) {
    let operands = || members.iter().filter_map(|&at| steps[at].operands.first());
    let start = operands().map(|x| x.offset).min().unwrap_or(0);
    let end = operands().map(|x| x.offset + x.shape.sample()).max().unwrap_or(0);
    let Some(&x) = operands().next() else { return };
    let batch = x.shape.n;
    let x = View { offset: start, shape: Shape::vector(batch, end - start), ..x };

    let mut layers = Vec::new();
    // Where outputs stood, and the first value of theirs now.
    let mut moved: Vec<(StorageId, usize)> = Vec::new();
    let mut outputs = 0;
    for &at in members {
        let Some((layer, _)) = layer(&steps[at]) else { return };
        layers.push(Layer { first: layer.first - start, ..layer });
        moved.push((steps[at].output.storage, outputs));
        outputs += steps[at].output.shape.c;
    }
    let home = moved[0].0;
    let output = View {
        storage: home,
        offset: 0,
        batch_stride: outputs,
        shape: Shape::vector(batch, outputs),
        blocked: false,
    };
    for (storage, _) in &moved {
        storages[storage.index()].len = 0;
    }
    storages[home.index()].len = batch * outputs;
    for view in steps.iter_mut().flat_map(Step::views_mut) {
        if let Some((_, first)) = moved.iter().find(|(storage, _)| *storage == view.storage) {
            *view =
                View { storage: home, offset: view.offset + first, batch_stride: outputs, ..*view };
        }
    }
    let name = steps[members[0]].name.clone();
    let op = Linears { layers, demodulate };
    steps[members[0]] = Step::new(name, op, Variant::Linears(LinearForm::Values), vec![x], output);
    let mut at = 0;
    steps.retain(|_| {
        at += 1;
        !members[1..].contains(&(at - 1))
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::graph::{Conv2d, Graph, Param, ops};
    use crate::plan::{Plan, Target};
    use crate::tensor::Shape;

    /// Two modulated convolutions with styles of parts of a latent; with `seen` the first style is an
    /// output, too.
    fn generator(seen: bool) -> Plan {
        let mut graph = Graph::new();
        let param = |graph: &mut Graph, dims: &[usize]| {
            let values = vec![0.5; dims.iter().product()];
            graph.add_param(Param::from_values("p", dims.to_vec(), &values))
        };
        let mut x = graph.add_input("x", Shape::new(2, 8, 5, 5));
        let latent = graph.add_input("latent", Shape::vector(2, 24));
        for layer in 0..2 {
            let part = ops::Slice { start: 12 * layer, end: 12 * layer + 12 };
            let part = graph.add(part, &[latent]).unwrap();
            let weight = param(&mut graph, &[8, 12]);
            let style = graph.add(ops::Linear(weight), &[part]).unwrap();
            let bias = param(&mut graph, &[8]);
            let style = graph.add(ops::Bias(bias), &[style]).unwrap();
            if seen && layer == 0 {
                graph.set_output(style);
            }
            let conv = Conv2d::same(param(&mut graph, &[8, 8, 3, 3]), 3);
            let conv = ops::ModulatedConv2d { conv, demodulate: true };
            x = graph.add(conv, &[x, style]).unwrap();
        }
        graph.set_output(x);
        Plan::new(Arc::new(graph), Target::webgpu_defaults()).unwrap()
    }

    #[test]
    fn styles_and_their_factors_have_a_step_each() {
        let plan = generator(false);
        assert_eq!([plan.count("linears"), plan.count("linear"), plan.steps.len()], [2, 0, 4]);
        let styles = [&plan.steps[2], &plan.steps[3]].map(|step| step.operands[1]);
        assert_eq!(styles[0].storage, styles[1].storage);
        assert_eq!(styles.map(|style| (style.offset, style.batch_stride)), [(0, 16), (8, 16)]);
        let factors = [&plan.steps[2], &plan.steps[3]].map(|step| step.epilogue.demodulation);
        assert_eq!(factors.map(|factors| factors.unwrap().offset), [0, 8]);
    }

    #[test]
    fn an_output_stays_where_it_is() {
        let plan = generator(true);
        assert_eq!([plan.count("linears"), plan.count("linear")], [0, 2]);
        assert_eq!(plan.outputs[0].batch_stride, 8);
    }
}
