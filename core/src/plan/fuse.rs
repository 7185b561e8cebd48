//! Which nodes become one step: a compute node and the elementwise nodes after it that fit the
//! fixed order of an [`Epilogue`](super::Epilogue).

use crate::graph::ops::{Cost, Part, Role};
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

/// The part of an epilogue that `op` may become.
pub(super) fn part(op: &Op) -> Option<Part> {
    if let Role::Part(part) = op.planning().role { Some(part) } else { None }
}

/// The slot that `part` takes after a chain whose last slot is `taken`; `None` when it does not fit.
pub(super) fn slot(part: Part, taken: Option<Slot>) -> Option<Slot> {
    let slot = match part {
        Part::Noise(_) => Slot::Noise,
        Part::Bias(_) => Slot::Bias,
        Part::Activation(_) => Slot::Activation,
        Part::Sft(_) => Slot::Sft,
        Part::Residual => Slot::Residual,
        Part::ChannelScale => Slot::Demodulation,
        // Gains multiply, so one slot holds any number of them.
        Part::Gain(_) => {
            return Some(match taken {
                None | Some(Slot::Demodulation | Slot::Gain) => Slot::Gain,
                Some(s) if s <= Slot::ActivationGain => Slot::ActivationGain,
                Some(_) => Slot::OutputGain,
            });
        }
    };
    taken.is_none_or(|t| t < slot).then_some(slot)
}

/// Whether a node moves no data of its own: it names memory that others fill.
pub(super) fn is_view(op: &Op) -> bool {
    op.planning().role == Role::View
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
    let heavy = |op: &Op| op.planning().role == Role::Step(Cost::Heavy);
    let light = |op: &Op| op.planning().role == Role::Step(Cost::Light);
    let part = |op: &Op| part(op).is_some();
    for pass in [&heavy as &dyn Fn(&Op) -> bool, &light, &part] {
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

/// Storage buffers that a kernel may bind: WebGPU's default limit.
const MAX_BUFFERS: usize = 8;

/// Buffers that `part` adds to a step that has taken the slots up to `taken`. Noise, bias and slopes
/// share one.
fn more_buffers(part: Part, taken: Option<Slot>) -> usize {
    let shared = matches!(taken, Some(Slot::Noise | Slot::Bias));
    match part {
        Part::Noise(_) | Part::Bias(_) | Part::Activation(Activation::Prelu(_)) => {
            usize::from(!shared)
        }
        Part::Sft(_) => 2,
        Part::Residual | Part::ChannelScale => 1,
        Part::Gain(_) | Part::Activation(_) => 0,
    }
}

fn grow(graph: &Graph, users: &[Vec<NodeId>], absorbed: &[bool], head: NodeId) -> Chain {
    let mut chain = Chain { head, epilogue: Vec::new(), last: head };
    let op = &graph.node(head).op;
    // It has factors of its own.
    let mut taken = op.is_modulated().then_some(Slot::Demodulation);
    let mut bound = op.planning().buffers;
    if let Some(part) = part(op) {
        bound += more_buffers(part, None);
        taken = slot(part, None);
        chain.epilogue.push(head);
    }
    while let [user] = users[chain.last.index()][..] {
        let node = graph.node(user);
        let Some(part) = part(&node.op) else { break };
        let main = node.inputs[0] == chain.last || part == Part::Residual;
        if graph.outputs().contains(&chain.last) || absorbed[user.index()] || !main {
            break;
        }
        let Some(next) = slot(part, taken) else { break };
        bound += more_buffers(part, taken);
        if bound > MAX_BUFFERS {
            break;
        }
        taken = Some(next);
        chain.epilogue.push(user);
        chain.last = user;
    }
    chain
}
