//! The synchronisation primitives this crate is built on: the standard library's, or loom's when a model is explored.

#[cfg(not(quintet_loom))]
pub(crate) use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering, fence},
};
#[cfg(not(quintet_loom))]
pub(crate) use std::thread::yield_now;

#[cfg(quintet_loom)]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering, fence},
};
#[cfg(quintet_loom)]
pub(crate) use loom::thread::yield_now;

/// Locks, and goes on with the data if another thread panicked while it held the lock: every critical section in this
/// crate leaves its data whole at each step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until notified or `timeout` has passed, perhaps less. Loom knows no time: a model that waits must be woken.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Option<std::time::Duration>,
) -> MutexGuard<'a, T> {
    match timeout {
        Some(timeout) if cfg!(not(quintet_loom)) => match condvar.wait_timeout(guard, timeout) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        },
        _ => condvar
            .wait(guard)
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    }
}
