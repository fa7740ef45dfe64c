//! [`Session`]: what one connection has said so far (its database, its transaction, its subscriptions), and the commands
//! about that.

mod pubsub;
mod transaction;
mod watch;

use super::{
    command::{Command, Fail},
    hub::Hub,
    reply::Reply,
};
use crate::{Store, value::Bytes};
use quintet_net::ConnectionId;
use std::{collections::BTreeSet, sync::Arc};
use watch::Watches;

/// How many databases SELECT knows.
pub(crate) const DATABASES: u8 = 16;
/// Commands that MULTI may queue, and keys that WATCH may name.
pub(crate) const MAX_QUEUED: usize = 1 << 16;

/// A queued or blocked command.
pub(crate) type Queued = (&'static Command, Vec<Bytes>);

pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) id: ConnectionId,
    pub(crate) worker: usize,
    pub(crate) database: u8,
    pub(crate) wants_snapshot: bool,
    pub(crate) in_exec: bool,
    pub(crate) closing: bool,
    name: Vec<u8>,
    queue: Option<Vec<Queued>>,
    /// A command could not be queued: EXEC is refused.
    spoiled: bool,
    watched: Option<Watches>,
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    hub: Arc<Hub>,
}

/// The store's name of a key in a database.
pub(crate) fn key_in(database: u8, key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len() + 1);
    name.push(database);
    name.extend_from_slice(key);
    name
}

/// The database that SELECT names.
fn database_of(arguments: &[Bytes]) -> Result<u8, Fail> {
    let number = arguments.get(1).and_then(|text| super::command::parse_int(text));
    let number = number.ok_or(Fail::Line("ERR value is not an integer or out of range".into()))?;
    let fits = u8::try_from(number).ok().filter(|number| *number < DATABASES);
    fits.ok_or(Fail::Line("ERR DB index is out of range".into()))
}

pub(crate) fn wrong_arity(name: &[u8]) -> Fail {
    let name = name.to_ascii_lowercase();
    let name = name.escape_ascii();
    Fail::Line(format!("ERR wrong number of arguments for '{name}' command").into())
}

impl Session {
    pub(crate) fn new(number: u64, id: ConnectionId, worker: usize, hub: Arc<Hub>) -> Self {
        Self {
            number,
            id,
            worker,
            database: 0,
            wants_snapshot: false,
            in_exec: false,
            closing: false,
            name: Vec::new(),
            queue: None,
            spoiled: false,
            watched: None,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            hub,
        }
    }

    pub(crate) fn key(&self, key: &[u8]) -> Vec<u8> {
        key_in(self.database, key)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    pub(crate) fn is_queueing(&self) -> bool {
        self.queue.is_some()
    }

    /// Marks a transaction as one that EXEC refuses.
    pub(crate) fn spoil(&mut self) {
        self.spoiled = self.queue.is_some();
    }

    /// Runs a command about the connection.
    pub(crate) fn run(&mut self, store: &Store, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let name = arguments
            .first()
            .map_or_else(Vec::new, |name| name.to_ascii_uppercase());
        match name.as_slice() {
            b"HELLO" => self.hello(arguments, reply),
            b"AUTH" => auth(arguments),
            b"SELECT" => self.select(arguments, reply),
            b"QUIT" => {
                self.closing = true;
                reply.ok();
                Ok(())
            }
            b"RESET" => {
                self.reset();
                reply.resp3 = false;
                reply.simple("RESET");
                Ok(())
            }
            b"CLIENT" => self.client(arguments, reply),
            b"MULTI" | b"EXEC" | b"DISCARD" | b"WATCH" | b"UNWATCH" => {
                self.transaction(&name, store, arguments, reply)
            }
            _ => self.pubsub(&name, arguments, reply),
        }
    }

    fn hello(&mut self, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let mut resp3 = reply.resp3;
        if let Some(version) = arguments.get(1) {
            resp3 = match &version[..] {
                b"2" => false,
                b"3" => true,
                text if super::command::parse_int(text).is_none() => {
                    return Err(Fail::Line(
                        "ERR Protocol version is not an integer or out of range".into(),
                    ));
                }
                _ => return Err(Fail::Line("NOPROTO unsupported protocol version".into())),
            };
        }
        let mut rest = arguments.get(2..).unwrap_or(&[]);
        while let [word, after @ ..] = rest {
            rest = match after {
                [name, after @ ..] if word.eq_ignore_ascii_case(b"SETNAME") => {
                    self.set_name(name)?;
                    after
                }
                [_, _, ..] if word.eq_ignore_ascii_case(b"AUTH") => return auth(&after[..2]),
                _ => {
                    let word = word.escape_ascii();
                    return Err(Fail::Line(
                        format!("ERR Syntax error in HELLO option '{word}'").into(),
                    ));
                }
            };
        }
        reply.resp3 = resp3;
        reply.map(7);
        let facts = [("server", "redis"), ("version", "7.0.0")];
        for (name, fact) in facts {
            reply.bulk(name.as_bytes());
            reply.bulk(fact.as_bytes());
        }
        reply.bulk(b"proto");
        reply.int(if resp3 { 3 } else { 2 });
        reply.bulk(b"id");
        reply.int(i64::try_from(self.number).unwrap_or(i64::MAX));
        for (name, fact) in [("mode", "standalone"), ("role", "master")] {
            reply.bulk(name.as_bytes());
            reply.bulk(fact.as_bytes());
        }
        reply.bulk(b"modules");
        reply.array(0);
        Ok(())
    }

    fn select(&mut self, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        self.database = database_of(arguments)?;
        reply.ok();
        Ok(())
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), Fail> {
        if name.iter().any(|byte| !(33..=126).contains(byte)) {
            let text = "ERR Client names cannot contain spaces, newlines or special characters.";
            return Err(Fail::Line(text.into()));
        }
        self.name = name.to_vec();
        Ok(())
    }

    fn client(&mut self, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let word = arguments
            .get(1)
            .map_or_else(Vec::new, |word| word.to_ascii_uppercase());
        match (word.as_slice(), &arguments[2..]) {
            (b"ID", []) => reply.int(i64::try_from(self.number).unwrap_or(i64::MAX)),
            (b"GETNAME", []) if self.name.is_empty() => reply.null(),
            (b"GETNAME", []) => reply.bulk(&self.name),
            (b"SETNAME", [name]) => {
                self.set_name(name)?;
                reply.ok();
            }
            (b"SETINFO", [_, _]) | (b"NO-EVICT", [_]) => reply.ok(),
            (b"INFO", []) => {
                let (id, name, db) = (self.number, self.name.escape_ascii(), self.database);
                reply.bulk(format!("id={id} name={name} db={db}\n").as_bytes());
            }
            _ => {
                let word = arguments[1].escape_ascii();
                let text = format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
                );
                return Err(Fail::Line(text.into()));
            }
        }
        Ok(())
    }

    /// Back to the beginning; also what the end of the connection needs.
    pub(crate) fn reset(&mut self) {
        for (by_pattern, names) in [(false, &self.channels), (true, &self.patterns)] {
            for name in names {
                self.hub.unsubscribe(by_pattern, name, (self.worker, self.id));
            }
        }
        self.channels.clear();
        self.patterns.clear();
        self.database = 0;
        self.name.clear();
        self.forget_transaction();
    }
}

fn auth(arguments: &[Bytes]) -> Result<(), Fail> {
    if arguments.len() > 3 {
        return Err(Fail::Line(super::command::SYNTAX.into()));
    }
    let text = "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                configuration is correct?";
    Err(Fail::Line(text.into()))
}
