//! [`Registry`]: the waiters of one shard's keys, in the order in which they came. Looked at and changed only under the
//! shard's write lock. Entries whose mailbox is closed are left by waiters of several keys and dropped when met.

use super::Mailbox;
use super::primitive::Arc;
use crate::{
    effect::End,
    value::{Bytes, Value},
};
use std::collections::{HashMap, VecDeque};

/// What a waiter wants of a key.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// An item of a list, taken from this end.
    Item(End),
    /// To look again when a list has something: for what needs more than one key's lock.
    Retry,
    /// The same for a sorted set.
    #[cfg(feature = "port")]
    RetryScored,
    /// That the key holds this value.
    Equals(Value),
    /// That the key holds a value that is not this one; `None` = any value.
    Differs(Option<Value>),
    /// To look again after any change.
    Change,
}

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) wish: Wish,
    /// When it came: who looks again in vain gets its old place back.
    pub(crate) ticket: u64,
}

/// A key whose changes are counted, for as long as somebody watches it.
#[derive(Debug, Default)]
struct Watch {
    #[cfg_attr(not(feature = "port"), expect(dead_code, reason = "only the port watches"))]
    holders: usize,
    changes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    queues: HashMap<Bytes, VecDeque<Waiter>>,
    watches: HashMap<Bytes, Watch>,
}

impl Registry {
    pub(crate) fn add(&mut self, key: Bytes, waiter: Waiter) {
        let queue = self.queues.entry(key).or_default();
        let at = queue.partition_point(|other| other.ticket <= waiter.ticket);
        queue.insert(at, waiter);
    }

    /// Takes one waiter away from a key; whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8], mailbox: &Arc<Mailbox>) -> bool {
        let Some(queue) = self.queues.get_mut(key) else {
            return false;
        };
        let before = queue.len();
        queue.retain(|waiter| !Arc::ptr_eq(&waiter.mailbox, mailbox));
        let removed = queue.len() < before;
        if queue.is_empty() {
            self.queues.remove(key);
        }
        removed
    }

    /// Takes a key's queue out; put it back with [`restore`](Self::restore).
    pub(crate) fn take(&mut self, key: &[u8]) -> VecDeque<Waiter> {
        self.queues.remove(key).unwrap_or_default()
    }

    pub(crate) fn restore(&mut self, key: Bytes, queue: VecDeque<Waiter>) {
        if !queue.is_empty() {
            self.queues.insert(key, queue);
        }
    }

    #[cfg(feature = "port")]
    pub(crate) fn watch(&mut self, key: &Bytes) -> u64 {
        let watch = self.watches.entry(key.clone()).or_default();
        watch.holders += 1;
        watch.changes
    }

    #[cfg(feature = "port")]
    pub(crate) fn unwatch(&mut self, key: &[u8]) {
        if let Some(watch) = self.watches.get_mut(key) {
            watch.holders -= 1;
            if watch.holders == 0 {
                self.watches.remove(key);
            }
        }
    }

    pub(crate) fn changed(&mut self, key: &[u8]) {
        if let Some(watch) = self.watches.get_mut(key) {
            watch.changes += 1;
        }
    }

    #[cfg(feature = "port")]
    pub(crate) fn changes(&self, key: &[u8]) -> u64 {
        self.watches.get(key).map_or(0, |watch| watch.changes)
    }
}
