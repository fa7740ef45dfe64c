//! The synchronisation primitives of the commit protocol: the standard library's, or loom's when a model is explored.
//!
//! Everything in [`crate::protocol`] goes through here, so that loom explores the very code that ships.

#[cfg(not(quintet_loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread::{ThreadId, yield_now},
};

#[cfg(quintet_loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread::{ThreadId, yield_now},
};

/// Loom treats a `SeqCst` access as `AcqRel`, so a model needs the fence that `SeqCst` accesses make unnecessary.
#[inline]
pub(crate) fn sequential_point() {
    #[cfg(quintet_loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// The calling thread.
pub(crate) fn this_thread() -> ThreadId {
    #[cfg(quintet_loom)]
    return loom::thread::current().id();
    #[cfg(not(quintet_loom))]
    std::thread::current().id()
}

/// Locks, and goes on if another thread panicked while it held the lock: every critical section in this crate leaves
/// its data whole at each step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for another thread that is a few instructions from done: spins, then gives the processor away.
#[derive(Default)]
pub(crate) struct Spin {
    turns: u32,
}

impl Spin {
    /// Spins before the first yield: about the time of a write-back.
    const BEFORE_YIELD: u32 = 64;

    pub(crate) fn turn(&mut self) {
        self.turns += 1;
        if cfg!(quintet_loom) || self.turns > Self::BEFORE_YIELD {
            yield_now();
        } else {
            spin_loop();
        }
    }
}
