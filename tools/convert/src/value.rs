//! The values of a pickle as plain data.
//!
//! Values live in one list and refer to each other by index. A pickle may nest a million lists or
//! make a list contain itself: neither costs recursion here, not even when it is dropped.

use crate::{error::Place, torch::Global};

/// Index of a [`Value`] in its [`Values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

/// One value; texts and bytes are slices of the pickle.
#[derive(Debug)]
pub(crate) enum Value<'p> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, two's complement, least significant byte first.
    Long(&'p [u8]),
    Float,
    Str(&'p str),
    Bytes,
    Tuple(Vec<Id>),
    /// A list or a set.
    List(Vec<Id>),
    /// A `dict` or `OrderedDict`, in insertion order; keys may repeat.
    Dict(Vec<(Id, Id)>),
    /// A function or class of the allow-list.
    Global(Global),
    /// A numpy scalar or its type; contents dropped.
    Numpy,
    /// A call of one, kept as data.
    Call {
        callable: Global,
        args: Id,
        at: Place,
    },
    /// A reference to something outside the pickle: a storage.
    Persistent {
        id: Id,
        at: Place,
    },
    /// An object of a class that is not on the allow-list, or such a class itself; contents dropped.
    Opaque {
        module: &'p str,
        name: &'p str,
    },
}

impl Value<'_> {
    /// What the value is, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Bool(_) => "a truth value".into(),
            Self::Int(_) | Self::Long(_) => "an integer".into(),
            Self::Float => "a number".into(),
            Self::Numpy => "a numpy value".into(),
            Self::Str(_) => "a text".into(),
            Self::Bytes => "bytes".into(),
            Self::Tuple(_) => "a tuple".into(),
            Self::List(_) => "a list".into(),
            Self::Dict(_) => "a dictionary".into(),
            Self::Global(_) => "a class or function".into(),
            Self::Call { .. } => "a tensor".into(),
            Self::Persistent { .. } => "a storage".into(),
            Self::Opaque { module, name } => {
                format!(
                    "an object of {}.{}",
                    crate::error::short(module),
                    crate::error::short(name)
                )
            }
        }
    }
}

/// All values of one pickle.
#[derive(Debug, Default)]
pub(crate) struct Values<'p>(Vec<Value<'p>>);

impl<'p> Values<'p> {
    /// Adds a value; `None` after 2^32 of them.
    pub fn push(&mut self, value: Value<'p>) -> Option<Id> {
        let id = Id(u32::try_from(self.0.len()).ok()?);
        self.0.push(value);
        Some(id)
    }

    /// The value of an index that [`Self::push`] gave.
    pub fn get(&self, id: Id) -> &Value<'p> {
        self.0.get(id.0 as usize).unwrap_or(&Value::None)
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Value<'p>> {
        self.0.get_mut(id.0 as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value<'p>> {
        self.0.iter()
    }

    pub fn as_str(&self, id: Id) -> Option<&'p str> {
        match self.get(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub fn as_u64(&self, id: Id) -> Option<u64> {
        match self.get(id) {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    pub fn as_tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a text key in a dictionary; the last one if it repeats, as Python has it.
    pub fn lookup(&self, dict: Id, key: &str) -> Option<Id> {
        self.as_dict(dict)?
            .iter()
            .rev()
            .find(|(k, _)| self.as_str(*k) == Some(key))
            .map(|(_, v)| *v)
    }
}
