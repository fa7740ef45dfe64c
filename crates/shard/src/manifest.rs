//! The one mutex of the crate: what all shards share and no request touches.
//!
//! It guards which shards run and how to connect to them. It is taken when something starts, ends, connects or is
//! inspected. Nothing is called on a shard while it is held, so it cannot take part in a deadlock. `cargo xtask tidy`
//! refuses a lock in any other file of this crate.

#[cfg(quintet_loom)]
use loom::sync::Mutex;
#[cfg(not(quintet_loom))]
use std::sync::Mutex;
use std::sync::PoisonError;

/// Some state behind the lock.
#[derive(Debug)]
pub(crate) struct Manifest<T> {
    state: Mutex<T>,
}

impl<T> Manifest<T> {
    pub(crate) fn new(state: T) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// Runs `change` under the lock. It must leave the state whole at each step: a panic in it does not close the lock.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
