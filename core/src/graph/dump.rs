//! A graph as text and as Graphviz.

use std::fmt;

use super::Graph;

impl fmt::Display for Graph {
    /// One line per node: number, name, operation, inputs, shape.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.nodes().iter().enumerate() {
            let inputs: Vec<String> =
                node.inputs.iter().map(|id| format!("%{}", id.index())).collect();
            let op = node.op.name();
            let (name, shape) = (&node.name, node.shape);
            writeln!(f, "%{index} = {op}({}) {shape}  # {name}", inputs.join(", "))?;
        }
        let outputs: Vec<String> =
            self.outputs().iter().map(|id| format!("%{}", id.index())).collect();
        writeln!(f, "return {}", outputs.join(", "))
    }
}

/// A string inside a Graphviz label.
pub fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

impl Graph {
    /// The graph in Graphviz' language, one box per node.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph network {\n  node [shape=box, fontname=sans];\n");
        for (index, node) in self.nodes().iter().enumerate() {
            let label = format!("{}\\n{}\\n{}", escaped(&node.name), node.op.name(), node.shape);
            dot += &format!("  n{index} [label=\"{label}\"];\n");
            for input in &node.inputs {
                dot += &format!("  n{} -> n{index};\n", input.index());
            }
        }
        dot + "}\n"
    }
}
