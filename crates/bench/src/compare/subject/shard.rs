//! quintet-shard with its map handler: a thread per core owns a part of the keys; a request is a message to it.

use super::super::{
    session::{CREDITS, Session},
    workload::Level,
};
use super::{Engine, Entry, Native, seen};
use anyhow::Result;
use quintet_core::{Keyed, KeyedReply, Parker, SystemClock};
use quintet_shard::{ByKey, Caller, EngineConfig, MapConfig, MapHandler, ShardEngine};
use std::sync::Arc;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "shard",
    model: "the thread that owns the shard",
    ours: true,
    levels: &[Level::Memory],
    headline: &[Level::Memory],
    open: |_| {
        let limits = MapConfig { max_bytes: 64 << 30 };
        let engine = ShardEngine::open(EngineConfig::default(), Arc::new(SystemClock), move |_| {
            Ok(MapHandler::new(limits))
        })?;
        Ok(Box::new(Shards(engine)) as Box<dyn Engine>)
    },
}];

struct Shards(ShardEngine<Keyed, MapHandler>);

type KeyOf = ByKey<fn(&Keyed) -> &[u8]>;

impl Engine for Shards {
    fn connect(&self) -> Result<Session> {
        // As the engine's own callers wait.
        let parker = Parker::new().giving_way();
        let port = self.0.port(
            CREDITS,
            ByKey(Keyed::key as fn(&Keyed) -> &[u8]),
            parker.doorbell(),
        )?;
        Ok(Session::parked(port, parker))
    }

    fn native(&self) -> Result<Box<dyn Native + '_>> {
        let router: KeyOf = ByKey(Keyed::key);
        Ok(Box::new(Direct(self.0.caller(CREDITS, router)?)))
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        // The map is in memory: there is nothing left that could go wrong.
        let _ended = self.0.shutdown();
    }
}

struct Direct(Caller<Keyed, KeyOf>);

impl Native for Direct {
    fn get(&mut self, key: &[u8], mark: u64) -> Result<Option<(usize, bool)>> {
        Ok(match self.0.call(Keyed::Get { key: key.to_vec() })? {
            KeyedReply::Value(value) => value.map(|value| seen(&value, mark)),
            _ => None,
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.call(Keyed::Put {
            key: key.to_vec(),
            value: value.to_vec(),
        })?;
        Ok(())
    }

    fn add(&mut self, key: &[u8], delta: i64) -> Result<()> {
        self.0.call(Keyed::Add {
            key: key.to_vec(),
            delta,
        })?;
        Ok(())
    }
}
