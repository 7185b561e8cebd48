//! What the names say under which training programs save weights: whether they are smoothed, a
//! generator's, or another network's.

/// Names of a generator's weights, the preferred first; in each, the smoothed ones come before all
/// others.
pub const CONTAINERS: [&str; 7] =
    ["params_ema", "g_ema", "params", "g", "state_dict", "model", "net_g"];

/// Words that stand for an average over the steps of a training.
const SMOOTHED: [&str; 7] = ["ema", "shadow", "averaged", "average", "avg", "swa", "smoothed"];

/// Words that stand for the network itself.
const OWN: [&str; 26] = [
    "params",
    "param",
    "parameters",
    "g",
    "gen",
    "generator",
    "net",
    "netg",
    "network",
    "networks",
    "model",
    "models",
    "module",
    "state",
    "dict",
    "statedict",
    "sd",
    "weights",
    "weight",
    "student",
    "online",
    "sr",
    "vqvae",
    "copy",
    "target",
    "best",
];

/// Words that stand for what only the training needs.
const OTHERS: [&str; 24] = [
    "d",
    "netd",
    "disc",
    "discriminator",
    "discriminators",
    "critic",
    "optimizer",
    "optimizers",
    "optim",
    "optimizerg",
    "optimizerd",
    "scheduler",
    "schedulers",
    "loss",
    "losses",
    "criterion",
    "vgg",
    "perceptual",
    "identity",
    "arcface",
    "lpips",
    "preprocessor",
    "teacher",
    "scaler",
];

/// Names of single numbers that programs save beside the weights, or among them.
const COUNTERS: [&str; 10] = [
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
];

/// What a name, or a path of names, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// A network's weights, averaged.
    Smoothed,
    /// A network's weights.
    Own,
    /// Nothing that is known.
    Unknown,
    /// Of the training alone.
    Other,
}

/// What one name says: `net_g_ema`, `params-ema`, `ema_state_dict`, `discriminator`.
pub(crate) fn of(name: &str) -> Role {
    let lower = name.to_ascii_lowercase();
    let words =
        || lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    if words().any(|word| OTHERS.contains(&word)) {
        return Role::Other;
    }
    let known = |word: &str| OWN.contains(&word) || SMOOTHED.contains(&word);
    match (words().next().is_some() && words().all(known), words().any(|w| SMOOTHED.contains(&w))) {
        (true, true) => Role::Smoothed,
        (true, false) => Role::Own,
        (false, _) => Role::Unknown,
    }
}

/// Whether one of the name's words stands for an average, whatever the others are.
fn averages(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| SMOOTHED.contains(&word))
}

/// What the names of a path say together: the worst of them, and smoothed where one is.
pub(crate) fn of_path<'n>(path: impl Iterator<Item = &'n str>) -> Role {
    let mut smoothed = false;
    let mut worst = Role::Smoothed;
    for role in path.map(of) {
        smoothed |= role == Role::Smoothed;
        worst = worst.max(role);
    }
    match worst {
        Role::Own if smoothed => Role::Smoothed,
        worst => worst,
    }
}

/// How likely a place with tensors is what a person wants: the smaller, the likelier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    class: u8,
    /// Whether no name says that these are averaged.
    raw: bool,
    /// Place in [`CONTAINERS`].
    order: usize,
}

impl Rank {
    /// Whether another place of the same rank may as well be meant.
    pub fn is_doubtful(self) -> bool {
        self.class > TOP
    }
}

/// Class of tensors that lie at the top, after those under a known name, as the public loaders have
/// it.
const TOP: u8 = 2;

/// The rank of the place under these names; `weights`: whether a tensor there has more than one
/// dimension, as those of a network do.
pub(crate) fn rank(path: &[&str], weights: bool) -> Rank {
    let known = path.last().and_then(|name| CONTAINERS.iter().position(|c| c == name));
    let class = match of_path(path.iter().copied()) {
        _ if !weights => 5,
        _ if path.is_empty() => TOP,
        Role::Smoothed => 0,
        Role::Own => 1,
        Role::Unknown => 3,
        Role::Other => 4,
    };
    let raw = !path.iter().any(|name| averages(name));
    Rank { class, raw, order: known.unwrap_or(CONTAINERS.len()) }
}

/// Whether a tensor without dimensions of that name only counts.
pub(crate) fn is_counter(name: &str) -> bool {
    COUNTERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Role, of, of_path, rank};

    #[test]
    fn names_of_public_programs_are_known() {
        for name in [
            "params_ema",
            "params-ema",
            "ema",
            "ema_state_dict",
            "state_dict_ema",
            "generator_ema",
            "model_ema",
            "g_ema",
            "netG_ema",
            "ema_model",
            "net_g_ema",
            "shadow",
        ] {
            assert_eq!(of(name), Role::Smoothed, "{name}");
        }
        for name in ["params", "g", "state_dict", "model", "net_g", "netG", "net", "generator"] {
            assert_eq!(of(name), Role::Own, "{name}");
        }
        for name in
            ["d", "net_d", "netD", "discriminator_ema", "optimizer", "data_preprocessor", "loss"]
        {
            assert_eq!(of(name), Role::Other, "{name}");
        }
        for name in ["body", "conv_first", "encoder", "", "ecd0"] {
            assert_eq!(of(name), Role::Unknown, "{name}");
        }
    }

    #[test]
    fn of_two_places_of_a_kind_the_smoothed_one_is_first() {
        for [raw, smoothed] in
            [[&["x", "params"][..], &["x", "ema"]], [&["x", "unet"], &["x", "unet_ema"]]]
        {
            assert!(rank(smoothed, true) < rank(raw, true), "{raw:?}");
        }
        assert_eq!(rank(&["one"], true), rank(&["two"], true));
    }

    #[test]
    fn a_path_is_smoothed_where_a_part_of_it_is() {
        assert_eq!(of_path(["state_dict", "generator_ema"].into_iter()), Role::Smoothed);
        assert_eq!(of_path(["ema", "net_d"].into_iter()), Role::Other);
        assert_eq!(of_path(["epoch_3", "params_ema"].into_iter()), Role::Unknown);
    }
}
