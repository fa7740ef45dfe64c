//! [`MapHandler`]: a map of bytes that answers [`Keyed`], the smallest useful handler of a shard.
//!
//! In memory only: what a restart brings back is empty. Writes go to an overlay that a commit applies, so reads report
//! committed state only. Made by an engine's factory, one for each shard.

use crate::ShardError;
use quintet_core::{Commit, Keyed, KeyedReply, MessageHandler, Result};
use std::collections::HashMap;

type Map<V> = HashMap<Vec<u8>, V, foldhash::fast::RandomState>;

/// The limits of a [`MapHandler`].
#[derive(Clone, Copy, Debug)]
pub struct MapConfig {
    /// How many bytes of keys and values one shard may hold, uncommitted ones included. Default 1 GiB. A write beyond it
    /// is refused as [`Full`](quintet_core::ErrorKind::Full). The table itself takes some 60 bytes an entry more.
    pub max_bytes: usize,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self { max_bytes: 1 << 30 }
    }
}

/// One shard's map.
#[derive(Debug)]
pub struct MapHandler {
    config: MapConfig,
    committed: Map<Vec<u8>>,
    /// What was handled since the last commit; `None` = deleted.
    overlay: Map<Option<Vec<u8>>>,
    /// Keys and values as they will be after the commit.
    used_bytes: usize,
}

impl MapHandler {
    /// An empty map.
    #[must_use]
    pub fn new(config: MapConfig) -> Self {
        Self {
            config,
            committed: Map::default(),
            overlay: Map::default(),
            used_bytes: 0,
        }
    }

    /// How many keys there are, uncommitted changes left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.committed.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty()
    }

    /// As the next commit will leave it.
    fn current(&self, key: &[u8]) -> Option<&[u8]> {
        match self.overlay.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.committed.get(key).map(Vec::as_slice),
        }
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        let old_bytes = self.current(&key).map_or(0, |old| key.len() + old.len());
        let kept_bytes = self.used_bytes - old_bytes;
        let new_bytes = key.len() + value.len();
        if new_bytes > self.config.max_bytes.saturating_sub(kept_bytes) {
            return Err(ShardError::MapFull {
                needed_bytes: new_bytes,
                used_bytes: self.used_bytes,
                limit_bytes: self.config.max_bytes,
            }
            .into());
        }
        self.used_bytes = kept_bytes + new_bytes;
        self.overlay.insert(key, Some(value));
        Ok(())
    }
}

impl MessageHandler<Keyed> for MapHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        Ok(match message {
            Keyed::Get { key } => KeyedReply::Value(self.committed.get(&key).cloned()),
            Keyed::Put { key, value } => {
                self.set(key, value)?;
                KeyedReply::Stored
            }
            Keyed::Add { key, delta } => {
                let sum = Keyed::add_to(self.current(&key), delta)?;
                self.set(key, sum.to_le_bytes().to_vec())?;
                KeyedReply::Sum(sum)
            }
            Keyed::Delete { key } => {
                let old_bytes = self.current(&key).map(|old| key.len() + old.len());
                if let Some(old_bytes) = old_bytes {
                    self.used_bytes -= old_bytes;
                    self.overlay.insert(key, None);
                }
                KeyedReply::Deleted(old_bytes.is_some())
            }
        })
    }

    fn commit(&mut self) -> Result<Commit> {
        for (key, change) in self.overlay.drain() {
            match change {
                Some(value) => drop(self.committed.insert(key, value)),
                None => drop(self.committed.remove(&key)),
            }
        }
        Ok(Commit::Done)
    }
}
