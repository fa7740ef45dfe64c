//! [`Session`]: what one connection has said so far (its database, its transaction, its subscriptions), and the commands
//! about that.

mod account;
mod client;
mod pubsub;
mod transaction;
mod watch;

use super::{
    command::{Command, Fail},
    lobby::Lobby,
    reply::Reply,
};
use crate::{Store, value::Bytes};
use quintet_core::{Clock, auth::Principal};
use quintet_net::ConnectionId;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Instant, SystemTime},
};
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
    principal: Option<Principal>,
    /// What it presented, to be asked about again.
    presented: Option<Bytes>,
    /// The authenticator's when it was last asked.
    generation: u64,
    /// The log has failed: what would touch data is refused.
    pub(crate) log_failed: bool,
    clock: Arc<dyn Clock>,
    pub(crate) shared: Arc<Lobby>,
}

/// The store's name of a key in a database.
pub(crate) fn key_in(database: u8, key: &[u8]) -> Bytes {
    Bytes::joined(&[database], key)
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
    pub(crate) fn new(
        number: u64,
        id: ConnectionId,
        worker: usize,
        store: &Store,
        shared: Arc<Lobby>,
    ) -> Self {
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
            generation: shared.authenticator.generation(),
            principal: Self::stranger(&shared),
            presented: None,
            log_failed: false,
            clock: store.inner.clock.clone(),
            shared,
        }
    }

    pub(crate) fn key(&self, key: &[u8]) -> Bytes {
        key_in(self.database, key)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    pub(crate) fn is_queueing(&self) -> bool {
        self.queue.is_some()
    }

    /// A command could not even be queued: its transaction is one that EXEC refuses. An EXEC itself ends it.
    pub(crate) fn refuse(&mut self, arguments: &[Bytes], fail: Fail) -> Fail {
        self.spoiled = self.queue.is_some();
        let is_exec = arguments
            .first()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"EXEC"));
        if !is_exec {
            return fail;
        }
        self.forget_transaction();
        let text = fail.text();
        let why = text.strip_prefix("ERR ").unwrap_or(&text);
        Fail::Line(format!("EXECABORT Transaction discarded because of: {why}").into())
    }

    /// Runs a command about the connection.
    pub(crate) fn run(&mut self, store: &Store, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let name = arguments
            .first()
            .map_or_else(Vec::new, |name| name.to_ascii_uppercase());
        match name.as_slice() {
            b"HELLO" => self.hello(arguments, reply),
            b"AUTH" => {
                self.auth(&arguments[1..])?;
                reply.ok();
                Ok(())
            }
            b"SHUTDOWN" => self.shut_down(arguments, store, reply),
            b"SELECT" => {
                self.database = database_of(arguments)?;
                self.publish_facts(reply.resp3);
                reply.ok();
                Ok(())
            }
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
                [_, _, after @ ..] if word.eq_ignore_ascii_case(b"AUTH") => {
                    self.auth(&rest[1..3])?;
                    after
                }
                _ => {
                    let word = word.escape_ascii();
                    return Err(Fail::Line(
                        format!("ERR Syntax error in HELLO option '{word}'").into(),
                    ));
                }
            };
        }
        if self.principal.is_none() {
            return Err(Fail::Line(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                 <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
                 same time"
                    .into(),
            ));
        }
        reply.resp3 = resp3;
        self.publish_facts(resp3);
        reply.map(7);
        let facts = [("server", "redis"), ("version", super::command::VERSION)];
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

    /// Asks the port's owner to end it. What is answered nobody reads.
    fn shut_down(&mut self, arguments: &[Bytes], store: &Store, reply: &mut Reply) -> Result<(), Fail> {
        let saves = match &arguments[1..] {
            [] => store.inner.log.is_some(),
            [word] if word.eq_ignore_ascii_case(b"SAVE") => true,
            [word] if word.eq_ignore_ascii_case(b"NOSAVE") => false,
            _ => return Err(Fail::Line(super::command::SYNTAX.into())),
        };
        let refused = "ERR Errors trying to SHUTDOWN. Check logs.";
        let stop = self.shared.stop.clone().ok_or(Fail::Line(refused.into()))?;
        stop(saves);
        reply.ok();
        self.closing = true;
        Ok(())
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), Fail> {
        if name.iter().any(|byte| !(33..=126).contains(byte)) {
            let text = "ERR Client names cannot contain spaces, newlines or special characters.";
            return Err(Fail::Line(text.into()));
        }
        self.name = name.to_vec();
        Ok(())
    }

    /// Back to the beginning; also what the end of the connection needs.
    pub(crate) fn reset(&mut self) {
        for (by_pattern, names) in [(false, &self.channels), (true, &self.patterns)] {
            for name in names {
                self.shared
                    .hub
                    .unsubscribe(by_pattern, name, (self.worker, self.id));
            }
        }
        self.channels.clear();
        self.patterns.clear();
        self.database = 0;
        self.name.clear();
        self.principal = Self::stranger(&self.shared);
        self.presented = None;
        self.forget_transaction();
    }
}
