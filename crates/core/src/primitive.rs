//! The synchronisation primitives this crate is built on: the standard library's, or loom's when a model is explored.

#[cfg(not(quintet_loom))]
pub(crate) use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};

#[cfg(quintet_loom)]
pub(crate) use loom::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};

/// Locks, and goes on with the data if another thread panicked while it held the lock: every critical section in this
/// crate leaves its data whole at each step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
