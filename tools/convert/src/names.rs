//! Names of tensors: what is taken off them, and which are refused.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use crate::{
    error::{Error, Result, is_hidden, short},
    options::Options,
    roles::{self, Role},
};

/// What training programs put before every name: `torch.compile`, `DataParallel` and sharding. They
/// also stand in the middle, where only a part of a network was wrapped.
const WRAPPERS: [&str; 4] =
    ["_orig_mod.", "module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

/// Longest name in bytes; the networks of this field stay below 100.
const MAX_BYTES: usize = 1024;

/// One of several networks whose tensors lie in one dictionary, such as `generator_ema`.
pub(crate) struct Group<'n> {
    /// What its names begin with, before a dot.
    pub name: &'n str,
    /// Whether one of its tensors has more than one dimension.
    pub weights: bool,
}

/// The networks whose tensors, names with their dimensions, lie side by side; none where all are of
/// one network.
pub(crate) fn groups<'n>(tensors: &[(&'n str, usize)]) -> Vec<Group<'n>> {
    let mut groups: Vec<Group<'n>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for &(name, dimensions) in tensors {
        let bare = unwrapped(name);
        let Some((first, rest)) = bare.split_once('.') else {
            // A counter beside networks, or a tensor of the one network.
            match dimensions {
                0 => continue,
                _ => return Vec::new(),
            }
        };
        if roles::of(first) == Role::Unknown || starts_with_digit(rest) && first == "model" {
            return Vec::new();
        }
        let place = *places.entry(first).or_insert_with(|| {
            groups.push(Group { name: first, weights: false });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.weights |= dimensions > 1;
        }
    }
    if groups.len() > 1 { groups } else { Vec::new() }
}

/// The name in its group; `None` for those of other groups.
pub(crate) fn in_group<'n>(name: &'n str, group: Option<&str>) -> Option<&'n str> {
    let Some(group) = group else { return Some(name) };
    unwrapped(name).strip_prefix(group)?.strip_prefix('.').filter(|rest| !rest.is_empty())
}

/// Gives smoothed weights their names back, where the program that smoothed them has taken all dots
/// out (Stable Diffusion's does): those of the other networks in `all`, of whose names they are.
pub(crate) fn with_dots(found: &mut [Cow<'_, str>], all: &[&str]) {
    let flat = |name: &Cow<'_, str>| !name.contains('.');
    if found.iter().all(|name| roles::is_counter(name)) || !found.iter().all(flat) {
        return;
    }
    let mut dotted: HashMap<String, Option<&str>> = HashMap::new();
    for name in all {
        let rest = unwrapped(name).split_once('.').map_or("", |(_, rest)| rest);
        if rest.contains('.') {
            // Two names that are one without their dots are nobody's.
            let whole = dotted.entry(rest.replace('.', "")).or_insert(Some(rest));
            *whole = whole.filter(|whole| *whole == rest);
        }
    }
    let whole = |name: &Cow<'_, str>| dotted.get(&**name).copied().flatten();
    if found.iter().all(|name| roles::is_counter(name) || whole(name).is_some()) {
        for name in found {
            if let Some(whole) = whole(name) {
                *name = whole.to_owned().into();
            }
        }
    }
}

/// The name without the wrappers before it.
fn unwrapped(mut name: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| rest(name, wrapper)) {
        name = inner;
    }
    name
}

