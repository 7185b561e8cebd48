//! Which values are written straight into a concatenation, so that nothing has to be copied there.
//!
//! A concatenation whose inputs are a run of a longer one's is a part of it: the dense blocks of
//! RRDBNet concatenate x, then x and y₁, then x, y₁ and y₂, all in one storage. Their convolutions
//! read the first channels and write those behind.

use std::collections::HashMap;
use std::ops::Range;

use super::fuse::{Chain, is_view};
use super::{Target, Upsample};
use crate::graph::{Graph, NodeId, Op, ops};
use crate::tensor::Dtype;

/// For values that lie in a concatenation: which one, and their first channel there.
pub(super) type Parts = HashMap<NodeId, (NodeId, usize)>;

/// What is known of a graph before its concatenations are laid out.
pub(super) struct Known<'a, D> {
    pub graph: &'a Graph,
    pub target: &'a Target,
    pub chains: &'a [Chain],
    pub users: &'a [Vec<NodeId>],
    pub live: &'a [bool],
    /// Resizes that the convolution after them does in its loads.
    pub folded: &'a HashMap<NodeId, Upsample>,
    /// How a value is stored.
    pub dtype: D,
}

impl<D: Fn(NodeId) -> Dtype> Known<'_, D> {
    /// Lays out all concatenations.
    pub fn join(&self) -> Parts {
        let graph = self.graph;
        let concats: Vec<NodeId> = (0..graph.nodes().len() as u32)
            .map(NodeId)
            .filter(|&id| self.live[id.index()] && matches!(graph.node(id).op, Op::Concat(_)))
            .collect();
        let mut parts = Parts::new();
        for &concat in &concats {
            if let Some(place) = self.containing(concat, &concats) {
                parts.insert(concat, place);
            }
        }
        for concat in concats {
            if parts.contains_key(&concat) {
                continue;
            }
            let mut channel = 0;
            for &input in &graph.node(concat).inputs {
                if !parts.contains_key(&input) && self.joins(input, concat, channel, &parts) {
                    parts.insert(input, (concat, channel));
                }
                channel += graph.shape(input).c;
            }
        }
        parts
    }

    /// The longest concatenation that `concat` is a run of, which therefore lies in no other, and
    /// the channel where it begins there.
    fn containing(&self, concat: NodeId, all: &[NodeId]) -> Option<(NodeId, usize)> {
        let graph = self.graph;
        let part = &graph.node(concat).inputs;
        if graph.outputs().contains(&concat) {
            return None;
        }
        let longest = all
            .iter()
            .filter(|&&whole| {
                let length = |id: NodeId| (graph.node(id).inputs.len(), id);
                length(whole) > length(concat) && (self.dtype)(whole) == (self.dtype)(concat)
            })
            .filter_map(|&whole| {
                let inputs = &graph.node(whole).inputs;
                let start = inputs.windows(part.len()).position(|run| run == part)?;
                Some((inputs.len(), whole, start))
            })
            .max()?;
        let (_, whole, start) = longest;
        let before = graph.node(whole).inputs[..start].iter();
        Some((whole, before.map(|&id| graph.shape(id).c).sum()))
    }

    /// Whether the step that computes `input` may write it to `channel` of `concat`.
    fn joins(&self, input: NodeId, concat: NodeId, channel: usize, parts: &Parts) -> bool {
        let graph = self.graph;
        let Some(chain) = self.chains.iter().find(|chain| chain.last == input) else {
            return false;
        };
        let shape = graph.shape(input);
        let own = channel..channel + shape.c;
        // A value that is needed later keeps the whole concatenation alive: a small one is copied.
        let cheap =
            2 * shape.c >= graph.shape(concat).c || self.last_use(input) <= self.last_use(concat);
        // The ranges of bytes that a step binds to write and to read must not overlap.
        let bytes = shape.plane() * (self.dtype)(concat).size();
        let aligned = |channel: usize| (channel * bytes).is_multiple_of(self.target.alignment);
        let apart = |read: Range<usize>| {
            shape.n == 1
                && (read.end <= own.start && aligned(own.start)
                    || own.end <= read.start && aligned(read.start))
        };
        cheap
            && !self.folded.contains_key(&input)
            && !graph.outputs().contains(&input)
            && (self.dtype)(input) == (self.dtype)(concat)
            && self.reads(chain).all(|read| match self.region(read, parts) {
                Some((whole, channels)) if whole == concat => apart(channels),
                _ => true,
            })
    }

    /// The nodes whose values a chain's step reads.
    fn reads<'b>(&'b self, chain: &'b Chain) -> impl Iterator<Item = NodeId> + 'b {
        let all = [chain.head].into_iter().chain(chain.epilogue.iter().copied());
        all.flat_map(|id| self.graph.node(id).inputs.iter().copied()).map(|id| {
            if self.folded.contains_key(&id) { self.graph.node(id).inputs[0] } else { id }
        })
    }

    /// The concatenation that holds the value of `id`, and its channels there.
    fn region(&self, id: NodeId, parts: &Parts) -> Option<(NodeId, Range<usize>)> {
        let node = self.graph.node(id);
        if let Some(&(concat, first)) = parts.get(&id) {
            return Some((concat, first..first + node.shape.c));
        }
        match node.op {
            Op::Concat(_) => Some((id, 0..node.shape.c)),
            Op::Slice(ops::Slice { start, end }) => {
                let (concat, whole) = self.region(node.inputs[0], parts)?;
                Some((concat, whole.start + start..whole.start + end))
            }
            _ => None,
        }
    }

    /// The last node of the last step that reads the value of `id`, or a view of it.
    fn last_use(&self, id: NodeId) -> NodeId {
        let last = |&user: &NodeId| {
            if is_view(&self.graph.node(user).op) {
                return self.last_use(user);
            }
            let chain = (self.chains.iter())
                .find(|chain| chain.head == user || chain.epilogue.contains(&user));
            chain.map_or(user, |chain| chain.last)
        };
        self.users[id.index()].iter().map(last).max().unwrap_or(id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::graph::{Conv2d, Graph, NodeId, Param, ops};
    use crate::plan::{Plan, Target};
    use crate::tensor::Shape;

    /// 3×3 convolution of `x` to `channels`.
    fn conv(graph: &mut Graph, x: NodeId, channels: usize) -> NodeId {
        let dims = [channels, graph.shape(x).c, 3, 3];
        let zeros = vec![0.0; dims.iter().product()];
        let weight = graph.add_param(Param::from_values("w", dims.to_vec(), &zeros));
        graph.add(Conv2d::same(weight, 3), &[x]).unwrap()
    }

    /// Copies in the plan of a dense block of an input of this batch and width.
    fn copies(batch: usize, width: usize, keep: bool) -> usize {
        let mut graph = Graph::new();
        let input = graph.add_input("x", Shape::new(batch, 3, width, width));
        let x = conv(&mut graph, input, 16);
        let mut parts = vec![x];
        for _ in 0..3 {
            let all = graph.add(ops::Concat, &parts).unwrap();
            parts.push(conv(&mut graph, all, 8));
        }
        let all = graph.add(ops::Concat, &parts).unwrap();
        let y = conv(&mut graph, all, 16);
        let mut y = graph.add(ops::Add, &[y, x]).unwrap();
        if keep {
            let later = conv(&mut graph, y, 16);
            y = graph.add(ops::Add, &[later, x]).unwrap();
        }
        graph.set_output(y);
        let target = Target::webgpu_defaults();
        Plan::new(Arc::new(graph), target).unwrap().count("pointwise")
    }

    #[test]
    fn dense_blocks_copy_nothing() {
        assert_eq!(copies(1, 16, false), 0);
    }

    #[test]
    fn what_outlives_the_block_is_copied_once() {
        assert_eq!(copies(1, 16, true), 1);
    }

    #[test]
    fn without_room_between_bindings_the_later_parts_are_copied() {
        // 15 × 15 pixels: the parts begin at no multiple of the alignment.
        assert!(copies(1, 15, false) >= 3);
        // Samples of a batch lie between each other.
        assert!(copies(2, 16, false) >= 3);
    }
}
