//! Every tensor of a file is accounted for: read by its network, known to serve the training alone,
//! or a reason to refuse the file. A relative of a network, which has one more branch, would
//! otherwise run as that network and give a wrong picture.

use pentimento_convert::matches;

use super::{Network, relatives};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// Tensors of any network that only count, or that follow from its sizes: steps of the training, and
/// the places and masks that windows of attention are made with.
const OF_ANY_NETWORK: [&str; 14] = [
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
    "*.relative_position_index",
    "*.attn_mask",
];

/// Refuses a file with a tensor that its network does not have, and names what the file may be.
///
/// # Errors
/// [`Error::Checkpoint`]; what building the network says when a tensor is missing or misshapen.
pub(crate) fn account(checkpoint: &Checkpoint, network: &dyn Network) -> Result<()> {
    let watched = checkpoint.watched();
    network.build_whole(&watched)?;
    let own = network.training_only();
    let known = |name: &str| {
        let patterns = OF_ANY_NETWORK.into_iter().chain(own.iter().map(String::as_str));
        patterns.into_iter().any(|pattern| matches(pattern, name))
    };
    let strays: Vec<&str> = watched.unread().into_iter().filter(|name| !known(name)).collect();
    let [first, ..] = strays.as_slice() else { return Ok(()) };
    if let Some(relative) = relatives::told_by(checkpoint, &strays) {
        return Err(relative.refusal(checkpoint));
    }
    let listed = match strays.len() {
        1 => format!("the tensor {first}"),
        n => format!("the tensor {first} and {} more", n - 1),
    };
    let pattern = pattern(&strays);
    Err(Error::Checkpoint {
        path: checkpoint.path().to_owned(),
        what: format!(
            "is like {0}, but {listed} are not of it: a relative of {0} that is not supported, \
             which would run as the wrong network; where they are known to serve the training \
             alone, `pentimento convert --drop \"{pattern}\"` leaves them out",
            network.name()
        ),
    })
}

/// A pattern of these names and, where it can be, of no other.
fn pattern(names: &[&str]) -> String {
    let (Some(first), 2..) = (names.first(), names.len()) else {
        return names.concat();
    };
    let shared = |name: &&str| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let mut end = names.iter().map(shared).min().unwrap_or(0);
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}*", &first[..end])
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_pattern_covers_all_names() {
        assert_eq!(pattern(&["a.weight"]), "a.weight");
        assert_eq!(pattern(&["conv_up3.bias", "conv_up3.weight"]), "conv_up3.*");
        assert_eq!(pattern(&["a", "b"]), "*");
    }
}