/// Removes what training programs put before names, in any order: wrappers where they stand, and a
/// network's name that all have; returns what was removed, in this order.
pub(crate) fn strip(names: &mut [Cow<'_, str>]) -> Vec<String> {
    let mut stripped = Vec::new();
    loop {
        let before = stripped.len();
        for wrapper in WRAPPERS {
            if strip_each(names, wrapper) {
                stripped.push(wrapper.to_owned());
            }
        }
        if let Some(network) = shared_network(names)
            && strip_each(names, &network)
        {
            stripped.push(network);
        }
        if stripped.len() == before {
            break;
        }
    }
    for wrapper in WRAPPERS {
        let inner = format!(".{wrapper}");
        let mut any = false;
        for name in names.iter_mut().filter(|name| name.contains(&inner)) {
            *name = name.replace(&inner, ".").into();
            any = true;
        }
        if any && !stripped.iter().any(|known| known == wrapper) {
            stripped.push(wrapper.to_owned());
        }
    }
    stripped
}

/// The network's name, with its dot, that all names begin with; counters may stand beside them. Not
/// where numbers follow: then it is the network's own list of layers.
fn shared_network(names: &[Cow<'_, str>]) -> Option<String> {
    let mut shared: Option<&str> = None;
    for name in names.iter().filter(|name| !roles::is_counter(name)) {
        let (first, rest) = name.split_once('.')?;
        if rest.is_empty() || starts_with_digit(rest) || shared.is_some_and(|s| s != first) {
            return None;
        }
        shared = Some(first);
    }
    let shared = shared.filter(|name| matches!(roles::of(name), Role::Own | Role::Smoothed))?;
    Some(format!("{shared}."))
}

fn starts_with_digit(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether any name had the prefix.
fn strip_each(names: &mut [Cow<'_, str>], prefix: &str) -> bool {
    let mut any = false;
    for name in names {
        *name = match name {
            Cow::Borrowed(text) => match rest(text, prefix) {
                Some(rest) => Cow::Borrowed(rest),
                None => continue,
            },
            Cow::Owned(text) => match rest(text, prefix) {
                Some(rest) => Cow::Owned(rest.to_owned()),
                None => continue,
            },
        };
        any = true;
    }
    any
}

/// A name that is the prefix alone keeps it.
fn rest<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    name.strip_prefix(prefix).filter(|rest| !rest.is_empty())
}

/// Refuses names that appear twice in `place`, and those that a safetensors file cannot hold or that
/// would do harm in a terminal or as a file's name.
pub(crate) fn check<N: AsRef<str>>(names: &[N], place: &str, options: &Options) -> Result<()> {
    let limit = options.limits.tensors;
    if names.len() > limit {
        let (what, value) = (format!("the list of tensors in {}", short(place)), names.len());
        let (value, limit) = (value as u64, limit as u64);
        return Err(Error::Limit { what, value, limit, option: "tensors" });
    }
    let mut seen = HashSet::new();
    for name in names.iter().map(N::as_ref) {
        let wrong = if name.len() > MAX_BYTES {
            "is longer than 1024 bytes"
        } else if name.chars().any(is_hidden) {
            "holds control characters"
        } else if name == "__metadata__" {
            "is reserved in safetensors files"
        } else if name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
        {
            "is a path to somewhere else"
        } else if !seen.insert(name) {
            return Err(Error::DuplicateName { name: short(name), place: short(place) });
        } else {
            continue;
        };
        return Err(Error::Name { name: short(name), reason: wrong });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{groups, strip, with_dots};

    #[test]
    fn prefixes_are_taken_off_in_any_order() {
        let cases: [(&[&str], &[&str], &[&str]); 16] = [
            (&["module.a", "module.b"], &["a", "b"], &["module."]),
            (&["module.a", "b"], &["a", "b"], &["module."]),
            (&["generator.a", "generator.b"], &["a", "b"], &["generator."]),
            (&["net_g.module.a", "net_g.module.b"], &["a", "b"], &["net_g.", "module."]),
            (&["module.net_g.a", "module.net_g.b"], &["a", "b"], &["module.", "net_g."]),
            // MMRB-Net's own names: not all of them begin so.
            (&["generator.a", "encoder.b"], &["generator.a", "encoder.b"], &[]),
            (&["generator.", "generator.a"], &["generator.", "generator.a"], &[]),
            (
                &["_orig_mod.body.0.w", "_orig_mod.body.1.w"],
                &["body.0.w", "body.1.w"],
                &["_orig_mod."],
            ),
            (
                &["module._orig_mod.a", "module._orig_mod.b"],
                &["a", "b"],
                &["module.", "_orig_mod."],
            ),
            (
                &["netG.module.a", "netG._orig_mod.b"],
                &["a", "b"],
                &["netG.", "_orig_mod.", "module."],
            ),
            (&["vqvae.encoder.a", "vqvae.decoder.b"], &["encoder.a", "decoder.b"], &["vqvae."]),
            (&["model.net.a", "model.net.b"], &["a", "b"], &["model.", "net."]),
            (&["generator_ema.module.a", "steps"], &["a", "steps"], &["generator_ema.", "module."]),
            // ESRGAN's own names are those of a list.
            (&["model.0.weight", "model.1.sub.0.w"], &["model.0.weight", "model.1.sub.0.w"], &[]),
            (&["a._orig_mod.b", "c"], &["a.b", "c"], &["_orig_mod."]),
            (&["body.0.w", "body.1.w"], &["body.0.w", "body.1.w"], &[]),
        ];
        for (before, after, stripped) in cases {
            let mut names: Vec<_> = before.iter().map(|&name| name.into()).collect();
            assert_eq!(strip(&mut names), stripped, "{before:?}");
            assert_eq!(names, after, "{before:?}");
        }
    }

    #[test]
    fn names_without_dots_get_them_back() {
        let all = ["model.a.b.weight", "model.c.weight", "model_ema.abweight", "model_ema.decay"];
        let mut names = ["abweight".into(), "cweight".into(), "decay".into()];
        with_dots(&mut names, &all);
        assert_eq!(names, ["a.b.weight", "c.weight", "decay"]);
        let mut other = ["abweight".into(), "unknown".into()];
        with_dots(&mut other, &all);
        assert_eq!(other, ["abweight", "unknown"]);
    }

    #[test]
    fn networks_side_by_side_are_told_apart() {
        let names = |tensors: &[(&'static str, usize)]| -> Vec<&str> {
            groups(tensors).iter().map(|group| group.name).collect()
        };
        let trainer =
            [("generator.a.w", 4), ("generator_ema.a.w", 4), ("discriminator.b.w", 4), ("step", 0)];
        assert_eq!(names(&trainer), ["generator", "generator_ema", "discriminator"]);
        assert_eq!(names(&[("module.netG.a.w", 4), ("module.netD.b", 1)]), ["netG", "netD"]);
        // One network, whose parts have names of their own.
        assert!(names(&[("generator.a.w", 4), ("encoder.b.w", 4)]).is_empty());
        assert!(names(&[("generator.a.w", 4), ("position", 2)]).is_empty());
        assert!(names(&[("model.0.weight", 4), ("model.2.weight", 4)]).is_empty());
    }
}
