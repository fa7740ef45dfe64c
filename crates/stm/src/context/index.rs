//! [`Index`]: path to cell, by hash, in shards; and the *gaps*: slots that stand for what is not there.
//!
//! A transaction that finds a path missing, or lists a branch, reads the gap of that path or branch. Whoever makes or
//! removes a key writes the gaps of its path and of all branches above it. So absence is validated like a value, and a
//! phantom is a conflict. Gaps are shared by hash: two paths on one gap can conflict needlessly, never wrongly.

use super::{cell::Cell, path::Path};
use crate::protocol::{pool, slot::Slot};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::{
    hash::BuildHasher,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

const SHARDS: usize = 64;
const GAPS: usize = 1024;

/// Alone on its pair of cache lines: even a look writes to the lock.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard(RwLock<HashTable<Arc<Cell>>>);

#[derive(Debug)]
pub(crate) struct Index {
    hasher: RandomState,
    shards: Box<[Shard]>,
    gaps: Box<[&'static Slot]>,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            gaps: (0..GAPS).map(|_| pool::take()).collect(),
            hasher: RandomState::default(),
        }
    }

    #[inline]
    fn hash(&self, path: &str) -> u64 {
        self.hasher.hash_one(path)
    }

    #[inline]
    fn lock(&self, hash: u64) -> &RwLock<HashTable<Arc<Cell>>> {
        // The low bits choose the bucket inside the shard, the uppermost seven are its tag.
        &self.shards[(hash >> 51) as usize % SHARDS].0
    }

    #[inline]
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, HashTable<Arc<Cell>>> {
        self.lock(hash).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, HashTable<Arc<Cell>>> {
        self.lock(hash).write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<Cell>> {
        self.with(path, Arc::clone)
    }

    /// Looks at a cell without a count of its own. `look` must not wait for a seal: whoever holds it may need the shard.
    #[inline]
    pub(crate) fn with<T>(&self, path: &str, look: impl FnOnce(&Arc<Cell>) -> T) -> Option<T> {
        let hash = self.hash(path);
        let shard = self.read(hash);
        shard.find(hash, |cell| cell.is_at(path)).map(look)
    }

    /// Only while the path's gap is sealed.
    pub(crate) fn insert(&self, cell: Arc<Cell>) {
        let hash = self.hash(cell.path.as_str());
        let mut shard = self.write(hash);
        match shard.find_mut(hash, |other| other.path == cell.path) {
            Some(other) => *other = cell,
            None => {
                shard.insert_unique(hash, cell, |cell| self.hash(cell.path.as_str()));
            }
        }
    }

    /// Only while the path's gap is sealed.
    pub(crate) fn remove(&self, path: &Path) {
        let hash = self.hash(path.as_str());
        let removed = match self.write(hash).find_entry(hash, |cell| cell.path == *path) {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        };
        drop(removed);
    }

    /// The slot that stands for the absence of a path and for what is below it.
    pub(crate) fn gap(&self, path: &str) -> &'static Slot {
        self.gaps[self.hash(path) as usize % GAPS]
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        for gap in &self.gaps {
            pool::give_back(gap);
        }
    }
}
