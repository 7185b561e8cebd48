//! Says what a network is that was not recognised.

use super::find::Mismatch;
use super::graph::{Graph, Op};

/// One clause: what the network is or has, and where it ceased to be the nearest of the known ones.
pub(super) fn describe(graph: &Graph, nearest: Option<(&str, Mismatch)>, known: &[&str]) -> String {
    let mut text = match relative(graph) {
        Some(name) => format!("it is {name}, which is not read from such a file"),
        None => format!("it has {} and is none of {}", layers(graph), known.join(", ")),
    };
    // A network that differs in its last step is like none of them.
    if let Some((name, Mismatch { at, expected })) = nearest
        && !graph.outputs.contains(&at)
        && let Some(node) = graph.node(at)
    {
        text += &format!(
            "; it is most like {name}, which has {expected} where this has {}",
            node.label
        );
    }
    text
}

/// `12 convolutions and 3 linear layers`
fn layers(graph: &Graph) -> String {
    let kinds: [(usize, &str); 4] = [
        (graph.count(|op| matches!(op, Op::Conv(_))), "convolutions"),
        (graph.count(|op| matches!(op, Op::ConvTranspose(_))), "transposed convolutions"),
        (graph.count(|op| matches!(op, Op::Linear)), "linear layers"),
        (graph.count(|op| matches!(op, Op::MatMul)), "products of matrices"),
    ];
    let there: Vec<String> = (kinds.into_iter().filter(|&(count, _)| count > 0))
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    if there.is_empty() { "no convolutions".into() } else { there.join(", ") }
}

/// Networks of the same field whose files are met often.
fn relative(graph: &Graph) -> Option<&'static str> {
    let convs = graph.count(|op| matches!(op, Op::Conv(_)));
    let transposed = graph.count(|op| matches!(op, Op::ConvTranspose(_)));
    let linear = graph.count(|op| matches!(op, Op::Linear));
    let norms = graph.count(|op| matches!(op, Op::LayerNorm(_)));
    let softmax = graph.count(|op| matches!(op, Op::Softmax));
    let gelus = graph.count(|op| matches!(op, Op::Gelu | Op::Erf));
    // Those of CodeFormer, which has layers of a transformer too.
    let groups = graph.count(|op| matches!(op, Op::InstanceNorm(_) | Op::GroupNorm { .. }));
    let transformer = norms > 12 || softmax > 3 && gelus > 3;
    let inputs = graph.count(|op| matches!(op, Op::Input));
    let warps = graph.nodes().iter().any(|node| node.label.starts_with("rife."));
    let output = match *graph.outputs.as_slice() {
        [only] => graph.node(only),
        _ => None,
    };
    let ends_linear = output.is_some_and(|node| {
        matches!(node.op, Op::Linear | Op::BatchNorm(_)) && linear <= 2 && convs > 20
    });
    match () {
        () if warps => Some("RIFE, which makes frames between frames"),
        () if ends_linear => Some("a recogniser of faces or of classes, which makes no picture"),
        () if inputs == 2 && convs > 10 && linear > 4 => {
            Some("a network of two inputs, such as a face swapper")
        }
        () if transposed > 0 && softmax > 3 && groups == 0 => {
            Some("a transformer with transposed convolutions, such as SCUNet")
        }
        () if transposed > 0 && convs > 5 && convs < 60 && norms == 0 && linear < 16 => {
            Some("a network with transposed convolutions, such as waifu2x, Real-CUGAN or XSeg")
        }
        () if transformer && groups == 0 => Some("a transformer, such as SwinIR, HAT or DAT"),
        () => None,
    }
}
