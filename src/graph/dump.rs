//! A graph as text and as Graphviz.
