//! What a tree says of itself: its figures, and whether it takes writes.

use crate::{Tree, TreeError};
use quintet_core::{Error, ErrorKind, Result};
use std::sync::atomic::Ordering;

/// What a tree has done since it was opened, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Writes that took place.
    pub writes: u64,
    /// Transactions they took.
    pub commits: u64,
    /// The sequence of the last committed write, of earlier openings too.
    pub last_seq: u64,
    /// Watches there are now.
    pub watches: usize,
    /// Queries that had no index to use.
    pub unindexed_queries: u64,
    /// Bytes of the map that were ever used.
    pub used_bytes: u64,
    /// The most bytes there can be.
    pub map_bytes: u64,
}

impl Tree {
    /// Whether writes are taken. Never blocks.
    ///
    /// # Errors
    /// `Poisoned` after a commit failed; `Full` while the last commit found no room.
    pub fn health(&self) -> Result<()> {
        let stats = &self.inner.stats;
        if stats.poisoned.load(Ordering::Relaxed) {
            return Err(TreeError::Poisoned.into());
        }
        if stats.full.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::Full,
                "the last commit found no room in the map or on the disk",
            ));
        }
        Ok(())
    }

    /// What the tree has done so far. Never blocks.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counted = &self.inner.stats;
        let (used_bytes, map_bytes) = self.inner.lmdb.used_bytes().unwrap_or_default();
        Stats {
            writes: counted.writes.load(Ordering::Relaxed),
            commits: counted.commits.load(Ordering::Relaxed),
            last_seq: counted.last_seq.load(Ordering::Relaxed),
            watches: self.watching.hub.count(),
            unindexed_queries: counted.unindexed_queries.load(Ordering::Relaxed),
            used_bytes,
            map_bytes,
        }
    }
}
