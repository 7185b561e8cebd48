//! Finds the dictionary of weights in a checkpoint and names its tensors.

use std::collections::{HashMap, HashSet};

use crate::{
    error::{Error, Result, short},
    names,
    options::Options,
    torch::is_tensor,
    value::{Id, Value, Values},
};

/// Names under which training code saves weights, the preferred first: smoothed weights before raw
/// ones, as the public loaders have it.
pub const CONTAINERS: [&str; 7] =
    ["params_ema", "g_ema", "params", "g", "state_dict", "model", "net_g"];

/// The chosen weights.
pub(crate) struct StateDict {
    /// `None` if the tensors lie at the top.
    pub container: Option<String>,
    /// Every place with weights, the chosen one included; "" is the top.
    pub candidates: Vec<String>,
    /// Everything else at the top, and what is no tensor among the weights.
    pub dropped: Vec<String>,
    /// What was removed from the start of names.
    pub stripped: Vec<&'static str>,
    /// Names and values, in the order of the file.
    pub entries: Vec<(String, Id)>,
}

/// Chooses the weights of a checkpoint and lists their names.
pub(crate) fn select(values: &Values<'_>, root: Id, options: &Options) -> Result<StateDict> {
    let Some(top) = values.as_dict(root) else {
        return Err(Error::NoTensors { found: values.get(root).describe() });
    };
    unique_names(values, top, "the checkpoint's top level")?;
    let candidates = candidates(values, top);
    let chosen = choose(&candidates, options.key.as_deref(), values, top)?;
    let mut dropped = Vec::new();
    let (container, dict) = match chosen {
        "" => (None, top),
        name => {
            let mut dict = None;
            for &(key, value) in top {
                if values.as_str(key) == Some(name) {
                    dict = values.as_dict(value);
                } else {
                    dropped.push(describe(values, key, value));
                }
            }
            (Some(name.to_string()), dict.unwrap_or_default())
        }
    };
    let place = container.as_deref().unwrap_or("the checkpoint's top level");
    unique_names(values, dict, place)?;
    let (mut found, mut tensors) = (Vec::new(), Vec::new());
    for &(key, value) in dict {
        match values.as_str(key).filter(|_| is_tensor(values, value)) {
            Some(name) => {
                found.push(name);
                tensors.push(value);
            }
            None => dropped.push(describe(values, key, value)),
        }
    }
    let stripped = names::strip(&mut found);
    names::check(&found, place, options)?;
    let entries = found.into_iter().map(str::to_string).zip(tensors).collect();
    let candidates = candidates.into_iter().map(str::to_string).collect();
    Ok(StateDict { container, candidates, dropped, stripped, entries })
}

/// Places that hold tensors directly: known containers by preference, then the top, then the rest.
fn candidates<'p>(values: &Values<'p>, top: &[(Id, Id)]) -> Vec<&'p str> {
    // Many names may share one dictionary: each is looked through once.
    let mut looked: HashMap<Id, bool> = HashMap::new();
    let mut holds = |id: Id| {
        *looked.entry(id).or_insert_with(|| {
            let dict = values.as_dict(id).unwrap_or_default();
            dict.iter()
                .any(|&(key, value)| values.as_str(key).is_some() && is_tensor(values, value))
        })
    };
    let mut ranked: Vec<(usize, &str)> = Vec::new();
    for &(key, value) in top {
        let Some(name) = values.as_str(key).filter(|name| !name.is_empty()) else { continue };
        if holds(value) {
            let rank = CONTAINERS.iter().position(|known| *known == name);
            ranked.push((rank.unwrap_or(CONTAINERS.len() + 1), name));
        }
    }
    if top.iter().any(|&(key, value)| values.as_str(key).is_some() && is_tensor(values, value)) {
        ranked.push((CONTAINERS.len(), ""));
    }
    // Stable: the rest stays in the order of the file.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, name)| name).collect()
}

fn choose<'p>(
    candidates: &[&'p str],
    wanted: Option<&str>,
    values: &Values<'_>,
    top: &[(Id, Id)],
) -> Result<&'p str> {
    let owned = || candidates.iter().map(|name| short(name)).collect();
    if let Some(wanted) = wanted {
        let found = candidates.iter().find(|name| **name == wanted).copied();
        return found
            .ok_or_else(|| Error::NoSuchContainer { key: wanted.into(), candidates: owned() });
    }
    match candidates {
        [] => {
            let found = top
                .iter()
                .take(10)
                .map(|&(key, value)| describe(values, key, value))
                .collect::<Vec<_>>();
            let found =
                if found.is_empty() { "an empty dictionary".into() } else { found.join(", ") };
            Err(Error::NoTensors { found })
        }
        [only] => Ok(only),
        // A name of its own is as good as any other: the user has to say.
        [first, ..] if !first.is_empty() && !CONTAINERS.contains(first) => {
            Err(Error::AmbiguousContainer { candidates: owned() })
        }
        [first, ..] => Ok(first),
    }
}

/// Refuses a dictionary that has a text key twice; Python would keep the last, silently.
fn unique_names(values: &Values<'_>, dict: &[(Id, Id)], place: &str) -> Result<()> {
    let mut names = HashSet::new();
    for name in dict.iter().filter_map(|&(key, _)| values.as_str(key)) {
        if !names.insert(name) {
            return Err(Error::DuplicateName { name: short(name), place: short(place) });
        }
    }
    Ok(())
}

/// `epoch (an integer)`
fn describe(values: &Values<'_>, key: Id, value: Id) -> String {
    let what = values.get(value).describe();
    match values.get(key) {
        Value::Str(name) => format!("{} ({what})", short(name)),
        other => format!("an entry under {} ({what})", other.describe()),
    }
}
