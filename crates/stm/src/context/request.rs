//! [`Request`]: a transaction as data, as it comes over a wire, and [`Response`], what it did.
//!
//! ```text
//! {"isolation": "safe", "who": "shop", "reads": {"stock.apples": 5120, "order.7": null},
//!  "ops": [{"set": {"order.7": {"apples": 2}}}, {"increment": {"stock.apples": -2}},
//!          {"append": {"LOG_orders": 7}}, {"delete": ["cart.7"]}]}
//! ```
//! `reads` names what the request depends on: the stamp with which a value was seen, or null for one that must not be
//! there. If any of it is no longer true, nothing happens and the error names the paths.

use super::{Context, change::Change, path::Path, tx::ContextTx, value::Value};
use crate::{Error, Isolation, Result, Stamp, Transaction, transaction::Step};
use std::collections::BTreeMap;

/// One step of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Sets a value.
    Set(Path, Value),
    /// Adds to a number.
    Increment(Path, i64),
    /// Appends to a list.
    Append(Path, Value),
    /// Removes a value.
    Delete(Path),
}

impl Operation {
    fn perform(&self, tx: &mut ContextTx<'_>) -> Step<()> {
        match self {
            Self::Set(path, value) => tx.set(path.as_str(), value.clone()),
            Self::Increment(path, delta) => tx.increment(path.as_str(), *delta),
            Self::Append(path, item) => tx.append(path.as_str(), item.clone()),
            Self::Delete(path) => tx.delete(path.as_str()),
        }
    }
}

/// A transaction as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The level. With `reads`, hybrid is run as safe, because they are to be validated, and raw is refused.
    pub isolation: Isolation,
    /// The label; empty = `request`.
    pub who: String,
    /// What must still be true: the stamp of a value, or `None` for one that is not there.
    pub reads: BTreeMap<Path, Option<Stamp>>,
    /// What to do, in order.
    pub ops: Vec<Operation>,
}

/// What a request did.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The version it made, or the present one if it changed nothing that is recorded.
    pub version: u64,
    /// What it changed, by path; of a raw one each change on its own.
    pub changes: Vec<Change>,
}

fn malformed<T>(at: impl Into<String>, reason: impl Into<String>) -> Result<T> {
    Err(Error::InvalidOperation {
        at: at.into(),
        reason: reason.into(),
    })
}

fn map<'a>(at: &str, value: &'a Value) -> Result<&'a BTreeMap<String, Value>> {
    match value {
        Value::Map(map) => Ok(map),
        other => malformed(at, format!("expected a map, found {}", other.kind())),
    }
}

impl Request {
    /// Reads a request from its JSON form.
    ///
    /// # Errors
    /// [`Error::InvalidOperation`] or [`Error::InvalidPath`] that say where and why; unknown fields are refused.
    pub fn from_value(value: &Value) -> Result<Self> {
        let mut request = Self::default();
        for (name, value) in map("request", value)? {
            match (name.as_str(), value) {
                ("isolation", Value::Str(text)) => request.isolation = text.parse()?,
                ("who", Value::Str(text)) if text.len() <= 256 => request.who = text.to_string(),
                ("reads", reads) => {
                    for (path, stamp) in map("reads", reads)? {
                        let stamp = stamp_of(path, stamp)?;
                        request.reads.insert(Path::new(path)?, stamp);
                    }
                }
                ("ops", Value::List(list)) => {
                    for (at, op) in list.iter().enumerate() {
                        request.parse_operation(at, op)?;
                    }
                }
                ("isolation" | "who" | "ops", other) => {
                    return malformed(name, format!("not a valid {name}: {}", other.kind()));
                }
                _ => return malformed(name, "unknown field; known are isolation, who, reads, ops"),
            }
        }
        Ok(request)
    }

