//! dashmap: a map of locked shards, by the hash of the key.

use super::super::{
    map::{MapEngine, RandomState, SharedMap},
    workload::Level,
};
use super::Entry;
use quintet_core::{Keyed, Result};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "dashmap",
    model: "whoever locks the shard of the key",
    ours: false,
    levels: &[Level::Memory],
    headline: &[Level::Memory],
    open: |_| Ok(MapEngine::boxed(Map::default())),
}];

type Map = ::dashmap::DashMap<Vec<u8>, Vec<u8>, RandomState>;

impl SharedMap for Map {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        ::dashmap::DashMap::get(self, key).map(|value| value.clone())
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.insert(key, value);
    }

    fn add(&self, key: Vec<u8>, delta: i64) -> Result<i64> {
        let mut value = self.entry(key).or_insert_with(|| vec![0; 8]);
        let sum = Keyed::add_to(Some(&value), delta)?;
        value.copy_from_slice(&sum.to_le_bytes());
        Ok(sum)
    }

    fn delete(&self, key: &[u8]) -> bool {
        self.remove(key).is_some()
    }
}
