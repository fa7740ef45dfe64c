//! What the log has done so far, in cheap counters that never block a writer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of the counters. Each is exact; together they may be some operations apart.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records appended since open.
    pub appended_records: u64,
    /// Their bytes, frames not counted.
    pub appended_bytes: u64,
    /// Groups written; `appended_records / groups` is the mean group.
    pub groups: u64,
    /// The bytes of the last group, frames included.
    pub last_group_bytes: u64,
    /// Syncs of the log, each with its companions.
    pub syncs: u64,
    /// How long the last sync took, companions included.
    pub last_sync_ns: u64,
    /// How long all syncs took; divided by `syncs`, the mean.
    pub total_sync_ns: u64,
    /// Segments begun since open.
    pub segments: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended_records: AtomicU64,
    pub(crate) appended_bytes: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) last_group_bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) last_sync_ns: AtomicU64,
    pub(crate) total_sync_ns: AtomicU64,
    pub(crate) segments: AtomicU64,
}

impl Counters {
    pub(crate) fn appended(&self, records: u64, bytes: u64) {
        self.appended_records.fetch_add(records, Relaxed);
        self.appended_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn group(&self, bytes: u64) {
        self.groups.fetch_add(1, Relaxed);
        self.last_group_bytes.store(bytes, Relaxed);
    }

    pub(crate) fn synced(&self, ns: u64) {
        self.syncs.fetch_add(1, Relaxed);
        self.last_sync_ns.store(ns, Relaxed);
        self.total_sync_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn read(&self) -> LogStats {
        LogStats {
            appended_records: self.appended_records.load(Relaxed),
            appended_bytes: self.appended_bytes.load(Relaxed),
            groups: self.groups.load(Relaxed),
            last_group_bytes: self.last_group_bytes.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            last_sync_ns: self.last_sync_ns.load(Relaxed),
            total_sync_ns: self.total_sync_ns.load(Relaxed),
            segments: self.segments.load(Relaxed),
        }
    }
}
