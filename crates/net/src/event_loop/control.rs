//! Steering a loop from another thread: stop accepting, drain, end.

use crate::event_loop::waker::LoopWaker;
use quintet_core::Deadline;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

const STOP_ACCEPTING: u8 = 1;
const DRAIN: u8 = 2;

/// What other threads have asked of a loop.
pub(crate) struct Orders {
    asked: AtomicU8,
    drain_until: Mutex<Option<Instant>>,
    waker: Arc<LoopWaker>,
}

impl Orders {
    pub(crate) fn new(waker: Arc<LoopWaker>) -> Self {
        Self {
            asked: AtomicU8::new(0),
            drain_until: Mutex::new(None),
            waker,
        }
    }

    pub(crate) fn stop_accepting(&self) -> bool {
        self.asked.load(Ordering::Acquire) != 0
    }

    /// Until when to drain, once it was asked for.
    pub(crate) fn drain_until(&self) -> Option<Instant> {
        if self.asked.load(Ordering::Acquire) & DRAIN == 0 {
            return None;
        }
        *self.drain_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Steers one loop from any thread. Cloning it is cheap.
#[derive(Clone)]
pub struct Control {
    orders: Arc<Orders>,
}

impl Control {
    pub(crate) fn new(orders: Arc<Orders>) -> Self {
        Self { orders }
    }

    /// Takes the connections that already wait, then closes the listening socket. Open connections go on.
    pub fn stop_accepting(&self) {
        self.orders.asked.fetch_or(STOP_ACCEPTING, Ordering::Release);
        self.orders.waker.ring();
    }

    /// Stops accepting, closes idle connections, finishes what is in flight, and ends the loop when no connection is left
    /// or `deadline` (of the loop's clock) has passed, whichever is first. An earlier deadline replaces a later one.
    pub fn drain(&self, deadline: Deadline) {
        {
            let mut until = self
                .orders
                .drain_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *until = Some(until.map_or(deadline.0, |earlier| earlier.min(deadline.0)));
        }
        self.orders
            .asked
            .fetch_or(STOP_ACCEPTING | DRAIN, Ordering::Release);
        self.orders.waker.ring();
    }

    /// Makes the loop take a turn, for example after a test moved its clock.
    pub fn wake(&self) {
        self.orders.waker.ring();
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("asked", &self.orders.asked)
            .finish_non_exhaustive()
    }
}
