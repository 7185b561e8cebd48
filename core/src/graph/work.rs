//! How much a graph computes.

use super::{Graph, Node};
use crate::tensor::Shape;

impl Graph {
    /// Multiply-adds of one run: convolutions, matrix products, attention and filters; one FLOP is
    /// half of one. Everything else costs memory traffic, not arithmetic.
    pub fn multiply_adds(&self) -> u64 {
        self.nodes().iter().map(|node| self.multiply_adds_of(node)).sum()
    }

    fn multiply_adds_of(&self, node: &Node) -> u64 {
        let inputs: Vec<Shape> = node.inputs.iter().map(|&id| self.shape(id)).collect();
        node.op.multiply_adds(self, &inputs, node.shape) as u64
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Conv2d, Graph, Padding, Param, Path, ops};
    use crate::tensor::Shape;

    #[test]
    fn counts_of_single_ops() {
        let mut graph = Graph::new();
        let x = graph.add_input("x", Shape::new(2, 4, 5, 7));
        let s = graph.add_input("s", Shape::vector(2, 4));
        let zeros = |name: &str, dims: &[usize]| {
            Param::from_values(name, dims.to_vec(), &vec![0.0; dims.iter().product()])
        };
        let mut expected = 0;

        let grouped = graph.add_param(zeros("grouped", &[8, 2, 3, 3]));
        let conv = Conv2d { groups: 2, ..Conv2d::same(grouped, 3) };
        graph.add(conv, &[x]).unwrap();
        expected += 2 * 8 * 5 * 7 * (2 * 9);

        let weight = graph.add_param(zeros("up", &[6, 4, 3, 3]));
        let conv = Conv2d { stride: 2, padding: Padding::default(), ..Conv2d::same(weight, 3) };
        let up = ops::ModulatedConvTranspose2d { conv, demodulate: true };
        graph.add(up, &[x, s]).unwrap();
        expected += 2 * 5 * 7 * 4 * (6 * 9);

        let (a, b) = (zeros("a", &[3, 4, 3, 3]), zeros("b", &[2, 4, 5, 5]));
        let path = |weight| Path { weight, first_channel: 0, channels: 4, dilation: 1, groups: 1 };
        let paths = [a, b].map(|p| path(graph.add_param(p))).to_vec();
        graph.add(ops::MultiPathConv(paths), &[x]).unwrap();
        expected += 2 * 5 * 7 * 4 * (3 * 9 + 2 * 25);

        let weight = graph.add_param(zeros("linear", &[10, 4]));
        graph.add(ops::Linear(weight), &[s]).unwrap();
        expected += 2 * 10 * 4;

        let attention = ops::Attention { heads: 2 };
        graph.add(attention, &[x, x, x]).unwrap();
        expected += 2 * (2 * 2) * (5 * 7) * (5 * 7) * 2;

        graph.add(ops::Scale(2.0), &[x]).unwrap();
        assert_eq!(graph.multiply_adds(), expected);
    }
}
