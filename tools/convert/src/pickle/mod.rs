//! Interprets a pickle as data.
//!
//! A pickle is a program for a stack machine whose `REDUCE`, `BUILD`, `NEWOBJ`, `INST` and `OBJ`
//! call what `GLOBAL` names. Here nothing is called: a name outside the allow-list of
//! [`crate::torch::Global`] ends the reading, or its object becomes [`Value::Opaque`].

mod object;
mod plain;

use std::collections::HashMap;

use crate::{
    cursor::Cursor,
    error::{Error, Place, Result},
    opcode as op,
    options::Options,
    value::{Id, Value, Values},
};

/// One pickle, read.
pub(crate) struct Pickle<'p> {
    pub values: Values<'p>,
    pub root: Id,
    /// Length of the pickle in bytes; what follows was not looked at.
    pub length: usize,
}

/// Reads the pickle at the start of `bytes`; `origin` says where that is.
pub(crate) fn read<'p>(bytes: &'p [u8], origin: Place, options: &Options) -> Result<Pickle<'p>> {
    // One byte more than allowed is enough to see that it is too long.
    let limit = options.limits.pickle_bytes;
    let seen = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
    let mut machine = Machine {
        input: Cursor::new(seen, origin),
        at: origin,
        options,
        values: Values::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        pushed: 0,
    };
    let root = match machine.run() {
        Err(Error::Truncated { .. }) if bytes.len() > limit => return Err(over(limit)),
        other => other?,
    };
    let length = machine.input.consumed();
    if length > limit {
        return Err(over(limit));
    }
    Ok(Pickle { values: machine.values, root, length })
}

fn over(limit: usize) -> Error {
    Error::Limit {
        what: "the pickle".into(),
        value: limit as u64 + 1,
        limit: limit as u64,
        option: "pickle_bytes",
    }
}

struct Machine<'p, 'o> {
    input: Cursor<'p>,
    /// Where the operation that runs starts.
    at: Place,
    options: &'o Options,
    values: Values<'p>,
    stack: Vec<Id>,
    /// Lengths of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// Pushes so far, which bound the memory of all containers together.
    pushed: usize,
}

