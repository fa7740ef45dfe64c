//! [`Line`]: who waits for or watches the keys of one shard, and the one number that tells everybody else that nobody does.
//!
//! Joined, served and left under the shard's write lock only. The number counts entries, so that whoever holds the lock and
//! reads 0 need not look further; whoever reads 0 without it knows that its own entries have been served.

use super::{
    Mailbox, Registry, Waiter,
    primitive::{Arc, AtomicUsize, Mutex, Ordering, lock},
};
use crate::value::Bytes;
use std::collections::VecDeque;

/// What became of a waiter that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It has its answer.
    Done,
    /// Nothing for it: it keeps its place.
    Kept,
    /// Its wait had ended before.
    Stale,
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    entries: AtomicUsize,
    registry: Mutex<Registry>,
}

impl Line {
    /// Whether nobody waits for or watches any key of the shard.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }

    fn count(&self, added: usize, removed: usize) {
        // Written under the shard's lock only.
        let entries = self.entries.load(Ordering::Relaxed) + added - removed;
        self.entries.store(entries, Ordering::Relaxed);
    }

    /// Gets in line at a key, in the place that the ticket says; again after a look in vain.
    pub(crate) fn join(&self, key: &Bytes, waiter: Waiter) {
        let mut registry = lock(&self.registry);
        let removed = usize::from(registry.remove(key, &waiter.mailbox));
        registry.add(key.clone(), waiter);
        self.count(1, removed);
    }

    pub(crate) fn leave(&self, key: &[u8], mailbox: &Arc<Mailbox>) {
        let removed = usize::from(lock(&self.registry).remove(key, mailbox));
        self.count(0, removed);
    }

    /// Offers what a key holds now to those who wait for it, in their order. After an error the others keep their places.
    pub(crate) fn serve<E>(
        &self,
        key: &Bytes,
        mut offer: impl FnMut(&Waiter) -> Result<Served, E>,
        mut served: impl FnMut(Waiter),
    ) -> Result<(), E> {
        let mut queue = lock(&self.registry).take(key);
        let mut kept = VecDeque::with_capacity(queue.len());
        let (mut gone, mut failed) = (0, None);
        while let Some(waiter) = queue.pop_front() {
            match offer(&waiter) {
                Ok(Served::Kept) => kept.push_back(waiter),
                Ok(Served::Done) => {
                    gone += 1;
                    served(waiter);
                }
                Ok(Served::Stale) => gone += 1,
                Err(error) => {
                    kept.push_back(waiter);
                    kept.append(&mut queue);
                    failed = Some(error);
                }
            }
        }
        lock(&self.registry).restore(key.clone(), kept);
        self.count(0, gone);
        failed.map_or(Ok(()), Err)
    }

    /// Begins to count a key's changes for somebody; answers where the count stands.
    #[cfg(feature = "port")]
    pub(crate) fn watch(&self, key: &Bytes) -> u64 {
        self.count(1, 0);
        lock(&self.registry).watch(key)
    }

    /// Ends one [`watch`](Self::watch).
    #[cfg(feature = "port")]
    pub(crate) fn unwatch(&self, key: &[u8]) {
        lock(&self.registry).unwatch(key);
        self.count(0, 1);
    }

    /// A watched key has changed.
    pub(crate) fn changed(&self, key: &[u8]) {
        lock(&self.registry).changed(key);
    }

    /// Where a watched key's count stands.
    #[cfg(feature = "port")]
    pub(crate) fn changes(&self, key: &[u8]) -> u64 {
        lock(&self.registry).changes(key)
    }
}
