//! Durable entries that are not in the checkpoint yet, shared between the writer and every reader.
//!
//! Two generations: *active* takes what becomes durable, *frozen* is what a running checkpoint is writing. An entry leaves
//! only after the checkpoint that holds it is durable. So a reader that looks here first and opens its LMDB snapshot
//! second never misses a committed entry. A deletion is an entry too, without a value.

use super::lmdb::Value;
use foldhash::fast::RandomState;
use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

const SHARDS: usize = 16;
/// Keys that share so many bytes at their beginning share a shard.
const PREFIX_BYTES: usize = 32;
/// What an entry costs beside its key and value: table slots, allocation headers, reference counts. An estimate.
const ENTRY_OVERHEAD_BYTES: usize = 96;

pub(super) type Generation = HashMap<Box<[u8]>, Option<Value>, RandomState>;

#[derive(Default)]
struct Shard {
    active: Generation,
    frozen: Arc<Generation>,
}

/// The table, sharded by key so that readers seldom meet the writer.
pub(super) struct Memtable {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    active_entries: AtomicUsize,
    active_bytes: AtomicUsize,
}

/// How large the active generation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Memtable {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::default(),
            active_entries: AtomicUsize::new(0),
            active_bytes: AtomicUsize::new(0),
        }
    }

    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        // The map inside uses the low bits of its own hash; another hasher instance keeps the two independent.
        // By the key's beginning alone, so that what shares one lies side by side.
        let beginning = &key[..key.len().min(PREFIX_BYTES)];
        &self.shards[self.hasher.hash_one(beginning) as usize % SHARDS]
    }

    /// The newest generation of every entry whose key begins with `prefix`. Looks through one shard when the prefix is at
    /// least [`PREFIX_BYTES`] long, else through all.
    pub(super) fn with_prefix(&self, prefix: &[u8]) -> Generation {
        let mut found = Generation::default();
        let mut collect = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for (key, value) in shard.frozen.iter().chain(&shard.active) {
                if key.starts_with(prefix) {
                    found.insert(key.clone(), value.clone());
                }
            }
        };
        match prefix.len() {
            PREFIX_BYTES.. => collect(self.shard(prefix)),
            _ => self.shards.iter().for_each(collect),
        }
        found
    }

    /// The newest entry: `None` = look in the checkpoint, `Some(None)` = deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Value>> {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        shard.active.get(key).or_else(|| shard.frozen.get(key)).cloned()
    }

    /// Sets a durable entry. Called by the writer alone, in commit order.
    pub(super) fn insert(&self, key: Box<[u8]>, value: Option<Value>) {
        let fixed = key.len() + ENTRY_OVERHEAD_BYTES;
        let added = value.as_ref().map_or(0, |value| value.len());
        let mut shard = self.shard(&key).write().unwrap_or_else(PoisonError::into_inner);
        match shard.active.insert(key, value) {
            Some(old) => {
                self.active_bytes
                    .fetch_sub(old.map_or(0, |value| value.len()), Relaxed);
            }
            None => {
                self.active_entries.fetch_add(1, Relaxed);
                self.active_bytes.fetch_add(fixed, Relaxed);
            }
        }
        self.active_bytes.fetch_add(added, Relaxed);
    }

    pub(super) fn size(&self) -> Size {
        Size {
            entries: self.active_entries.load(Relaxed),
            bytes: self.active_bytes.load(Relaxed),
        }
    }

    /// Freezes the active generation. Called by the writer, between batches, when nothing is frozen: the frozen shards
    /// together are the state up to the last settled batch.
    pub(super) fn freeze(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            debug_assert!(shard.frozen.is_empty(), "one checkpoint at a time");
            shard.frozen = Arc::new(std::mem::take(&mut shard.active));
        }
        self.active_entries.store(0, Relaxed);
        self.active_bytes.store(0, Relaxed);
    }

    /// The frozen generation, shard by shard.
    pub(super) fn frozen(&self) -> Vec<Arc<Generation>> {
        let frozen =
            |shard: &RwLock<Shard>| Arc::clone(&shard.read().unwrap_or_else(PoisonError::into_inner).frozen);
        self.shards.iter().map(frozen).collect()
    }

    /// Drops the frozen generation. Called once a durable checkpoint holds it.
    pub(super) fn discard_frozen(&self) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).frozen = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Value> {
        Some(Value::from(text.as_bytes()))
    }

    #[test]
    fn the_newest_generation_wins_and_deletions_are_entries() {
        let table = Memtable::new();
        table.insert((*b"a").into(), value("old"));
        table.insert((*b"b").into(), value("kept"));
        table.freeze();
        assert_eq!(table.size(), Size::default());
        table.insert((*b"a").into(), None);
        assert_eq!(table.get(b"a"), Some(None));
        assert_eq!(table.get(b"b"), Some(value("kept")));
        assert_eq!(table.get(b"c"), None);
        table.discard_frozen();
        assert_eq!(table.get(b"a"), Some(None));
        assert_eq!(table.get(b"b"), None, "only the checkpoint has it now");
    }

    #[test]
    fn sizes_follow_replacements() {
        let table = Memtable::new();
        table.insert((*b"a").into(), value("12345"));
        table.insert((*b"a").into(), value("1"));
        assert_eq!(
            table.size(),
            Size {
                entries: 1,
                bytes: 1 + ENTRY_OVERHEAD_BYTES + 1
            }
        );
        table.insert((*b"a").into(), None);
        assert_eq!(
            table.size(),
            Size {
                entries: 1,
                bytes: 1 + ENTRY_OVERHEAD_BYTES
            }
        );
    }
}