impl<'p> Machine<'p, '_> {
    fn run(&mut self) -> Result<Id> {
        if self.input.u8("the pickle")? != op::PROTO {
            return Err(self.bad("it does not start with its protocol, as protocols 2 to 5 do"));
        }
        let protocol = self.input.u8("the pickle's protocol")?;
        if !(2..=5).contains(&protocol) {
            return Err(self.bad(format!("protocol {protocol} is none of 2 to 5")));
        }
        loop {
            self.at = self.input.place();
            let opcode = self.input.u8("the pickle's next operation")?;
            if opcode == op::STOP {
                let root = self.pop()?;
                return if self.stack.is_empty() && self.marks.is_empty() {
                    Ok(root)
                } else {
                    Err(self.bad("values are left over at its end"))
                };
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::MARK => {
                let (open, limit) = (self.marks.len() + 1, self.options.limits.depth);
                if open > limit {
                    return Err(self.limit("the pickle's nesting", open, limit, "depth"));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => {
                // On an empty part of the stack POP takes the mark, as in Python.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    Ok(())
                } else {
                    self.pop().map(drop)
                }
            }
            op::POP_MARK => self.pop_mark().map(drop),
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)
            }
            op::FRAME => {
                // Frames only tell a reader how much to buffer; their contents are plain operations.
                let length = self.input.u64("a frame's length")?;
                if length > self.input.left() as u64 {
                    return Err(Error::Truncated {
                        what: "a frame",
                        at: self.at,
                        needed: length,
                        left: self.input.left() as u64,
                    });
                }
                Ok(())
            }
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(opcode),
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(opcode),
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS | op::BUILD => {
                self.fill(opcode)
            }
            op::GLOBAL
            | op::STACK_GLOBAL
            | op::REDUCE
            | op::NEWOBJ
            | op::NEWOBJ_EX
            | op::OBJ
            | op::INST => self.object(opcode),
            _ => {
                let value = self.plain(opcode)?;
                self.push(value)
            }
        }
    }

    fn remember(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            op::MEMOIZE => self.memo.len() as u64,
            _ => self.memo_key(opcode)?,
        };
        let (used, limit) = (self.memo.len() + 1, self.options.limits.memo);
        if used > limit {
            return Err(self.limit("the pickle's memo", used, limit, "memo"));
        }
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<()> {
        let key = self.memo_key(opcode)?;
        match self.memo.get(&key).copied() {
            Some(id) => self.push_id(id),
            None => {
                Err(self.bad(format!("it refers to the value {key}, which was not remembered")))
            }
        }
    }

    fn memo_key(&mut self, opcode: u8) -> Result<u64> {
        const KEY: &str = "a memo key in the pickle";
        match opcode {
            op::BINPUT | op::BINGET => Ok(self.input.u8(KEY)?.into()),
            op::LONG_BINPUT | op::LONG_BINGET => Ok(self.input.u32(KEY)?.into()),
            _ => {
                let line = self.input.line(KEY)?;
                let key = std::str::from_utf8(line).ok().and_then(|d| d.parse().ok());
                key.ok_or_else(|| self.bad("a memo key is not a number"))
            }
        }
    }

    /// Operations that change the container below their arguments.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            op::APPEND | op::BUILD => vec![self.pop()?],
            op::SETITEM => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        let pairs = match opcode {
            op::SETITEM | op::SETITEMS => self.pairs(&items)?,
            _ => Vec::new(),
        };
        match (opcode, self.values.get_mut(target)) {
            (op::APPEND | op::APPENDS | op::ADDITEMS, Some(Value::List(list))) => {
                list.extend(items)
            }
            (op::SETITEM | op::SETITEMS, Some(Value::Dict(dict))) => dict.extend(pairs),
            // The state of a dictionary is its attributes (`_metadata` of a state dict): not needed.
            // That of a numpy type is its byte order.
            (op::BUILD, Some(Value::Dict(_) | Value::Numpy)) => {}
            (_, Some(Value::Opaque { .. })) => {}
            (_, Some(other)) => {
                let reason = format!("{} is applied to {}", op::name(opcode), other.describe());
                return Err(self.bad(reason));
            }
            (_, None) => return Err(self.bad("a value is missing")),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if rest.is_empty() {
            Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
        } else {
            Err(self.bad("a dictionary has a key without a value"))
        }
    }

    fn push(&mut self, value: Value<'p>) -> Result<()> {
        match self.values.push(value) {
            Some(id) => self.push_id(id),
            None => Err(self.bad("it holds more than 2^32 values")),
        }
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        self.charge(1)?;
        self.stack.push(id);
        Ok(())
    }

    fn charge(&mut self, count: usize) -> Result<()> {
        self.pushed = self.pushed.saturating_add(count);
        let limit = self.options.limits.objects;
        if self.pushed > limit {
            return Err(self.limit("the pickle's values", self.pushed, limit, "objects"));
        }
        Ok(())
    }

    /// Values below the last mark belong to the container around it.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(self.bad("an operation needs a value that is not there"));
        }
        self.stack.pop().ok_or_else(|| self.bad("an operation needs a value that is not there"))
    }

    fn top(&self) -> Result<Id> {
        let top = if self.stack.len() > self.floor() { self.stack.last().copied() } else { None };
        top.ok_or_else(|| self.bad("an operation needs a value that is not there"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.bad("an operation needs a mark that is not there")),
        }
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::Pickle { at: self.at, reason: reason.into() }
    }

    fn limit(&self, what: &str, value: usize, limit: usize, option: &'static str) -> Error {
        Error::Limit {
            what: format!("{what} at {}", self.at),
            value: value as u64,
            limit: limit as u64,
            option,
        }
    }
}
