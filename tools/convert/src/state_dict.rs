//! Finds the dictionary of weights in a checkpoint, at any depth, and names its tensors.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use crate::{
    error::{Error, Result, short},
    names::{self, Group},
    options::Options,
    roles::{self, Rank},
    torch::{dimensions, is_tensor},
    value::{Id, Value, Values},
};

/// Between the names of dictionaries that lie in each other.
const SEPARATOR: &str = "/";

/// Entries beside a network's tensors that say what it is by being there, whatever their value:
/// Real-CUGAN's files for another range of values have `pro`.
const MARKS: [&str; 1] = ["pro"];

/// The chosen weights.
pub(crate) struct StateDict {
    /// `None` if the tensors lie at the top.
    pub container: Option<String>,
    /// Every place with weights, the chosen one included; "" is the top.
    pub candidates: Vec<String>,
    /// Everything else beside the weights, and its entries that are not tensors.
    pub dropped: Vec<String>,
    /// Marks that are there and no tensors, as metadata.
    pub marks: BTreeMap<String, String>,
    /// What was removed from the start of names.
    pub stripped: Vec<String>,
    /// Names and values, in the order of the file.
    pub entries: Vec<(String, Id)>,
}

/// A place with tensors: a dictionary, or those tensors in it whose names begin with a network's.
pub(crate) struct Place<'p> {
    /// Names of the dictionaries down to it, and of the group.
    path: Vec<&'p str>,
    dict: Id,
    /// The beginning that its names have.
    group: Option<&'p str>,
    /// Whether a tensor of it has more than one dimension, as those of a network do.
    weights: bool,
}

impl Place<'_> {
    /// As [`Options::key`] names it.
    fn name(&self) -> String {
        let mut name = self.path.join(SEPARATOR);
        if self.group.is_some() {
            name.push('.');
        }
        name
    }

    fn rank(&self) -> Rank {
        roles::rank(&self.path, self.weights)
    }
}

/// Chooses the weights of a checkpoint and lists their names. `whole`: those at the top, under the
/// names that they have there, because the file is a part of a checkpoint.
pub(crate) fn select(
    values: &Values<'_>,
    root: Id,
    options: &Options,
    whole: bool,
) -> Result<StateDict> {
    let Some(top) = values.as_dict(root) else {
        return Err(Error::NoTensors { found: values.get(root).describe() });
    };
    unique_names(values, top, "the checkpoint's top level")?;
    let mut places = match whole {
        true => vec![Place { path: Vec::new(), dict: root, group: None, weights: true }],
        false => places(values, root, options)?,
    };
    // Stable: equal ones stay in the order of the file.
    places.sort_by_key(Place::rank);
    let candidates: Vec<String> = places.iter().map(Place::name).collect();
    let chosen = choose(&places, &candidates, options.key.as_deref(), values, top)?;
    let mut dropped = Vec::new();
    // What lies beside the chosen dictionary, at each level down to it.
    let mut outer = root;
    let levels = chosen.path.len() - usize::from(chosen.group.is_some());
    for name in chosen.path.iter().take(levels) {
        let mut inner = outer;
        for &(key, value) in values.as_dict(outer).unwrap_or_default() {
            match values.as_str(key) == Some(name) {
                true => inner = value,
                false => dropped.push(describe(values, key, value)),
            }
        }
        outer = inner;
    }
    let container = Some(chosen.name()).filter(|name| !name.is_empty());
    let place = container.as_deref().unwrap_or("the checkpoint's top level");
    let dict = values.as_dict(chosen.dict).unwrap_or_default();
    unique_names(values, dict, place)?;
    let (mut found, mut tensors, mut marks) = (Vec::new(), Vec::new(), BTreeMap::new());
    for &(key, value) in dict {
        let name = values.as_str(key).filter(|_| is_tensor(values, value));
        match name.and_then(|name| names::in_group(name, chosen.group)) {
            Some(name) => {
                found.push(name.into());
                tensors.push(value);
            }
            None => match values.as_str(key).filter(|name| MARKS.contains(name)) {
                Some(mark) if !is_tensor(values, value) => {
                    marks.insert(mark.to_owned(), "true".to_owned());
                }
                _ => dropped.push(describe(values, key, value)),
            },
        }
    }
    if chosen.group.is_some() {
        let all: Vec<&str> = dict.iter().filter_map(|&(key, _)| values.as_str(key)).collect();
        names::with_dots(&mut found, &all);
    }
    let stripped = if whole { Vec::new() } else { names::strip(&mut found) };
    names::check(&found, place, options)?;
    let entries = found.into_iter().map(String::from).zip(tensors).collect();
    Ok(StateDict { container, candidates, dropped, marks, stripped, entries })
}

