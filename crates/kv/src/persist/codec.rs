//! Values and effects as bytes: tags, little-endian lengths, nothing implied. Described in docs/disk-format.md.
//!
//! Decoding trusts nothing: a length beyond the input or nesting beyond [`MAX_DEPTH`] is an error, never a panic.

use crate::{
    KvError,
    effect::{Effect, End},
    value::{Bytes, Hash, List, Object, Set, SortedSet, Value},
};
use std::sync::Arc;

/// How deep lists and objects may be nested. Deeper values are refused before they are stored.
const MAX_DEPTH: usize = 128;

fn len(out: &mut Vec<u8>, len: usize) {
    // Records are at most 1 GiB, so that no length inside one can exceed 32 bits; a longer one is refused by the log.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_many(out: &mut Vec<u8>, items: &[Bytes]) {
    len(out, items.len());
    items.iter().for_each(|item| put_bytes(out, item));
}

fn put_values(out: &mut Vec<u8>, items: &[Value]) -> Result<(), KvError> {
    len(out, items.len());
    items.iter().try_for_each(|item| put_value(out, item, 0))
}

pub(super) fn put_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), KvError> {
    if depth > MAX_DEPTH {
        return Err(KvError::Argument {
            operation: "store",
            reason: format!("a value is nested deeper than {MAX_DEPTH}"),
        });
    }
    match value {
        Value::Null => out.push(0),
        Value::Bool(value) => out.push(1 + u8::from(*value)),
        Value::Int(value) => {
            out.push(3);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Float(value) => {
            out.push(4);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Value::String(text) => {
            out.push(5);
            put_bytes(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(6);
            put_bytes(out, bytes);
        }
        Value::List(list) => {
            out.push(7);
            len(out, list.items.len());
            for item in &list.items {
                put_value(out, item, depth + 1)?;
            }
        }
        Value::Object(object) => put_object(out, object, depth)?,
        Value::Hash(hash) => {
            out.push(9);
            len(out, hash.fields.len());
            for (name, value) in &hash.fields {
                put_bytes(out, name);
                put_bytes(out, value);
            }
        }
        Value::Set(set) => {
            out.push(10);
            len(out, set.members.len());
            set.members.iter().for_each(|member| put_bytes(out, member));
        }
        Value::SortedSet(set) => {
            out.push(11);
            len(out, set.order.len());
            for (score, member) in set.iter() {
                out.extend_from_slice(&score.to_bits().to_le_bytes());
                put_bytes(out, member);
            }
        }
    }
    Ok(())
}

fn put_object(out: &mut Vec<u8>, object: &Object, depth: usize) -> Result<(), KvError> {
    out.push(8);
    len(out, object.fields.len());
    for (name, value) in &object.fields {
        put_bytes(out, name.as_bytes());
        put_value(out, value, depth + 1)?;
    }
    Ok(())
}

/// Appends an effect on a key.
pub(crate) fn put_effect(out: &mut Vec<u8>, key: &[u8], effect: &Effect) -> Result<(), KvError> {
    let tag_at = out.len();
    out.push(0);
    put_bytes(out, key);
    let end = |end: &End| u8::from(*end == End::Back);
    out[tag_at] = match effect {
        Effect::Put { value, expires_ms } => {
            out.extend_from_slice(&expires_ms.to_le_bytes());
            put_value(out, value, 0)?;
            1
        }
        Effect::Delete => 2,
        Effect::Expire { at_ms } => {
            out.extend_from_slice(&at_ms.to_le_bytes());
            3
        }
        Effect::Push { end: at, items } => {
            out.push(end(at));
            put_values(out, items)?;
            4
        }
        Effect::Pop { end: at, count } => {
            out.push(end(at));
            out.extend_from_slice(&count.to_le_bytes());
            5
        }
        Effect::Splice { at, removed, items } => {
            out.extend_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&removed.to_le_bytes());
            put_values(out, items)?;
            6
        }
        Effect::Merge { patch } => {
            put_object(out, patch, 0)?;
            7
        }
        Effect::HashPut { fields } => {
            len(out, fields.len());
            for (name, value) in fields {
                put_bytes(out, name);
                put_bytes(out, value);
            }
            8
        }
        Effect::HashRemove { fields: names } => {
            put_many(out, names);
            9
        }
        Effect::SetAdd { members } => {
            put_many(out, members);
            10
        }
        Effect::SetRemove { members } => {
            put_many(out, members);
            11
        }
        Effect::Score { members } => {
            len(out, members.len());
            for (score, member) in members {
                out.extend_from_slice(&score.to_bits().to_le_bytes());
                put_bytes(out, member);
            }
            12
        }
        Effect::Unscore { members } => {
            put_many(out, members);
            13
        }
    };
    Ok(())
}

/// Reads what the functions above wrote.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], KvError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| damaged("a length reaches beyond the end"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, KvError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, KvError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn count(&mut self) -> Result<usize, KvError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        let count = u32::from_le_bytes(bytes) as usize;
        // Every item takes at least one byte, so that a wrong count cannot ask for memory.
        if count > self.rest.len() {
            return Err(damaged("a count is larger than what follows"));
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, KvError> {
        let count = self.count()?;
        Ok(self.take(count)?.into())
    }

    fn text(&mut self) -> Result<Arc<str>, KvError> {
        let count = self.count()?;
        let text = std::str::from_utf8(self.take(count)?).map_err(|_| damaged("a text is not UTF-8"))?;
        Ok(text.into())
    }

    fn many<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, KvError>) -> Result<Vec<T>, KvError> {
        let count = self.count()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn score(&mut self) -> Result<f64, KvError> {
        let score = f64::from_bits(self.number()?);
        if score.is_nan() {
            return Err(damaged("a number is NaN"));
        }
        Ok(score)
    }

    fn end(&mut self) -> Result<End, KvError> {
        match self.byte()? {
            0 => Ok(End::Front),
            1 => Ok(End::Back),
            _ => Err(damaged("a list has two ends")),
        }
    }

    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, KvError> {
        if depth > MAX_DEPTH {
            return Err(damaged("values are nested too deep"));
        }
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.number()? as i64),
            4 => Value::Float(self.score()?),
            5 => Value::String(self.text()?),
            6 => Value::Bytes(self.bytes()?),
            7 => {
                let items = self.many(|reader| reader.value(depth + 1))?;
                Value::List(Arc::new(items.into_iter().collect::<List>()))
            }
            8 => Value::Object(Arc::new(self.object(depth)?)),
            9 => {
                let mut hash = Hash::default();
                for (name, value) in self.many(|reader| Ok((reader.bytes()?, reader.bytes()?)))? {
                    hash.put(name, value);
                }
                Value::Hash(Arc::new(hash))
            }
            10 => {
                let mut set = Set::default();
                for member in self.many(Self::bytes)? {
                    set.add(member);
                }
                Value::Set(Arc::new(set))
            }
            11 => {
                let mut set = SortedSet::default();
                for (score, member) in self.many(|reader| Ok((reader.score()?, reader.bytes()?)))? {
                    set.put(score, member);
                }
                Value::SortedSet(Arc::new(set))
            }
            tag => return Err(damaged(&format!("{tag} is no kind of value"))),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Object, KvError> {
        let fields = self.many(|reader| Ok((reader.text()?, reader.value(depth + 1)?)))?;
        Ok(fields.into_iter().collect())
    }

    /// One effect and its key.
    pub(crate) fn effect(&mut self, tag: u8) -> Result<(Bytes, Effect), KvError> {
        let key = self.bytes()?;
        let effect = match tag {
            1 => Effect::Put {
                expires_ms: self.number()?,
                value: self.value(0)?,
            },
            2 => Effect::Delete,
            3 => Effect::Expire {
                at_ms: self.number()?,
            },
            4 => Effect::Push {
                end: self.end()?,
                items: self.many(|reader| reader.value(0))?,
            },
            5 => Effect::Pop {
                end: self.end()?,
                count: self.number()?,
            },
            6 => Effect::Splice {
                at: self.number()?,
                removed: self.number()?,
                items: self.many(|reader| reader.value(0))?,
            },
            7 if self.byte()? == 8 => Effect::Merge {
                patch: Arc::new(self.object(0)?),
            },
            8 => Effect::HashPut {
                fields: self.many(|reader| Ok((reader.bytes()?, reader.bytes()?)))?,
            },
            9 => Effect::HashRemove {
                fields: self.many(Self::bytes)?,
            },
            10 => Effect::SetAdd {
                members: self.many(Self::bytes)?,
            },
            11 => Effect::SetRemove {
                members: self.many(Self::bytes)?,
            },
            12 => Effect::Score {
                members: self.many(|reader| Ok((reader.score()?, reader.bytes()?)))?,
            },
            13 => Effect::Unscore {
                members: self.many(Self::bytes)?,
            },
            tag => return Err(damaged(&format!("{tag} is no kind of effect"))),
        };
        Ok((key, effect))
    }
}

pub(crate) fn damaged(reason: &str) -> KvError {
    KvError::Damaged {
        what: "a stored record".to_owned(),
        reason: reason.to_owned(),
    }
}
