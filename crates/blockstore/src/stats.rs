//! What a store holds, published by the handler after every commit and readable by anyone without waiting for it.

use quintet_core::SizeClass;
use std::sync::{Arc, Mutex, PoisonError};

use crate::buddy::ClassUse;

/// A reading of the store's gauges, all from the same moment.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Named blocks, those included whose commit is not durable yet.
    pub blocks: u64,
    /// Their content, in bytes.
    pub content_bytes: u64,
    /// Locks on them.
    pub locks: u64,
    /// The data file's length.
    pub file_bytes: u64,
    /// The length that it may reach.
    pub capacity_bytes: u64,
    /// Bytes that could be written: free in the file, by its growth, or in pools, which give them back when space is
    /// short.
    pub free_bytes: u64,
    /// Blocks in the pools of workers, ready to be written.
    pub pooled_blocks: u64,
    /// Their bytes.
    pub pooled_bytes: u64,
    /// Blocks that are being written, or were and are about to be named.
    pub written_blocks: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Released blocks that may not be overwritten yet.
    pub quarantined_blocks: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// How long some of them has waited for nothing but readers that began before its release, in milliseconds; 0 = none
    /// does. What keeps growing is an [`Extent`](crate::Extent) that nobody drops.
    pub held_by_readers_ms: u64,
    /// The largest free block in the file, in bytes; 0 = none.
    pub largest_free_bytes: u64,
    /// Free and taken blocks by class, smallest first.
    pub classes: [ClassUse; SizeClass::COUNT],
    /// Records appended to the log since open: commits that wrote something.
    pub log_records: u64,
    /// Flushes of log and data file since open.
    pub log_syncs: u64,
    /// Writes are refused because a flush failed.
    pub poisoned: bool,
}

/// Where the handler publishes; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Gauges {
    stats: Arc<Mutex<Stats>>,
}

impl Gauges {
    pub(crate) fn publish(&self, stats: Stats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    pub(crate) fn read(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
