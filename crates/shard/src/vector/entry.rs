//! A collection as clients, shards and the indexer know it: what it is, and what each tells the others about it.
//!
//! Numbers here are hints and limits, each written by one side; what is stored is in the shards.

use crate::vector::{Spec, VectorError, index::Graph};
use arc_swap::ArcSwapOption;
use quintet_core::Error;
use std::sync::{
    Arc,
    atomic::{
        AtomicU8, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

const ALIVE: u8 = 0;
const DROPPED: u8 = 1;
const UNKNOWN: u8 = 2;

/// A collection as clients and shards know it.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) spec: Spec,
    /// What each shard's points take; written by the shard alone.
    stored_bytes: Vec<AtomicU64>,
    /// What batches on their way may add.
    reserved_bytes: AtomicU64,
    /// How often each shard was opened: blocks of an earlier opening are no longer true.
    runs: Vec<AtomicU64>,
    /// How many of each shard's points wait for the index.
    waiting_points: Vec<AtomicU64>,
    graph: ArcSwapOption<Graph>,
    state: AtomicU8,
}

impl Collection {
    pub(super) fn new(id: u64, name: String, spec: Spec, shards: usize) -> Self {
        Self {
            id,
            name,
            spec,
            stored_bytes: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            reserved_bytes: AtomicU64::new(0),
            runs: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            waiting_points: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            graph: ArcSwapOption::empty(),
            state: AtomicU8::new(ALIVE),
        }
    }

    /// The graph to follow at present.
    pub(crate) fn graph(&self) -> Option<Arc<Graph>> {
        self.graph.load_full()
    }

    /// Lets searches follow another graph.
    pub(crate) fn show(&self, graph: Option<Arc<Graph>>) {
        self.graph.store(graph);
        if self.is_dropped() {
            self.graph.store(None);
        }
    }

    pub(crate) fn set_waiting(&self, shard: usize, points: u64) {
        self.waiting_points[shard].store(points, Relaxed);
    }

    /// How many points wait for the index.
    pub(crate) fn waiting_points(&self) -> u64 {
        self.waiting_points
            .iter()
            .map(|points| points.load(Relaxed))
            .sum()
    }

    /// A shard begins anew, with nothing stored and nothing of what it had before.
    pub(crate) fn begin_run(&self, shard: usize) {
        self.set_stored(shard, 0);
        self.set_waiting(shard, 0);
        self.runs[shard].fetch_add(1, Release);
    }

    /// Which opening of the shard is the present one.
    pub(crate) fn run_of(&self, shard: usize) -> u64 {
        self.runs[shard].load(Acquire)
    }

    /// Whether it may be used.
    pub(crate) fn check(&self) -> Result<(), VectorError> {
        match self.state.load(Relaxed) {
            ALIVE => Ok(()),
            DROPPED => Err(VectorError::NoCollection {
                name: self.name.clone(),
            }),
            _ => {
                let cause = Error::new(quintet_core::ErrorKind::Io, "its removal failed half-way");
                Err(VectorError::Manifest { cause })
            }
        }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.state.load(Relaxed) == DROPPED
    }

    /// It is gone, or perhaps it is.
    pub(super) fn set_removed(&self, is_certain: bool) {
        // Writes acknowledged after a removal that may have happened could vanish at the next open: refuse them.
        let state = if is_certain { DROPPED } else { UNKNOWN };
        self.state.store(state, Relaxed);
        self.show(None);
    }

    pub(crate) fn set_stored(&self, shard: usize, bytes: u64) {
        self.stored_bytes[shard].store(bytes, Relaxed);
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.stored_bytes.iter().map(|bytes| bytes.load(Relaxed)).sum()
    }

    /// Sets room aside for a batch until the guard is dropped; counts replacements as additions.
    pub(crate) fn reserve(self: &Arc<Self>, needed_bytes: u64) -> Result<Reservation, VectorError> {
        let reserved = self.reserved_bytes.fetch_add(needed_bytes, Relaxed);
        let reservation = Reservation {
            collection: Arc::clone(self),
            bytes: needed_bytes,
        };
        let used_bytes = self.used_bytes().saturating_add(reserved);
        let budget_bytes = self.spec.budget_bytes;
        if used_bytes.saturating_add(needed_bytes) > budget_bytes {
            let name = self.name.clone();
            return Err(VectorError::OverBudget {
                name,
                needed_bytes,
                used_bytes,
                budget_bytes,
            });
        }
        Ok(reservation)
    }
}

/// Room set aside in a collection's budget.
#[must_use]
pub(crate) struct Reservation {
    collection: Arc<Collection>,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.collection.reserved_bytes.fetch_sub(self.bytes, Relaxed);
    }
}
