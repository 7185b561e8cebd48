//! Operations that name a function or class, or call one: written down as values, never done.

use crate::{
    error::{Error, Result, short},
    opcode as op,
    pickle::Machine,
    torch::Global,
    value::{Id, Value},
};

impl<'p> Machine<'p, '_> {
    /// Operations that name a function or class, or call one: never done, only written down.
    pub(super) fn object(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            op::GLOBAL => self.global_line()?,
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.values.as_str(module), self.values.as_str(name)) {
                    (Some(module), Some(name)) => self.global(module, name)?,
                    _ => return Err(self.bad("a class is named by something other than texts")),
                }
            }
            op::REDUCE | op::NEWOBJ => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args)?
            }
            op::NEWOBJ_EX => {
                let (_keywords, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                match self.values.get(callable) {
                    Value::Opaque { .. } => self.call(callable, args)?,
                    _ => return Err(self.bad("a call with keywords, which no tensor needs")),
                }
            }
            // OBJ: the class is the first value after the mark. INST: it follows as two lines.
            _ => {
                let class = if opcode == op::INST { Some(self.global_line()?) } else { None };
                let items = self.pop_mark()?;
                let opaque = match (&class, items.first()) {
                    (Some(class), _) => opaque(class),
                    (None, Some(first)) => opaque(self.values.get(*first)),
                    (None, None) => None,
                };
                opaque.ok_or_else(|| {
                    self.bad(format!("{} builds an object that no tensor needs", op::name(opcode)))
                })?
            }
        };
        self.push(value)
    }

    fn global_line(&mut self) -> Result<Value<'p>> {
        const NAME: &str = "a class name in the pickle";
        let (module, name) = (self.input.line(NAME)?, self.input.line(NAME)?);
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => self.global(module, name),
            _ => Err(self.bad("a class name is not UTF-8")),
        }
    }

    fn global(&mut self, module: &'p str, name: &'p str) -> Result<Value<'p>> {
        match Global::resolve(module, name) {
            Some(global) => Ok(Value::Global(global)),
            None if self.options.skip_unknown => Ok(Value::Opaque { module, name }),
            None => {
                Err(Error::ForeignGlobal { module: short(module), name: short(name), at: self.at })
            }
        }
    }

    fn call(&mut self, callable: Id, args: Id) -> Result<Value<'p>> {
        let Some(items) = self.values.as_tuple(args) else {
            return Err(self.bad("the arguments of a call are not a tuple"));
        };
        match self.values.get(callable) {
            Value::Global(Global::OrderedDict) => match *items {
                [] => Ok(Value::Dict(Vec::new())),
                [pairs] => self.dict_from_pairs(pairs),
                _ => Err(self.bad("an OrderedDict takes one argument")),
            },
            Value::Global(Global::Size) => match *items {
                [items] if self.values.as_tuple(items).is_some() => self.size(items),
                _ => Err(self.bad("a torch.Size takes a tuple")),
            },
            Value::Global(Global::Numpy) => Ok(Value::Numpy),
            Value::Global(Global::Encode) => Ok(Value::Bytes),
            &Value::Global(
                callable @ (Global::RebuildBareTensor
                | Global::RebuildTensor
                | Global::RebuildTensorOfDtype
                | Global::RebuildParameter
                | Global::RebuildParameterWithState
                | Global::RebuildFromType),
            ) => Ok(Value::Call { callable, args, at: self.at }),
            other => {
                opaque(other).ok_or_else(|| self.bad(format!("{} is called", other.describe())))
            }
        }
    }

    /// `torch.Size((d, …))`: that tuple.
    fn size(&mut self, tuple: Id) -> Result<Value<'p>> {
        // The tuple can be used again by another call, so its copy counts as pushes.
        let count = self.values.as_tuple(tuple).map_or(0, <[Id]>::len);
        self.charge(count)?;
        let items = self.values.as_tuple(tuple).unwrap_or_default();
        Ok(Value::Tuple(items.to_vec()))
    }

    /// `OrderedDict([(key, value), …])`, as Python 2 wrote it.
    fn dict_from_pairs(&mut self, pairs: Id) -> Result<Value<'p>> {
        let (Value::List(list) | Value::Tuple(list)) = self.values.get(pairs) else {
            return Err(self.bad("the argument of an OrderedDict is not a list"));
        };
        // The list can be used again by another call, so its copy counts as pushes.
        let count = list.len();
        let mut items = Vec::new();
        self.charge(count)?;
        let (Value::List(list) | Value::Tuple(list)) = self.values.get(pairs) else {
            return Ok(Value::Dict(items));
        };
        items.reserve_exact(count);
        for &pair in list {
            match self.values.get(pair) {
                Value::Tuple(pair) | Value::List(pair) => match pair[..] {
                    [key, value] => items.push((key, value)),
                    _ => return Err(self.bad("an item of an OrderedDict is not a pair")),
                },
                _ => return Err(self.bad("an item of an OrderedDict is not a pair")),
            }
        }
        Ok(Value::Dict(items))
    }
}

/// An object of an opaque class is as opaque as the class.
pub(super) fn opaque<'p>(class: &Value<'p>) -> Option<Value<'p>> {
    match *class {
        Value::Opaque { module, name } => Some(Value::Opaque { module, name }),
        _ => None,
    }
}
