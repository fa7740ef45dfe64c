//! Keyed services with one fault each, over a locked fake handler.

use super::{covers_every_clause, fails_exactly};
use crate::subjects::Shared;
use quintet_core::{
    Commit, Inline, Keyed, KeyedReply, MessageHandler, Result, Worker,
    conformance::keyed::{Subject, clauses},
};
use std::{collections::BTreeMap, num::NonZeroUsize};

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    InventsEmptyValues,
    WritesOnlyForItself,
    KeepsTheFirstValue,
    CutsAtNul,
    CountsFromOne,
    OverwritesWithACounter,
    Wraps,
    AlwaysDeletes,
    DeletesByPrefix,
    CachesReads,
}

#[derive(Clone)]
struct Broken {
    inner: Shared,
    fault: Fault,
    /// Of this handle alone; forgotten when the handle itself writes.
    cache: BTreeMap<Vec<u8>, KeyedReply>,
    handle: usize,
}

impl Broken {
    fn ask(&mut self, message: Keyed) -> Result<KeyedReply> {
        self.inner.handle(message)
    }

    fn value(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        match self.ask(Keyed::Get { key: key.to_vec() }) {
            Ok(KeyedReply::Value(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    fn store(&mut self, key: &[u8], value: i64) -> Result<KeyedReply> {
        let value = value.to_le_bytes().to_vec();
        self.ask(Keyed::Put {
            key: key.to_vec(),
            value,
        })?;
        Ok(KeyedReply::Sum(0))
    }

    fn cached(&mut self, message: Keyed) -> Result<KeyedReply> {
        let key = message.key().to_vec();
        if !matches!(message, Keyed::Get { .. }) {
            self.cache.remove(&key);
            return self.ask(message);
        }
        if let Some(reply) = self.cache.get(&key) {
            return Ok(reply.clone());
        }
        let reply = self.ask(message)?;
        self.cache.insert(key, reply.clone());
        Ok(reply)
    }
}

fn cut(key: &mut Vec<u8>) {
    if let Some(at) = key.iter().position(|byte| *byte == 0).filter(|at| *at == 0) {
        key.truncate(at + 1);
    }
}

impl MessageHandler<Keyed> for Broken {
    fn handle(&mut self, mut message: Keyed) -> Result<KeyedReply> {
        if let Keyed::Get { key } | Keyed::Put { key, .. } | Keyed::Add { key, .. } | Keyed::Delete { key } =
            &mut message
            && self.fault == Fault::CutsAtNul
            && key.len() == 256
        {
            cut(key);
            if let Keyed::Get { .. } = message {
                return Ok(KeyedReply::Value(None));
            }
        }
        let key = message.key().to_vec();
        match (self.fault, &message) {
            (Fault::CachesReads, _) => self.cached(message),
            (Fault::InventsEmptyValues, Keyed::Get { .. }) => {
                let value = self.value(&key).or_else(|| (key == b"missing").then(Vec::new));
                Ok(KeyedReply::Value(value))
            }
            (Fault::WritesOnlyForItself, Keyed::Get { .. }) if self.handle == 2 && key == b"k" => {
                Ok(KeyedReply::Value(None))
            }
            (Fault::KeepsTheFirstValue, Keyed::Put { value, .. })
                if value == b"second" && self.value(&key).is_some() =>
            {
                Ok(KeyedReply::Stored)
            }
            (Fault::CountsFromOne, Keyed::Add { delta, .. }) if key == b"n" && self.value(&key).is_none() => {
                let delta = *delta;
                self.ask(Keyed::Add {
                    key,
                    delta: delta + 1,
                })
            }
            (Fault::OverwritesWithACounter, Keyed::Add { delta, .. }) => match self.value(&key) {
                Some(value) if value.len() == 7 => self.store(&key, *delta),
                _ => self.ask(message),
            },
            (Fault::Wraps, Keyed::Add { delta, .. }) if *delta == 1 && key == b"n" => {
                match self.value(&key) {
                    Some(value) if value == i64::MAX.to_le_bytes() => self.store(&key, i64::MIN),
                    _ => self.ask(message),
                }
            }
            (Fault::AlwaysDeletes, Keyed::Delete { .. }) if key == b"k" => {
                self.ask(message)?;
                Ok(KeyedReply::Deleted(true))
            }
            (Fault::DeletesByPrefix, Keyed::Delete { .. }) if key == b"ab" => {
                self.ask(Keyed::Delete { key: b"abc".to_vec() })?;
                self.ask(message)
            }
            _ => self.ask(message),
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        Ok(Commit::Done)
    }
}

struct Service {
    handler: Broken,
    handles: std::sync::atomic::AtomicUsize,
}

impl Subject for Service {
    type Worker = Inline<Keyed, Broken>;

    fn worker(&self) -> Self::Worker {
        let mut handler = self.handler.clone();
        handler.handle = 1 + self.handles.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let worker = Inline::new(handler, NonZeroUsize::MIN);
        assert_eq!(worker.in_flight(), 0);
        worker
    }
}

fn broken(fault: Fault) -> impl Fn() -> Service + Clone + 'static {
    move || Service {
        handler: Broken {
            inner: Shared::new(),
            fault,
            cache: BTreeMap::new(),
            handle: 0,
        },
        handles: std::sync::atomic::AtomicUsize::new(0),
    }
}

const CASES: &[(Fault, &str, &[&str])] = &[
    (
        Fault::InventsEmptyValues,
        "invents values",
        &["a_missing_key_has_no_value"],
    ),
    (
        Fault::WritesOnlyForItself,
        "shows writes to the writer alone",
        &["put_sets_the_value"],
    ),
    (
        Fault::KeepsTheFirstValue,
        "keeps the first value",
        &["put_replaces_the_value"],
    ),
    (Fault::CutsAtNul, "cuts keys at a NUL", &["any_byte_may_occur"]),
    (Fault::CountsFromOne, "counts from one", &["add_counts_from_zero"]),
    (
        Fault::OverwritesWithACounter,
        "overwrites a value with a counter",
        &["add_refuses_what_is_no_counter"],
    ),
    (Fault::Wraps, "wraps around", &["add_refuses_to_overflow"]),
    (
        Fault::AlwaysDeletes,
        "says that it deleted",
        &["delete_says_whether_there_was_something"],
    ),
    (
        Fault::DeletesByPrefix,
        "deletes by prefix",
        &["keys_are_independent"],
    ),
    (
        Fault::CachesReads,
        "reads from a stale cache",
        &["each_key_is_linearizable"],
    ),
];

#[test]
fn each_fault_is_caught_by_its_clause() {
    for (fault, what, expected) in CASES {
        fails_exactly("keyed", what, clauses(broken(*fault)), expected);
    }
    let cases: Vec<_> = CASES.iter().map(|(_, _, expected)| *expected).collect();
    covers_every_clause(clauses(Shared::new), &cases);
}
