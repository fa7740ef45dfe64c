//! The commands: one table of what there is, from which docs/resp.md is made, and what each needs to run.

mod algebra;
mod bits;
mod blocking;
mod config;
mod connection;
mod cursor;
mod decimal;
mod describe;
mod expiry;
mod hashes;
mod info;
mod keys;
mod lists;
mod own;
mod random;
mod sets;
mod sorted;
mod strings;
mod table;

pub(crate) use blocking::Block;
pub(crate) use keys::copy_database;
pub(crate) use table::{find, sub_arity, table_text};

use super::{reply::Reply, session::Session};
use crate::{
    KvError, Store,
    transaction::Transaction,
    value::{Bytes, Value},
};
use quintet_core::{Error, ErrorKind};
use std::{borrow::Cow, error::Error as _};

/// Where a command's keys stand among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    /// From the first to the last (negative = from the end), every `step`th.
    At(usize, isize, usize),
    /// A count at this place, and that many keys behind it.
    Counted(usize),
    /// The same, and a key to store into as the first argument.
    CountedInto(usize),
    /// COPY's: the second may be in another database.
    Copy,
    /// All keys there are, at one moment.
    All,
    /// All keys there are, a shard at a time; at one moment inside a transaction.
    Walk,
}

/// How a command runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// On the values of its keys, under their locks.
    Data(fn(&mut Call<'_, '_, '_>) -> Outcome),
    /// On the connection, before it could be queued by MULTI.
    Session,
}

/// What somebody must be allowed to run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: it is about the connection itself.
    Open,
    Read,
    Write,
    Administer,
}

pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// As Redis counts: the name included; negative = at least.
    pub(crate) arity: i32,
    pub(crate) group: &'static str,
    pub(crate) access: Access,
    pub(crate) keys: Keys,
    pub(crate) run: Run,
    /// How it differs from Redis.
    pub(crate) note: &'static str,
}

/// Why a command failed: a whole error line, or what the store said.
pub(crate) enum Fail {
    Line(Cow<'static, str>),
    Store(Error),
}

pub(crate) type Outcome = Result<(), Fail>;

/// The version of Redis whose answers these are.
pub(crate) const VERSION: &str = "7.0.15";
pub(crate) const SYNTAX: &str = "ERR syntax error";
pub(crate) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub(crate) const NOT_FLOAT: &str = "ERR value is not a valid float";
pub(crate) const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(crate) const NO_KEY: &str = "ERR no such key";

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<KvError> for Fail {
    fn from(error: KvError) -> Self {
        Self::Store(error.into())
    }
}

pub(crate) fn fail(line: &'static str) -> Fail {
    Fail::Line(Cow::Borrowed(line))
}

impl Fail {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        let error = match self {
            Self::Line(line) => return Cow::Borrowed(line),
            Self::Store(error) => error,
        };
        if let Some(KvError::WrongType { .. }) = error.source().and_then(|source| source.downcast_ref()) {
            return Cow::Borrowed(WRONG_TYPE);
        }
        match error.kind() {
            ErrorKind::Full => Cow::Borrowed("OOM command not allowed when used memory > 'maxmemory'."),
            ErrorKind::PermissionDenied => {
                Cow::Borrowed("READONLY You can't write against a read only replica.")
            }
            ErrorKind::Poisoned | ErrorKind::Closed => Cow::Owned(format!("MISCONF {error}")),
            _ => Cow::Owned(format!("ERR {error}")),
        }
    }
}

/// One command at work.
pub(crate) struct Call<'a, 'b, 't> {
    pub(crate) transaction: &'a mut Transaction<'t>,
    pub(crate) session: &'a mut Session,
    pub(crate) store: &'b Store,
    pub(crate) arguments: &'b [Bytes],
    pub(crate) reply: &'a mut Reply,
    /// Set by a blocking command that found nothing. Not under MULTI.
    pub(crate) block: &'a mut Option<Block>,
}

impl Call<'_, '_, '_> {
    /// An argument; empty beyond the last, which the arity has excluded.
    pub(crate) fn argument(&self, at: usize) -> &[u8] {
        self.arguments.get(at).map_or(&[], |argument| argument)
    }

    pub(crate) fn len(&self) -> usize {
        self.arguments.len()
    }

    /// The store's name of the key at a place: the number of the database before it.
    pub(crate) fn key(&self, at: usize) -> Bytes {
        self.session.key(self.argument(at))
    }

    pub(crate) fn int(&self, at: usize) -> Result<i64, Fail> {
        parse_int(self.argument(at)).ok_or_else(|| fail(NOT_INTEGER))
    }

    pub(crate) fn float(&self, at: usize) -> Result<f64, Fail> {
        parse_float(self.argument(at)).ok_or_else(|| fail(NOT_FLOAT))
    }

    /// Whether an argument is this word, in whatever case.
    pub(crate) fn is(&self, at: usize, word: &str) -> bool {
        self.argument(at).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The scalar under a key.
    pub(crate) fn scalar(&mut self, key: &[u8]) -> Result<Option<Value>, Fail> {
        let value = self.transaction.value(key)?;
        if value.as_ref().is_some_and(|value| !is_string(value)) {
            return Err(fail(WRONG_TYPE));
        }
        Ok(value)
    }
}

/// Whether Redis would call it a string.
pub(crate) fn is_string(value: &Value) -> bool {
    matches!(
        value,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Bytes(_)
    )
}

/// A whole number, written as Redis accepts it: no plus, no blanks, no leading zeros.
pub(crate) fn parse_int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_canonical = match digits {
        [] => false,
        [b'0', ..] => text == b"0",
        digits => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
    };
    if !is_canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(crate) fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.starts_with(char::is_whitespace) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}