    fn parse_operation(&mut self, at: usize, op: &Value) -> Result<()> {
        let at = format!("ops[{at}]");
        let fields = map(&at, op)?;
        let (Some((name, what)), 1) = (fields.iter().next(), fields.len()) else {
            return malformed(
                at,
                format!(
                    "expected one of set, increment, append, delete, found {} fields",
                    fields.len()
                ),
            );
        };
        let at = format!("{at}.{name}");
        match name.as_str() {
            "set" => {
                for (path, value) in map(&at, what)? {
                    self.ops.push(Operation::Set(Path::new(path)?, value.clone()));
                }
            }
            "increment" => {
                for (path, delta) in map(&at, what)? {
                    let Some(delta) = delta.as_int() else {
                        return malformed(
                            format!("{at}.{path}"),
                            format!("expected int, found {}", delta.kind()),
                        );
                    };
                    self.ops.push(Operation::Increment(Path::new(path)?, delta));
                }
            }
            "append" => {
                for (path, item) in map(&at, what)? {
                    self.ops.push(Operation::Append(Path::new(path)?, item.clone()));
                }
            }
            "delete" => {
                let single = std::slice::from_ref(what);
                for path in what.as_list().unwrap_or(single) {
                    let Some(path) = path.as_str() else {
                        return malformed(at, format!("expected a path, found {}", path.kind()));
                    };
                    self.ops.push(Operation::Delete(Path::new(path)?));
                }
            }
            _ => return malformed(at, "expected one of set, increment, append, delete"),
        }
        Ok(())
    }

    /// The paths of which something else was expected, and who wrote the first of them.
    fn stale(&self, tx: &mut ContextTx<'_>) -> Step<Option<(Vec<String>, String)>> {
        let mut stale: Option<(Vec<String>, String)> = None;
        for (path, expected) in &self.reads {
            let (is_there, stamp) = tx.stamp(path)?;
            let holds = match expected {
                Some(expected) => *expected == stamp,
                None => !is_there,
            };
            if !holds {
                let (paths, _) = stale.get_or_insert_with(|| (Vec::new(), tx.writer(path).to_string()));
                paths.push(path.to_string());
            }
        }
        Ok(stale)
    }
}

fn stamp_of(path: &str, stamp: &Value) -> Result<Option<Stamp>> {
    match stamp {
        Value::Null => Ok(None),
        Value::Int(number) => match u64::try_from(*number).ok().and_then(Stamp::from_u64) {
            Some(stamp) => Ok(Some(stamp)),
            None => malformed(format!("reads.{path}"), format!("{number} is no stamp")),
        },
        other => malformed(
            format!("reads.{path}"),
            format!("expected a stamp or null, found {}", other.kind()),
        ),
    }
}

impl Context {
    /// Runs a request.
    ///
    /// # Errors
    /// [`Error::Conflict`] that names the `reads` that are no longer true; what an operation refuses, as the methods of
    /// [`ContextTx`]. Nothing has happened then, except that a raw request keeps the operations before the one refused.
    pub fn request(&self, request: &Request) -> Result<Response> {
        let isolation = match (request.isolation, request.reads.is_empty()) {
            (Isolation::Raw, false) => return malformed("reads", "a raw transaction validates nothing"),
            (Isolation::Hybrid, false) => Isolation::Safe,
            (isolation, _) => isolation,
        };
        let who = if request.who.is_empty() {
            "request"
        } else {
            &request.who
        };
        let how = Transaction::new(isolation).label(who);
        let mut attempts = 0;
        let body = |tx: &mut ContextTx<'_>| {
            attempts += 1;
            if let Some((keys, rival)) = request.stale(tx)? {
                return Err(Error::Conflict {
                    keys,
                    rival,
                    attempts,
                }
                .into());
            }
            request.ops.iter().try_for_each(|op| op.perform(tx))
        };
        // From the commit itself: the history may have forgotten it by the time that somebody asks.
        let mut changes = Vec::new();
        let ((), version) = self.transact_noting(&how, body, Some(&mut changes))?;
        let version = version.unwrap_or_else(|| self.version());
        Ok(Response { version, changes })
    }
}
