//! [`Watches`]: the keys that a connection watches. Each is counted at its shard from WATCH on, so that a key which was
//! created and removed again counts as touched; dropping gives the counting up.

use crate::{inner::Inner, transaction::Transaction, value::Bytes};
use quintet_core::Result;
use std::{collections::BTreeMap, sync::Arc};

/// How a key was when it was first watched.
struct Watched {
    changes: u64,
    was_there: bool,
}

pub(super) struct Watches {
    inner: Arc<Inner>,
    keys: BTreeMap<Bytes, Watched>,
}

impl Watches {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        Self {
            inner: inner.clone(),
            keys: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.keys()
    }

    /// Watches a key from now on, unless it is watched already.
    ///
    /// # Errors
    /// A failed log, when the key has expired and its removal must be logged.
    pub(super) fn add(&mut self, key: &[u8]) -> Result<()> {
        if self.keys.contains_key(key) {
            return Ok(());
        }
        let key = Bytes::from(key);
        let (watched, _) = self.inner.write(&[&key], false, |transaction| {
            let was_there = transaction.slot(&key)?.is_some();
            let table = &transaction.inner.table;
            let changes = table.side(table.shard_of(table.hash(&key))).line.watch(&key);
            Ok(Watched { changes, was_there })
        })?;
        self.keys.insert(key, watched);
        Ok(())
    }

    /// Whether no key has changed; expiring is a change. Call it under the keys' locks.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn hold(&self, transaction: &mut Transaction<'_>) -> Result<bool> {
        for (key, watched) in &self.keys {
            let is_there = transaction.slot(key)?.is_some();
            let table = &self.inner.table;
            let changes = table.side(table.shard_of(table.hash(key))).line.changes(key);
            if is_there != watched.was_there || changes != watched.changes {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        let table = &self.inner.table;
        for key in self.keys.keys() {
            let shard = table.shard_of(table.hash(key));
            let _locked = table.write(shard);
            table.side(shard).line.unwatch(key);
        }
    }
}
