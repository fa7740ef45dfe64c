//! [`Index`]: path to cell, by hash, in shards; and the *gaps*: slots that stand for what is not there.
//!
//! A transaction that finds a path missing, or lists a branch, reads the gap of that path or branch. Whoever makes or
//! removes a key writes the gaps of its path and of all branches above it. So absence is validated like a value, and a
//! phantom is a conflict. Gaps are shared by hash: two paths on one gap can conflict needlessly, never wrongly.

use super::{cell::Cell, path::Path};
use crate::protocol::{pool, slot::Slot};
use foldhash::fast::RandomState;
use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, PoisonError, RwLock},
};

const SHARDS: usize = 64;
const GAPS: usize = 1024;

type Shard = RwLock<HashMap<Path, Arc<Cell>, RandomState>>;

#[derive(Debug)]
pub(crate) struct Index {
    hasher: RandomState,
    shards: Box<[Shard]>,
    gaps: Box<[&'static Slot]>,
}

impl Index {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::default();
        Self {
            shards: (0..SHARDS)
                .map(|_| RwLock::new(HashMap::with_hasher(hasher.clone())))
                .collect(),
            gaps: (0..GAPS).map(|_| pool::take()).collect(),
            hasher,
        }
    }

    fn shard(&self, path: &str) -> &Shard {
        // The low bits choose the bucket inside the shard.
        &self.shards[(self.hasher.hash_one(path) >> 57) as usize % SHARDS]
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<Cell>> {
        let shard = self.shard(path).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(path).map(Arc::clone)
    }

    /// Looks at a cell without a count of its own. `look` must not wait for a seal: whoever holds it may need the shard.
    pub(crate) fn with<T>(&self, path: &str, look: impl FnOnce(&Cell) -> T) -> Option<T> {
        let shard = self.shard(path).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(path).map(|cell| look(cell))
    }

    /// Only while the path's gap is sealed.
    pub(crate) fn insert(&self, cell: Arc<Cell>) {
        let mut shard = self
            .shard(cell.path.as_str())
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.insert(cell.path.clone(), cell);
    }

    /// Only while the path's gap is sealed.
    pub(crate) fn remove(&self, path: &Path) {
        let mut shard = self
            .shard(path.as_str())
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.remove(path.as_str());
    }

    /// The slot that stands for the absence of a path and for what is below it.
    pub(crate) fn gap(&self, path: &str) -> &'static Slot {
        self.gaps[self.hasher.hash_one(path) as usize % GAPS]
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        for gap in &self.gaps {
            pool::give_back(gap);
        }
    }
}
