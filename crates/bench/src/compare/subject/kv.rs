//! quintet-kv through its own handler: the caller's thread does the work, and waits for the group commit it needs.

use super::super::{
    session::{CREDITS, Session},
    workload::Level,
};
use super::{Engine, Entry, Home, Native, log_directory, seen};
use anyhow::Result;
use quintet_core::{Commit, Inline, Keyed, KeyedReply, MessageHandler, SystemClock};
use quintet_kv::{Config, KvHandler, Store, Value};
use std::sync::Arc;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "kv",
    model: "whoever locks the entry",
    ours: true,
    levels: &[Level::Memory, Level::Relaxed, Level::Interval, Level::Full],
    headline: &[Level::Memory, Level::Full],
    open: |home| Ok(Box::new(Kv(open(home)?)) as Box<dyn Engine>),
}];

struct Kv(Store);

fn open(home: &Home) -> Result<Store> {
    let Some(durability) = home.level.durability() else {
        return Ok(Store::in_memory());
    };
    let config = Config {
        durability: Some(durability),
        max_value_bytes: (home.max_value_bytes as u64).max(1 << 20),
        segment_bytes: home.segment_bytes,
        ..Config::default()
    };
    Ok(Store::open(
        config,
        log_directory(&home.dir("kv")?)?,
        Arc::new(SystemClock),
    )?)
}

impl Engine for Kv {
    fn connect(&self) -> Result<Session> {
        let handler = Settled(KvHandler::new(self.0.clone()));
        Ok(Session::inline(Inline::new(handler, CREDITS)))
    }

    fn native(&self) -> Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct(&self.0)))
    }
}

/// A commit that is on its way to the disk is waited for as the store's own calls do: asleep, together with others.
struct Settled(KvHandler);

impl MessageHandler<Keyed> for Settled {
    fn handle(&mut self, message: Keyed) -> quintet_core::Result<KeyedReply> {
        self.0.handle(message)
    }

    fn commit(&mut self) -> quintet_core::Result<Commit> {
        if let Commit::Pending(_) = self.0.commit()? {
            self.0.store().settle()?;
        }
        Ok(Commit::Done)
    }
}

struct Direct<'a>(&'a Store);

impl Native for Direct<'_> {
    fn get(&mut self, key: &[u8], mark: u64) -> Result<Option<(usize, bool)>> {
        Ok(match self.0.get(key)? {
            Some(Value::Bytes(bytes)) => Some(seen(&bytes, mark)),
            _ => None,
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    fn add(&mut self, key: &[u8], delta: i64) -> Result<()> {
        // Its own counters are integers, so they have keys of their own.
        let mut own = [b'n'; 32];
        let len = key.len().min(own.len() - 1);
        own[1..=len].copy_from_slice(&key[..len]);
        self.0.increment(&own[..=len], delta)?;
        Ok(())
    }
}
