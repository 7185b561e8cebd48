//! Names of tensors: what is taken off them, and which are refused.

use std::collections::HashSet;

use crate::{
    error::{Error, Result, short},
    options::Options,
};

/// What `DataParallel` puts before every name.
const PARALLEL: &str = "module.";

/// What training code puts before the names of the generator when it saves a whole trainer.
const GENERATORS: [&str; 2] = ["generator.", "net_g."];

/// Longest name in bytes; the networks of this field stay below 100.
const MAX_BYTES: usize = 1024;

/// Removes `module.` where it stands, and a generator's prefix that all names have; returns what was
/// removed, in this order.
pub(crate) fn strip(names: &mut [&str]) -> Vec<&'static str> {
    let mut stripped = Vec::new();
    let mut parallel = strip_each(names, PARALLEL);
    stripped.extend(parallel.then_some(PARALLEL));
    for prefix in GENERATORS {
        let common = names.iter().all(|name| rest(name, prefix).is_some());
        if common && strip_each(names, prefix) {
            stripped.push(prefix);
            // The generator may have been the part that was made parallel.
            parallel = !parallel && strip_each(names, PARALLEL);
            stripped.extend(parallel.then_some(PARALLEL));
        }
    }
    stripped
}

/// Whether any name had the prefix.
fn strip_each(names: &mut [&str], prefix: &str) -> bool {
    let mut any = false;
    for name in names {
        if let Some(rest) = rest(name, prefix) {
            *name = rest;
            any = true;
        }
    }
    any
}

/// A name that is the prefix alone keeps it.
fn rest<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    name.strip_prefix(prefix).filter(|rest| !rest.is_empty())
}

/// Refuses names that appear twice in `place`, and those that a safetensors file cannot hold or that
/// would do harm in a terminal or as a file's name.
pub(crate) fn check(names: &[&str], place: &str, options: &Options) -> Result<()> {
    let limit = options.limits.tensors;
    if names.len() > limit {
        let (what, value) = (format!("the list of tensors in {}", short(place)), names.len());
        let (value, limit) = (value as u64, limit as u64);
        return Err(Error::Limit { what, value, limit, option: "tensors" });
    }
    let mut seen = HashSet::new();
    for name in names {
        let wrong = if name.len() > MAX_BYTES {
            "is longer than 1024 bytes"
        } else if name.chars().any(char::is_control) {
            "holds control characters"
        } else if *name == "__metadata__" {
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
    use super::strip;

    #[test]
    fn prefixes_are_taken_off() {
        let cases: [(&[&str], &[&str], &[&str]); 7] = [
            (&["module.a", "module.b"], &["a", "b"], &["module."]),
            (&["module.a", "b"], &["a", "b"], &["module."]),
            (&["generator.a", "generator.b"], &["a", "b"], &["generator."]),
            (&["net_g.module.a", "net_g.module.b"], &["a", "b"], &["net_g.", "module."]),
            (&["module.net_g.a", "module.net_g.b"], &["a", "b"], &["module.", "net_g."]),
            // MMRB-Net's own names: not all of them begin so.
            (&["generator.a", "encoder.b"], &["generator.a", "encoder.b"], &[]),
            (&["generator.", "generator.a"], &["generator.", "generator.a"], &[]),
        ];
        for (before, after, stripped) in cases {
            let mut names = before.to_vec();
            assert_eq!(strip(&mut names), stripped, "{before:?}");
            assert_eq!(names, after, "{before:?}");
        }
    }
}
