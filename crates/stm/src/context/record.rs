//! The bytes of a context's log records and snapshot items.
//!
//! All integers little-endian; `text` and `bytes` are a `u32` length and that many bytes. The log frames, checksums and
//! numbers records; this is what is inside.
//!
//! | record | layout |
//! |---|---|
//! | change set | `1`, format `1`, isolation `u8`, version `u64`, who `text`, changes `u32` x (path `text`, value or `0xff` = gone), messages `u32` x (id `u64`, topic `text`, value) |
//! | delivery | `2`, format `1`, id `u64`: all messages up to it are delivered |
//! | snapshot head | `3`, format `1`, version `u64`, last message `u64` |
//! | snapshot value | `4`, format `1`, path `text`, value |
//! | snapshot message | `5`, format `1`, id `u64`, topic `text`, value |
//!
//! A value is a tag and its content: `0` null, `1` false, `2` true, `3` int `i64`, `4` float `u64` bits, `5` `text`,
//! `6` `bytes`, `7` list `u32` x value, `8` map `u32` x (`text`, value).

use super::{
    change::{Change, ChangeSet, Message},
    path::Path,
    value::Value,
    zone::Zone,
};
use crate::Isolation;
use std::{collections::BTreeMap, sync::Arc};

const FORMAT: u8 = 1;
const GONE: u8 = 0xff;

/// A decoded record or snapshot item.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Changes(ChangeSet),
    Delivered(u64),
    Head { version: u64, last_message: u64 },
    Value(Path, Value),
    Message(Message),
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_count(out, text.len());
    out.extend_from_slice(text);
}

/// Counts are bounded by the limits of a context, far below 32 bits.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(set) => out.push(1 + u8::from(*set)),
        Value::Int(number) => {
            out.push(3);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Str(text) => {
            out.push(5);
            put_text(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(6);
            put_text(out, bytes);
        }
        Value::List(list) => {
            out.push(7);
            put_count(out, list.len());
            list.iter().for_each(|item| put_value(out, item));
        }
        Value::Map(map) => {
            out.push(8);
            put_count(out, map.len());
            for (name, item) in &**map {
                put_text(out, name.as_bytes());
                put_value(out, item);
            }
        }
    }
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(&message.id.to_le_bytes());
    put_text(out, message.topic.as_bytes());
    put_value(out, &message.payload);
}

/// Heavy values live in memory only and are left out.
pub(crate) fn encode_change_set(set: &ChangeSet) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 48 * set.changes.len());
    let isolation = match set.isolation {
        Isolation::Safe => 0,
        Isolation::Hybrid => 1,
        Isolation::Raw => 2,
    };
    out.extend_from_slice(&[1, FORMAT, isolation]);
    out.extend_from_slice(&set.version.to_le_bytes());
    put_text(&mut out, set.who.as_bytes());
    let durable = || set.changes.iter().filter(|change| is_durable(&change.path));
    put_count(&mut out, durable().count());
    for change in durable() {
        put_text(&mut out, change.path.as_str().as_bytes());
        match &change.new {
            Some(value) => put_value(&mut out, value),
            None => out.push(GONE),
        }
    }
    put_count(&mut out, set.messages.len());
    set.messages
        .iter()
        .for_each(|message| put_message(&mut out, message));
    out
}

pub(crate) fn is_durable(path: &Path) -> bool {
    Zone::of(path) != Zone::Heavy
}

pub(crate) fn encode_delivered(id: u64) -> Vec<u8> {
    let mut out = vec![2, FORMAT];
    out.extend_from_slice(&id.to_le_bytes());
    out
}

pub(crate) fn encode_head(version: u64, last_message: u64) -> Vec<u8> {
    let mut out = vec![3, FORMAT];
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&last_message.to_le_bytes());
    out
}

