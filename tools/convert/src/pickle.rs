//! Interprets a pickle as data.
//!
//! A pickle is a program for a stack machine whose `REDUCE`, `BUILD`, `NEWOBJ`, `INST` and `OBJ`
//! call what `GLOBAL` names. Here nothing is called: a name outside the allow-list of
//! [`Global::resolve`] ends the reading, or its object becomes [`Value::Opaque`].

use std::collections::HashMap;

use crate::{
    cursor::Cursor,
    error::{Error, Place, Result, short},
    opcode::{self as op},
    options::Options,
    torch::Global,
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

    /// Operations that push one value without a name from outside.
    fn plain(&mut self, opcode: u8) -> Result<Value<'p>> {
        const NUMBER: &str = "a number in the pickle";
        const LENGTH: &str = "a length in the pickle";
        Ok(match opcode {
            op::NONE => Value::None,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::BININT => Value::Int(i32::from_le_bytes(self.input.array(NUMBER)?).into()),
            op::BININT1 => Value::Int(self.input.u8(NUMBER)?.into()),
            op::BININT2 => Value::Int(self.input.u16(NUMBER)?.into()),
            op::LONG1 => {
                let length = self.input.u8(LENGTH)?.into();
                long(self.input.take(length, NUMBER)?)
            }
            op::LONG4 => {
                let length = self.input.u32(LENGTH)?.into();
                long(self.input.take(length, NUMBER)?)
            }
            op::INT | op::LONG => self.decimal(opcode)?,
            op::BINFLOAT => {
                self.input.take(8, NUMBER)?;
                Value::Float
            }
            op::FLOAT => {
                self.input.line(NUMBER)?;
                Value::Float
            }
            op::SHORT_BINUNICODE => {
                let length = self.input.u8(LENGTH)?.into();
                self.text(length)?
            }
            op::BINUNICODE => {
                let length = self.input.u32(LENGTH)?.into();
                self.text(length)?
            }
            op::BINUNICODE8 => {
                let length = self.input.u64(LENGTH)?;
                self.text(length)?
            }
            // Python 2's `str`: a text nearly always, sometimes bytes.
            op::SHORT_BINSTRING | op::BINSTRING => {
                let length = if opcode == op::BINSTRING {
                    self.input.u32(LENGTH)?.into()
                } else {
                    self.input.u8(LENGTH)?.into()
                };
                let bytes = self.input.take(length, "a text in the pickle")?;
                std::str::from_utf8(bytes).map_or(Value::Bytes, Value::Str)
            }
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                let length = match opcode {
                    op::SHORT_BINBYTES => self.input.u8(LENGTH)?.into(),
                    op::BINBYTES => self.input.u32(LENGTH)?.into(),
                    _ => self.input.u64(LENGTH)?,
                };
                self.input.take(length, "bytes in the pickle")?;
                Value::Bytes
            }
            op::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let length = usize::from(opcode - op::TUPLE1) + 1;
                let mut items = Vec::with_capacity(length);
                for _ in 0..length {
                    items.push(self.pop()?);
                }
                items.reverse();
                Value::Tuple(items)
            }
            op::TUPLE => Value::Tuple(self.pop_mark()?),
            op::EMPTY_LIST | op::EMPTY_SET => Value::List(Vec::new()),
            op::LIST | op::FROZENSET => Value::List(self.pop_mark()?),
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            op::DICT => {
                let items = self.pop_mark()?;
                Value::Dict(self.pairs(&items)?)
            }
            op::BINPERSID => {
                let id = self.pop()?;
                // A whole module comes with its source code: ('module', class, file, source).
                let class = self.values.as_tuple(id).and_then(|parts| parts.get(1));
                let class = class.and_then(|&class| opaque(self.values.get(class)));
                class.unwrap_or(Value::Persistent { id, at: self.at })
            }
            // Known to Python, of no use to a checkpoint: texts of protocol 0, references by text,
            // copyreg's registry and buffers outside the stream. All others are not known at all.
            op::STRING
            | op::UNICODE
            | op::PERSID
            | op::EXT1
            | op::EXT2
            | op::EXT4
            | op::NEXT_BUFFER
            | op::READONLY_BUFFER
            | _ => return Err(Error::Opcode { opcode, name: op::name(opcode), at: self.at }),
        })
    }

    /// `INT` and `LONG`: an integer, or a truth value, as text.
    fn decimal(&mut self, opcode: u8) -> Result<Value<'p>> {
        let line = self.input.line("a number in the pickle")?;
        match (opcode, line) {
            (op::INT, b"00") => return Ok(Value::Bool(false)),
            (op::INT, b"01") => return Ok(Value::Bool(true)),
            _ => {}
        }
        let digits = line.strip_suffix(b"L").unwrap_or(line);
        match std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()) {
            Some(number) => Ok(Value::Int(number)),
            None => Err(self.bad("a number is not an integer of 64 bits")),
        }
    }

    fn text(&mut self, length: u64) -> Result<Value<'p>> {
        let bytes = self.input.take(length, "a text in the pickle")?;
        std::str::from_utf8(bytes).map(Value::Str).map_err(|_| self.bad("a text is not UTF-8"))
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
            (op::BUILD, Some(Value::Dict(_))) => {}
            (_, Some(Value::Opaque { .. })) => {}
            (_, Some(other)) => {
                let reason = format!("{} is applied to {}", op::name(opcode), other.describe());
                return Err(self.bad(reason));
            }
            (_, None) => return Err(self.bad("a value is missing")),
        }
        Ok(())
    }

    /// Operations that name a function or class, or call one: never done, only written down.
    fn object(&mut self, opcode: u8) -> Result<()> {
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
            &Value::Global(callable @ (Global::RebuildTensor | Global::RebuildParameter)) => {
                Ok(Value::Call { callable, args, at: self.at })
            }
            other => {
                opaque(other).ok_or_else(|| self.bad(format!("{} is called", other.describe())))
            }
        }
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

/// An object of an opaque class is as opaque as the class.
fn opaque<'p>(class: &Value<'p>) -> Option<Value<'p>> {
    match *class {
        Value::Opaque { module, name } => Some(Value::Opaque { module, name }),
        _ => None,
    }
}

/// Two's complement, least significant byte first, of any length.
fn long(bytes: &[u8]) -> Value<'_> {
    let sign = bytes.last().map_or(0, |b| if b & 0x80 == 0 { 0 } else { 0xff });
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let mut wide = [sign; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    Value::Int(i64::from_le_bytes(wide))
}
