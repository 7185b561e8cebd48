//! Which nodes become one step: a compute node and the elementwise nodes after it that fit the
//! fixed order of an [`Epilogue`](super::Epilogue).

use crate::graph::{Activation, Graph, NodeId, Op};

/// A compute node, and the elementwise nodes that its step absorbs, in order.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Computes; an elementwise node when it is first in its chain.
    pub head: NodeId,
    /// Absorbed into the epilogue, with the head when that is elementwise itself.
    pub epilogue: Vec<NodeId>,
    /// Whose value the step stores.
    pub last: NodeId,
}

impl Chain {
    /// The node before `id` in the chain; `None` for the head.
    pub fn before(&self, id: NodeId) -> Option<NodeId> {
        let mut all = [self.head].into_iter().chain(self.epilogue.iter().copied());
        let position = all.clone().skip(1).position(|e| e == id)?;
        all.nth(position).filter(|&before| before != id)
    }
}

/// The slots of an epilogue in the order in which they act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Demodulation,
    Gain,
    Noise,
    Bias,
    Activation,
    ActivationGain,
    Sft,
    Residual,
    OutputGain,
}

/// The slot that `op` takes after a chain whose last slot is `taken`; `None` when it does not fit.
pub(super) fn slot(op: &Op, taken: Option<Slot>) -> Option<Slot> {
    let slot = match op {
        Op::Noise { .. } => Slot::Noise,
        Op::Bias(_) => Slot::Bias,
        Op::Activation(_) => Slot::Activation,
        Op::Sft { .. } => Slot::Sft,
        Op::Add => Slot::Residual,
        Op::ScaleChannels => Slot::Demodulation,
        // Gains multiply, so one slot holds any number of them.
        Op::Scale(_) => {
            return Some(match taken {
                None | Some(Slot::Demodulation | Slot::Gain) => Slot::Gain,
                Some(s) if s <= Slot::ActivationGain => Slot::ActivationGain,
                Some(_) => Slot::OutputGain,
            });
        }
        _ => return None,
    };
    taken.is_none_or(|t| t < slot).then_some(slot)
}

/// Whether a node moves no data of its own: it names memory that others fill.
pub(super) fn is_view(op: &Op) -> bool {
    matches!(op, Op::Input | Op::Slice { .. } | Op::Concat)
}

/// For every node, the nodes that read it, each once per use. Nodes that no output needs have none
/// and count as dead.
pub(super) fn users(graph: &Graph) -> (Vec<Vec<NodeId>>, Vec<bool>) {
    let count = graph.nodes().len();
    let mut live = vec![false; count];
    for &output in graph.outputs() {
        live[output.index()] = true;
    }
    let mut users = vec![Vec::new(); count];
    for index in (0..count).rev() {
        if live[index] {
            for &input in &graph.nodes()[index].inputs {
                live[input.index()] = true;
                users[input.index()].push(NodeId(index as u32));
            }
        }
    }
    (users, live)
}

/// Partitions the live nodes that move data into chains, sorted by their last node.
///
/// A sum of two branches goes to the heavier one: convolutions choose first, then the rest.
pub(super) fn chains(graph: &Graph, users: &[Vec<NodeId>], live: &[bool]) -> Vec<Chain> {
    let mut absorbed = vec![false; graph.nodes().len()];
    let mut chains = Vec::new();
    for pass in [is_heavy as fn(&Op) -> bool, is_light, is_elementwise] {
        for (index, node) in graph.nodes().iter().enumerate() {
            if live[index] && !absorbed[index] && pass(&node.op) {
                let chain = grow(graph, users, &absorbed, NodeId(index as u32));
                absorbed[index] = true;
                for id in &chain.epilogue {
                    absorbed[id.index()] = true;
                }
                chains.push(chain);
            }
        }
    }
    chains.sort_by_key(|c| c.last);
    chains
}

fn is_heavy(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::ModulatedConv2d { .. } | Op::MultiPathConv(_) | Op::Linear(_))
}

fn is_light(op: &Op) -> bool {
    !is_heavy(op) && !is_view(op) && !is_elementwise(op)
}

fn is_elementwise(op: &Op) -> bool {
    slot(op, None).is_some()
}

/// Storage buffers that a kernel may bind: WebGPU's default limit.
const MAX_BUFFERS: usize = 8;

/// Buffers that a step of `op` binds besides what its epilogue adds: input, output, weight, and for
/// modulated convolutions style and demodulation factors.
fn buffers(op: &Op) -> usize {
    match op {
        Op::ModulatedConv2d { .. } => 5,
        _ => 3,
    }
}

/// Buffers that `op` adds to a step that has taken the slots up to `taken`. Noise, bias and slopes
/// share one.
fn more_buffers(op: &Op, taken: Option<Slot>) -> usize {
    let shared = matches!(taken, Some(Slot::Noise | Slot::Bias));
    match op {
        Op::Noise { .. } | Op::Bias(_) | Op::Activation(Activation::Prelu(_)) if !shared => 1,
        Op::Sft { .. } => 2,
        Op::Add | Op::ScaleChannels => 1,
        _ => 0,
    }
}

fn grow(graph: &Graph, users: &[Vec<NodeId>], absorbed: &[bool], head: NodeId) -> Chain {
    let mut chain = Chain { head, epilogue: Vec::new(), last: head };
    let mut taken = match graph.node(head).op {
        // It has factors of its own.
        Op::ModulatedConv2d { .. } => Some(Slot::Demodulation),
        _ => None,
    };
    let mut bound = buffers(&graph.node(head).op);
    if is_elementwise(&graph.node(head).op) {
        bound += more_buffers(&graph.node(head).op, None);
        taken = slot(&graph.node(head).op, None);
        chain.epilogue.push(head);
    }
    while let [user] = users[chain.last.index()][..] {
        let node = graph.node(user);
        let main = node.inputs[0] == chain.last || node.op == Op::Add;
        if graph.outputs().contains(&chain.last) || absorbed[user.index()] || !main {
            break;
        }
        let Some(next) = slot(&node.op, taken) else { break };
        bound += more_buffers(&node.op, taken);
        if bound > MAX_BUFFERS {
            break;
        }
        taken = Some(next);
        chain.epilogue.push(user);
        chain.last = user;
    }
    chain
}