pub(crate) fn encode_value(path: &Path, value: &Value) -> Vec<u8> {
    let mut out = vec![4, FORMAT];
    put_text(&mut out, path.as_str().as_bytes());
    put_value(&mut out, value);
    out
}

pub(crate) fn encode_message(message: &Message) -> Vec<u8> {
    let mut out = vec![5, FORMAT];
    put_message(&mut out, message);
    out
}

/// Reads a record from its start.
struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| format!("{count} bytes expected, {} left", self.0.len()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "a short read".to_owned())
    }

    fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things of at least one byte each, so that a damaged one cannot ask for much memory.
    fn count(&mut self) -> Read<usize> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count > self.0.len() {
            return Err(format!("a count of {count} in {} bytes", self.0.len()));
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    fn path(&mut self) -> Read<Path> {
        Path::new(self.text()?).map_err(|error| error.to_string())
    }

    fn value(&mut self, tag: u8, depth: usize) -> Read<Value> {
        if depth > Value::MAX_DEPTH {
            return Err(format!("a value nests deeper than {}", Value::MAX_DEPTH));
        }
        Ok(match tag {
            0 => Value::Null,
            1 | 2 => Value::Bool(tag == 2),
            3 => Value::Int(i64::from_le_bytes(self.array()?)),
            4 => Value::Float(f64::from_bits(self.number()?)),
            5 => Value::Str(Arc::from(self.text()?)),
            6 => Value::Bytes(Arc::new(self.bytes()?.to_vec())),
            7 => {
                let count = self.count()?;
                let items = (0..count)
                    .map(|_| self.next_value(depth + 1))
                    .collect::<Read<Vec<_>>>()?;
                Value::from(items)
            }
            8 => {
                let count = self.count()?;
                let mut map = BTreeMap::new();
                for _ in 0..count {
                    let name = self.text()?.to_owned();
                    map.insert(name, self.next_value(depth + 1)?);
                }
                Value::from(map)
            }
            other => return Err(format!("value tag {other}")),
        })
    }

    fn next_value(&mut self, depth: usize) -> Read<Value> {
        let tag = self.byte()?;
        self.value(tag, depth)
    }

    fn message(&mut self) -> Read<Message> {
        Ok(Message {
            id: self.number()?,
            topic: Arc::from(self.text()?),
            payload: self.next_value(0)?,
        })
    }

    fn change_set(&mut self) -> Read<ChangeSet> {
        let isolation = match self.byte()? {
            0 => Isolation::Safe,
            1 => Isolation::Hybrid,
            2 => Isolation::Raw,
            other => return Err(format!("isolation {other}")),
        };
        let version = self.number()?;
        let who = Arc::from(self.text()?);
        let mut changes = Vec::new();
        for _ in 0..self.count()? {
            let path = self.path()?;
            let new = match self.byte()? {
                GONE => None,
                tag => Some(self.value(tag, 0)?),
            };
            changes.push(Change { path, old: None, new });
        }
        let mut messages = Vec::new();
        for _ in 0..self.count()? {
            messages.push(self.message()?);
        }
        Ok(ChangeSet {
            version,
            who,
            isolation,
            changes,
            messages,
        })
    }
}

/// Reads one record. A decoded change set does not know the old values.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, String> {
    let mut reader = Reader(bytes);
    let kind = reader.byte()?;
    let format = reader.byte()?;
    if format != FORMAT {
        return Err(format!("format {format}, this build reads {FORMAT}"));
    }
    let record = match kind {
        1 => Record::Changes(reader.change_set()?),
        2 => Record::Delivered(reader.number()?),
        3 => Record::Head {
            version: reader.number()?,
            last_message: reader.number()?,
        },
        4 => Record::Value(reader.path()?, reader.next_value(0)?),
        5 => Record::Message(reader.message()?),
        other => return Err(format!("record kind {other}")),
    };
    if reader.0.is_empty() {
        Ok(record)
    } else {
        Err(format!("{} bytes too many", reader.0.len()))
    }
}
