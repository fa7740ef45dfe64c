//! The suites of `quintet-core`: the handler in memory and durable, and `Keyed` through workers on many threads.

use quintet_core::{
    Durability, Inline, Keyed, SystemClock,
    conformance::{KeyedProbe, Support, handler, handler::Capabilities, keyed},
    durable_handler_suite, handler_suite, keyed_suite,
};
use quintet_kv::{Config, KvHandler, Store};
use quintet_log::CrashDirectory;
use std::{num::NonZeroUsize, sync::Arc};

struct Service(Store);

impl keyed::Subject for Service {
    type Worker = Inline<Keyed, KvHandler>;

    fn worker(&self) -> Self::Worker {
        Inline::new(KvHandler::new(self.0.clone()), NonZeroUsize::new(4).unwrap())
    }
}

keyed_suite!(keyed_in_memory, || Service(Store::in_memory()));
keyed_suite!(keyed_at_level_interval, || Service(open(
    &CrashDirectory::new(),
    Durability::Interval
)));
keyed_suite!(keyed_at_level_full, || Service(open(
    &CrashDirectory::new(),
    Durability::Full
)));

pub(crate) fn config(durability: Durability) -> Config {
    Config {
        durability: Some(durability),
        max_value_bytes: 32 << 10,
        segment_bytes: 128 << 10,
        shards: 4,
        background: false,
        ..Config::default()
    }
}

fn open(directory: &CrashDirectory, durability: Durability) -> Store {
    Store::open(
        config(durability),
        Arc::new(directory.clone()),
        Arc::new(SystemClock),
    )
    .unwrap()
}

/// A handler on a store, in memory or over a directory whose power can be cut.
struct Subject {
    handler: Option<KvHandler>,
    directory: Option<CrashDirectory>,
    durability: Durability,
}

impl Subject {
    fn in_memory() -> Self {
        Self {
            handler: Some(KvHandler::new(Store::in_memory())),
            directory: None,
            durability: Durability::Relaxed,
        }
    }

    fn durable(durability: Durability) -> Self {
        let directory = CrashDirectory::new();
        Self {
            handler: Some(KvHandler::new(open(&directory, durability))),
            directory: Some(directory),
            durability,
        }
    }
}

impl handler::Subject for Subject {
    type Probe = KeyedProbe;
    type Handler = KvHandler;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fail_next_commit: Support::Provided,
            hold_flushes: Support::Missing(
                "a read waits for the flush of what it shows, instead of showing what was",
            ),
            reopen: match self.directory {
                Some(_) => Support::Provided,
                None => Support::Missing("it is in memory"),
            },
        }
    }

    fn handler(&mut self) -> &mut KvHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().store().fail_next_commit();
    }

    fn settle(&mut self) {
        self.handler().store().sync().unwrap();
    }

    fn reopen(&mut self) {
        let directory = self.directory.take().unwrap();
        // Seed 1 loses everything that was not synced.
        let left = CrashDirectory::over(directory.image(directory.moments(), 1));
        drop(self.handler.take());
        self.handler = Some(KvHandler::new(open(&left, self.durability)));
        self.directory = Some(left);
    }
}

handler_suite!(handler_in_memory, Subject::in_memory);
handler_suite!(handler_at_level_full, || Subject::durable(Durability::Full));
durable_handler_suite!(durable_at_level_full, || Subject::durable(Durability::Full));
durable_handler_suite!(durable_at_level_interval, || Subject::durable(
    Durability::Interval
));
