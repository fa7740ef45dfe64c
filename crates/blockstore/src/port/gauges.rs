//! One worker's numbers, written at the end of each of its turns and read by `GET /stats` on any worker.

use super::service::BlockService;
use quintet_core::SizeClass;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// On cache lines of its own: one writer, rare readers.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Gauges {
    /// PUTs acknowledged since the start.
    pub(crate) puts: AtomicU64,
    /// Blocks sent since the start.
    pub(crate) gets: AtomicU64,
    /// DELETEs acknowledged since the start.
    pub(crate) deletes: AtomicU64,
    /// Answers of the controller to requests for blocks, since the start.
    pub(crate) refills: AtomicU64,
    /// Requests that the controller has and has not answered, those for blocks included.
    pub(crate) in_flight: AtomicU64,
    /// PUTs that wait for a block.
    pub(crate) waiting_for_blocks: AtomicU64,
    /// Requests that wait for a credit.
    pub(crate) waiting_for_credits: AtomicU64,
    /// Bytes in buffers of answers and chunked bodies.
    pub(crate) buffered_bytes: AtomicU64,
    /// Blocks at hand by class, smallest first.
    pub(crate) pooled: [AtomicU64; SizeClass::COUNT],
}

/// Only the worker's thread calls this, so a load and a store do.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

impl Gauges {
    pub(crate) fn count_put(&self) {
        add_one(&self.puts);
    }

    pub(crate) fn count_get(&self) {
        add_one(&self.gets);
    }

    pub(crate) fn count_delete(&self) {
        add_one(&self.deletes);
    }

    pub(crate) fn count_refill(&self) {
        add_one(&self.refills);
    }

    /// Publishes what the service holds now.
    pub(crate) fn publish(&self, service: &BlockService) {
        let set = |gauge: &AtomicU64, value: usize| gauge.store(value as u64, Relaxed);
        set(&self.in_flight, service.worker.in_flight());
        set(&self.waiting_for_blocks, service.hungry.len());
        set(&self.waiting_for_credits, service.unsent.len());
        self.buffered_bytes.store(service.buffers.lent_bytes(), Relaxed);
        for (gauge, class) in self.pooled.iter().zip(SizeClass::ALL) {
            set(gauge, service.worker.pooled(class));
        }
    }
}
