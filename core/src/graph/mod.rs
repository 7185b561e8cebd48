//! The intermediate representation: a list of typed, shape-checked nodes. Pure data; knows no device.

mod dump;
pub mod ops;
mod param;
mod shape;
mod work;

pub use dump::escaped;
pub use ops::{Activation, Conv2d, Interpolation, Op, Padding, Path};
pub use param::{Encoding, Param, Storage};
pub use shape::ShapeError;

use crate::tensor::Shape;

/// A node of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A parameter of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ParamId(pub(crate) u32);

impl ParamId {
    /// Position in [`Graph::params`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation, its inputs and the shape it yields.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the node stands in the network, for dumps, profiles and messages.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// The nodes that it reads, all earlier ones.
    pub inputs: Vec<NodeId>,
    /// The shape of the result.
    pub shape: Shape,
    /// Whether it is stored in f32 in an f16 plan, too: its rounding would change what is decided
    /// from it.
    pub exact: bool,
}

/// A network for one input shape, in execution order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    params: Vec<Param>,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    scope: Vec<String>,
    exact: bool,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes, in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The inputs, in the order in which a caller gives them.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// The outputs.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The node `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The shape that node `id` yields.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.node(id).shape
    }

    /// The parameter `id`.
    pub fn param(&self, id: ParamId) -> &Param {
        &self.params[id.index()]
    }

    /// Adds a parameter.
    pub fn add_param(&mut self, mut param: Param) -> ParamId {
        let id = ParamId(self.params.len() as u32);
        param.exact = self.exact;
        self.params.push(param);
        id
    }

    /// Adds an input of `shape`.
    pub fn add_input(&mut self, name: &str, shape: Shape) -> NodeId {
        let id = self.push(name.to_owned(), ops::Input.into(), Vec::new(), shape);
        self.inputs.push(id);
        id
    }

    /// Adds a node after checking its inputs and parameters.
    ///
    /// # Errors
    /// [`ShapeError`] names the node and what does not fit.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, ShapeError> {
        let op = op.into();
        let name = if self.scope.is_empty() {
            format!("{}_{}", op.name(), self.nodes.len())
        } else {
            format!("{}.{}", self.scope.join("."), op.name())
        };
        let shape = shape::infer(self, &op, inputs)
            .map_err(|what| ShapeError { node: name.clone(), what })?;
        Ok(self.push(name, op, inputs.to_vec(), shape))
    }

    /// Names the nodes that `build` adds after `scope`.
    pub fn scoped<T>(&mut self, scope: impl Into<String>, build: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.push(scope.into());
        let result = build(self);
        self.scope.pop();
        result
    }

    /// Whether the nodes and parameters that are added from now on stay in f32 in f16 plans, too.
    pub fn set_exact(&mut self, exact: bool) {
        self.exact = exact;
    }

    /// Marks a node as an output.
    pub fn set_output(&mut self, id: NodeId) {
        self.outputs.push(id);
    }

    fn push(&mut self, name: String, op: Op, inputs: Vec<NodeId>, shape: Shape) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node { name, op, inputs, shape, exact: self.exact });
        id
    }
}