/// What a dictionary holds, looked up once however many names it has.
struct Inside<'p> {
    /// Dictionaries in it.
    inner: Vec<(&'p str, Id)>,
    tensors: bool,
    weights: bool,
    /// The networks whose tensors lie in it side by side.
    groups: Vec<Group<'p>>,
}

impl<'p> Inside<'p> {
    fn look(values: &Values<'p>, dict: Id) -> Self {
        let mut inner = Vec::new();
        let mut tensors = Vec::new();
        for &(key, value) in values.as_dict(dict).unwrap_or_default() {
            let Some(name) = values.as_str(key) else { continue };
            match values.get(value) {
                Value::Dict(_) if !name.is_empty() => inner.push((name, value)),
                _ if is_tensor(values, value) => tensors.push((name, dimensions(values, value))),
                _ => {}
            }
        }
        Self {
            inner,
            weights: tensors.iter().any(|&(_, dimensions)| dimensions > 1),
            groups: names::groups(&tensors),
            tensors: !tensors.is_empty(),
        }
    }
}

/// A dictionary, and the way down to it.
struct Way<'p> {
    path: Vec<&'p str>,
    /// Those around it.
    dicts: Vec<Id>,
    dict: Id,
}

/// All places that hold tensors, in the order of the file.
fn places<'p>(values: &Values<'p>, root: Id, options: &Options) -> Result<Vec<Place<'p>>> {
    let limit = options.limits.places;
    let mut looked: HashMap<Id, Rc<Inside<'p>>> = HashMap::new();
    let mut found = Vec::new();
    let mut visited = 0_usize;
    let mut open: Vec<Way<'p>> = vec![Way { path: Vec::new(), dicts: Vec::new(), dict: root }];
    while let Some(Way { path, mut dicts, dict }) = open.pop() {
        visited += 1;
        // A dictionary may be held by thousands of others.
        if visited > limit || path.len() > limit {
            let (what, value) = ("the search for weights".into(), visited as u64);
            return Err(Error::Limit { what, value, limit: limit as u64, option: "places" });
        }
        let inside = looked.entry(dict).or_insert_with(|| Rc::new(Inside::look(values, dict)));
        let inside = Rc::clone(inside);
        for group in &inside.groups {
            let path = [&path[..], &[group.name]].concat();
            found.push(Place { path, dict, group: Some(group.name), weights: group.weights });
        }
        if inside.tensors && inside.groups.is_empty() {
            found.push(Place { path: path.clone(), dict, group: None, weights: inside.weights });
        }
        dicts.push(dict);
        // One that holds itself, or one around it, is not looked through again.
        let new = inside.inner.iter().rev().filter(|(_, inner)| !dicts.contains(inner));
        open.extend(new.map(|&(name, dict)| {
            let path = [&path[..], &[name]].concat();
            Way { path, dicts: dicts.clone(), dict }
        }));
    }
    Ok(found)
}

/// The place of the name `wanted`, else the first of the sorted ones.
fn choose<'c, 'p>(
    places: &'c [Place<'p>],
    names: &[String],
    wanted: Option<&str>,
    values: &Values<'_>,
    top: &[(Id, Id)],
) -> Result<&'c Place<'p>> {
    let owned = || names.iter().map(|name| short(name)).collect();
    if let Some(wanted) = wanted {
        let missing = || Error::NoSuchContainer { key: short(wanted), candidates: owned() };
        let mut exact = places.iter().zip(names).filter(|(_, name)| *name == wanted);
        if let Some((place, _)) = exact.next() {
            return Ok(place);
        }
        // The last part of a path will do, where only one has it.
        let last = wanted.strip_suffix('.').unwrap_or(wanted);
        let mut ends = places.iter().filter(|place| place.path.last() == Some(&last));
        return match (ends.next(), ends.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(missing()),
        };
    }
    match places {
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
        [first, second, ..] if first.rank().is_doubtful() && first.rank() == second.rank() => {
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
