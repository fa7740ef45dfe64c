//! A collection as clients, shards and the indexer know it: what it is, and what each tells the others about it.
//!
//! Numbers here are hints and limits, each written by one side; what is stored is in the shards.

use crate::vector::{Spec, VectorError, block::Block, index::Graph, meter::Meter};
use arc_swap::ArcSwapOption;
use quintet_core::Error;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// How much room is made beyond what is needed, at most: a shard does nothing else meanwhile.
const MOST_SPARE_BYTES: u64 = 4 << 20;

const ALIVE: u8 = 0;
const DROPPED: u8 = 1;
const UNKNOWN: u8 = 2;

/// A collection as clients and shards know it.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) spec: Spec,
    /// What the points of each shard take that are in memory, their blocks' dead rows included.
    hot: Vec<Meter>,
    /// What each shard's points take in memory wherever they are.
    resident: Vec<Meter>,
    /// What the graph's links take.
    index_bytes: AtomicU64,
    /// What each shard's cold blocks take of the disk.
    disk: Vec<Meter>,
    /// What batches on their way may add.
    reserved_bytes: AtomicU64,
    /// Blocks in memory that an earlier run of each shard left to whoever has them still.
    left: Vec<ArcSwapOption<VecDeque<Weak<Block>>>>,
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
            hot: vec(shards),
            resident: vec(shards),
            disk: vec(shards),
            left: (0..shards).map(|_| ArcSwapOption::empty()).collect(),
            index_bytes: AtomicU64::new(0),
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
        let link_bytes = graph.as_ref().map_or(0, |graph| graph.link_bytes());
        self.index_bytes.store(link_bytes as u64, Relaxed);
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

    /// A shard begins anew, with nothing of what it had before.
    pub(crate) fn begin_run(&self, shard: usize) {
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

    /// Counts the memory of a shard's blocks.
    pub(crate) fn hot(&self, shard: usize) -> &Meter {
        &self.hot[shard]
    }

    /// Counts what a shard's points take wherever their blocks are.
    pub(crate) fn resident(&self, shard: usize) -> &Meter {
        &self.resident[shard]
    }

    /// Counts the files of a shard's cold blocks.
    pub(crate) fn disk(&self, shard: usize) -> &Meter {
        &self.disk[shard]
    }

    /// For a shard that ends: what it leaves in memory.
    pub(crate) fn leave(&self, shard: usize, blocks: VecDeque<Weak<Block>>) {
        self.left[shard].store(Some(Arc::new(blocks)));
    }

    /// For a shard that begins: what the one before left in memory.
    pub(crate) fn take_left(&self, shard: usize) -> VecDeque<Weak<Block>> {
        let left = self.left[shard].swap(None);
        left.map_or_else(VecDeque::new, Arc::unwrap_or_clone)
    }

    /// What it takes of the disk beside log and snapshots.
    pub(crate) fn disk_bytes(&self) -> u64 {
        sum(&self.disk)
    }

    /// The memory that it takes.
    pub(crate) fn used_bytes(&self) -> u64 {
        sum(&self.hot) + self.fixed_bytes()
    }

    /// The memory that it takes however many blocks are moved to files.
    fn fixed_bytes(&self) -> u64 {
        sum(&self.resident) + self.index_bytes.load(Relaxed)
    }

    /// Whether there is not enough room for so many bytes beside what is on its way already.
    pub(crate) fn is_short_of(&self, needed_bytes: u64) -> bool {
        self.claimed_bytes(needed_bytes) > self.spec.budget_bytes
    }

    /// Whether blocks are to go on moving once there was not enough room: until there is some to spare, so that not every
    /// batch has to.
    pub(crate) fn is_tight_for(&self, needed_bytes: u64) -> bool {
        let budget_bytes = self.spec.budget_bytes;
        let spare_bytes = (budget_bytes / 8).min(MOST_SPARE_BYTES);
        self.claimed_bytes(needed_bytes) > budget_bytes - spare_bytes
    }

    /// Whether moving blocks could make room for so many bytes.
    pub(crate) fn could_hold(&self, needed_bytes: u64) -> bool {
        self.fixed_bytes().saturating_add(needed_bytes) <= self.spec.budget_bytes
    }

    fn claimed_bytes(&self, needed_bytes: u64) -> u64 {
        let claimed = self.used_bytes() + self.reserved_bytes.load(Relaxed);
        claimed.saturating_add(needed_bytes)
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

fn vec(shards: usize) -> Vec<Meter> {
    (0..shards).map(|_| Meter::default()).collect()
}

fn sum(meters: &[Meter]) -> u64 {
    meters.iter().map(Meter::bytes).sum()
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
