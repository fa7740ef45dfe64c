//! Puts one transaction deterministically into the middle of another.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Runs something once, on another thread, from inside a body that may run several times.
#[derive(Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The first time: runs `other` on its own thread and waits for it. Later: nothing.
    pub(crate) fn run<R: Send>(&self, other: impl FnOnce() -> R + Send) -> Option<R> {
        if self.0.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(thread::scope(|scope| {
            scope.spawn(other).join().expect("the other transaction panicked")
        }))
    }
}
