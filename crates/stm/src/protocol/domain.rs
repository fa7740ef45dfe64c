//! [`Domain`]: what the transactions that may meet have in common: a version clock, the queue of aged transactions, and
//! the sleepers of `retry`.
//!
//! All [`TVar`](crate::TVar)s share one domain; every [`Context`](crate::Context) has its own.
//!
//! The clock is not ticked by commits. A commit takes the clock's value plus one as its version; whoever *reads* a
//! version beyond the clock ticks it. So blind writers on different variables share no cache line that either writes.

use super::{ticket::Tickets, waiters::Waiters};
use crate::primitive::{AtomicU64, Ordering, sequential_point};

/// A value alone on its pair of cache lines.
#[repr(align(128))]
#[derive(Debug)]
struct Alone<T>(T);

/// The shared part of a set of variables.
#[derive(Debug)]
pub(crate) struct Domain {
    clock: Alone<AtomicU64>,
    pub(crate) tickets: Tickets,
    pub(crate) waiters: Waiters,
}

impl Domain {
    #[cfg(not(quintet_loom))]
    pub(crate) const fn new(version: u64) -> Self {
        Self {
            clock: Alone(AtomicU64::new(version)),
            tickets: Tickets::new(),
            waiters: Waiters::new(),
        }
    }

    #[cfg(quintet_loom)]
    pub(crate) fn new(version: u64) -> Self {
        Self {
            clock: Alone(AtomicU64::new(version)),
            tickets: Tickets::new(),
            waiters: Waiters::new(),
        }
    }

    /// The clock. `SeqCst`: a committer looks at it after sealing, a reader before looking at words; of these two, one
    /// sees the other.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        sequential_point();
        let now = self.clock.0.load(Ordering::SeqCst);
        sequential_point();
        now
    }

    /// Moves the clock on by one and answers its value, which nobody else is given. For versions that must be told apart.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        sequential_point();
        let next = self.clock.0.fetch_add(1, Ordering::SeqCst) + 1;
        sequential_point();
        next
    }

    /// Moves the clock to at least `version` and answers its value.
    pub(crate) fn tick_to(&self, version: u64) -> u64 {
        let before = self.clock.0.fetch_max(version, Ordering::SeqCst);
        sequential_point();
        before.max(version)
    }
}
