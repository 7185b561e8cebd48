//! Every tensor of a file is accounted for: read by its network, known to serve the training alone,
//! or a reason to refuse the file. A relative of a network, which has one more branch, would
//! otherwise run as that network and give a wrong picture.

use std::collections::HashSet;

use pentimento_convert::matches;

use super::{Network, relatives};
use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

/// Single values of any network that only count: steps of the training, and what thop counted.
const COUNTERS: [&str; 16] = [
    "*.num_batches_tracked",
    "num_batches_tracked",
    "n_averaged",
    "num_updates",
    "decay",
    "step",
    "steps",
    "global_step",
    "epoch",
    "iter",
    "iteration",
    "it",
    "total_ops",
    "total_params",
    "*.total_ops",
    "*.total_params",
];

/// Tensors of any network that follow from its sizes: the places and masks that windows of attention
/// are made with.
const TABLES: [&str; 2] = ["*.relative_position_index", "*.attn_mask"];

/// Refuses a file with a tensor that its network does not have, and names what the file may be.
///
/// # Errors
/// [`Error::Checkpoint`]; what building the network says when a tensor is missing or misshapen.
pub(crate) fn account(checkpoint: &Checkpoint, network: &dyn Network) -> Result<()> {
    let watched = checkpoint.watched();
    network.build_whole(&watched)?;
    let own = network.training_only();
    let known = |name: &str| {
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, name));
        any(&COUNTERS) && checkpoint.is_single_value(name)
            || any(&TABLES)
            || own.iter().any(|pattern| matches(pattern, name))
    };
    let strays: Vec<&str> = watched.unread().into_iter().filter(|name| !known(name)).collect();
    let [first, ..] = strays.as_slice() else { return Ok(()) };
    let stray: HashSet<&str> = strays.iter().copied().collect();
    let others: Vec<&str> = checkpoint.names().filter(|name| !stray.contains(name)).collect();
    if let Some(relative) = relatives::told_by(checkpoint, &strays, &others) {
        return Err(relative.refusal(checkpoint));
    }
    let listed = match strays.len() {
        1 => format!("the tensor {first} is"),
        n => format!("the tensor {first} and {} more are", n - 1),
    };
    let drop = match pattern(&strays, &others) {
        Some(pattern) => format!("`pentimento convert --drop \"{pattern}\"` leaves them out"),
        None => format!("`pentimento convert --drop \"{first}\"` and so on leaves them out"),
    };
    Err(Error::Checkpoint {
        path: checkpoint.path().to_owned(),
        what: format!(
            "is like {0}, but {listed} not of it: a relative of {0} that is not supported, \
             which would run as the wrong network; where they are known to serve the training \
             alone, {drop}",
            network.name()
        ),
    })
}

/// A pattern of all these names and of none of the others: what they begin with, or a part between
/// dots that all have.
fn pattern(names: &[&str], others: &[&str]) -> Option<String> {
    let (&first, rest) = names.split_first()?;
    if rest.is_empty() {
        return Some(first.to_owned());
    }
    let shared = |name: &&str| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let mut end = rest.iter().map(shared).min().unwrap_or(0);
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    let parts = first.split('.').map(|part| format!("*.{part}.*"));
    let mut patterns = std::iter::once(format!("{}*", &first[..end])).chain(parts);
    patterns.find(|pattern| {
        names.iter().all(|name| matches(pattern, name))
            && !others.iter().any(|name| matches(pattern, name))
    })
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_pattern_covers_these_names_and_no_others() {
        for (names, others, expected) in [
            (&["a.weight"][..], &["a.bias"][..], Some("a.weight")),
            (&["conv_up3.bias", "conv_up3.weight"], &["conv_up2.bias"], Some("conv_up3.*")),
            (&["b.0.x.w", "b.1.x.w"], &["b.0.y.w", "b.1.y.w"], Some("*.x.*")),
            (&["a.v", "b.v"], &["a.w", "b.w"], None),
        ] {
            assert_eq!(pattern(names, others).as_deref(), expected, "{names:?}");
        }
    }
}
