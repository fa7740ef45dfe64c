//! What a loop counts. Written by its one thread, readable from any other without slowing it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Only the loop's thread calls this, so a load and a store do; a locked instruction is not needed.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one loop, on cache lines of their own. Read them with [`snapshot`](Self::snapshot).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LoopStats {
    pub(crate) accepted: Counter,
    pub(crate) open: Counter,
    pub(crate) refused: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) requests: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) turns: Counter,
    pub(crate) sleeps: Counter,
    pub(crate) ring_depth: Counter,
}

/// The counters at one moment; each is exact, together they may be a turn apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopStatsSnapshot {
    /// Connections taken since the start.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Connections turned away because `max_connections` were open.
    pub refused: u64,
    /// Failed accepts, for example for want of file descriptors.
    pub accept_errors: u64,
    /// Requests whose head was complete and valid, as the protocol counts them.
    pub requests: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections ended because a deadline passed; idle ones included.
    pub timeouts: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Turns that slept in the kernel.
    pub sleeps: u64,
    /// Requests that the kernel had through io_uring when the loop last slept; 0 on epoll.
    pub ring_depth: u64,
}

impl LoopStats {
    /// Reads every counter.
    #[must_use]
    pub fn snapshot(&self) -> LoopStatsSnapshot {
        LoopStatsSnapshot {
            accepted: self.accepted.get(),
            open: self.open.get(),
            refused: self.refused.get(),
            accept_errors: self.accept_errors.get(),
            requests: self.requests.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            timeouts: self.timeouts.get(),
            turns: self.turns.get(),
            sleeps: self.sleeps.get(),
            ring_depth: self.ring_depth.get(),
        }
    }
}
