//! scc: a map of small locked buckets, with lock-free resizing.

use super::super::{
    map::{MapEngine, RandomState, SharedMap},
    workload::Level,
};
use super::Entry;
use quintet_core::{Keyed, Result};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "scc",
    model: "whoever locks the bucket of the key",
    ours: false,
    levels: &[Level::Memory],
    headline: &[Level::Memory],
    open: |_| Ok(MapEngine::boxed(Map::default())),
}];

type Map = ::scc::HashMap<Vec<u8>, Vec<u8>, RandomState>;

impl SharedMap for Map {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.read_sync(key, |_, value| value.clone())
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.upsert_sync(key, value);
    }

    fn add(&self, key: Vec<u8>, delta: i64) -> Result<i64> {
        let mut entry = self.entry_sync(key).or_insert_with(|| vec![0; 8]);
        let value = entry.get_mut();
        let sum = Keyed::add_to(Some(value), delta)?;
        value.copy_from_slice(&sum.to_le_bytes());
        Ok(sum)
    }

    fn delete(&self, key: &[u8]) -> bool {
        self.remove_sync(key).is_some()
    }
}
