//! What a shard reports about itself: counters that its thread and its ports add to, and a reading of them.

use super::histogram::Histogram;
use crate::ShardId;
use quintet_core::{Clock, Error};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// Whether a shard serves.
#[derive(Clone, Debug)]
pub enum ShardState {
    /// Its handler is being built.
    Starting,
    /// It serves.
    Running,
    /// It ended by itself, and why. [`restart`](crate::ShardEngine::restart) recovers it.
    Failed(Error),
    /// It was shut down.
    Stopped,
}

/// A reading of one shard's counters since its last start. Each is exact; together they may be some messages apart.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ShardStats {
    /// Whose.
    pub shard: ShardId,
    /// Whether it serves.
    pub state: ShardState,
    /// How often it was restarted.
    pub restarts: u64,
    /// Requests that were flushed and not yet taken by the handler.
    pub queue_depth: u64,
    /// Messages handled.
    pub messages: u64,
    /// Batches they came in; reads and writes of one tick are two.
    pub batches: u64,
    /// The largest batch.
    pub largest_batch: u64,
    /// Which share of the time the handler worked, 0 to 1.
    pub busy_share: f64,
    /// The median of the sampled round trips, in nanoseconds, from submit to reap; `None` before the first.
    pub round_trip_p50_ns: Option<u64>,
    /// Their 99th percentile. Each port samples one request in flight per shard.
    pub round_trip_p99_ns: Option<u64>,
}

/// On its own cache lines: the shard's thread and the ports' threads must not slow each other by counting.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// The counters of one run of one shard.
pub(super) struct Gauges {
    started: Instant,
    pub(super) submitted: Padded<AtomicU64>,
    pub(super) handled: Padded<Handled>,
    pub(super) round_trips: Histogram,
}

/// Written by the shard's thread alone.
#[derive(Default)]
pub(super) struct Handled {
    pub(super) messages: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) largest: AtomicU64,
    pub(super) busy_ns: AtomicU64,
}

impl Gauges {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            started: clock.now(),
            submitted: Padded::default(),
            handled: Padded::default(),
            round_trips: Histogram::default(),
        }
    }

    pub(super) fn read(&self, shard: ShardId, state: ShardState, run: u64, now: Instant) -> ShardStats {
        let handled = &self.handled.0;
        // Read before what was submitted: a difference is then never negative but for requests in between.
        let messages = handled.messages.load(Relaxed);
        let elapsed_ns = now.saturating_duration_since(self.started).as_nanos().max(1);
        ShardStats {
            shard,
            state,
            restarts: run.saturating_sub(1),
            queue_depth: self.submitted.0.load(Relaxed).saturating_sub(messages),
            messages,
            batches: handled.batches.load(Relaxed),
            largest_batch: handled.largest.load(Relaxed),
            busy_share: (handled.busy_ns.load(Relaxed) as f64 / elapsed_ns as f64).min(1.0),
            round_trip_p50_ns: self.round_trips.quantile(0.5),
            round_trip_p99_ns: self.round_trips.quantile(0.99),
        }
    }
}
