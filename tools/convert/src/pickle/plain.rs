//! Operations that push one value without naming anything outside the pickle.

use crate::{
    error::{Error, Result},
    opcode as op,
    pickle::{Machine, object::opaque},
    value::Value,
};

impl<'p> Machine<'p, '_> {
    /// Operations that push one value without a name from outside.
    pub(super) fn plain(&mut self, opcode: u8) -> Result<Value<'p>> {
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
            // Texts of protocol 0 (STRING, UNICODE), references by text (PERSID), copyreg's registry
            // (EXT1, EXT2, EXT4), buffers outside the stream, and bytes that mean nothing.
            _ => return Err(Error::Opcode { opcode, name: op::name(opcode), at: self.at }),
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
