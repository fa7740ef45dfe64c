//! When the loop must wake although nothing happens: the earliest deadline among its connections.
//!
//! A lazy heap. A deadline that moves later, as it does with every request, touches nothing: the entry in the heap fires
//! early, is compared with the truth and put back. Only one that moves earlier is pushed. Stale entries are dropped when
//! they surface, and the heap is rebuilt by its owner when they outnumber the connections.

use crate::connection::ConnectionId;
use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
}

impl Timers {
    pub(crate) fn push(&mut self, at: Instant, id: ConnectionId) {
        self.heap.push(Reverse((at, id)));
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Keeps only the entries that `live` confirms.
    pub(crate) fn retain(&mut self, mut live: impl FnMut(Instant, ConnectionId) -> bool) {
        self.heap.retain(|Reverse((at, id))| live(*at, *id));
    }

    /// The earliest entry that `live` confirms; what it denies is dropped on the way.
    pub(crate) fn earliest(
        &mut self,
        mut live: impl FnMut(Instant, ConnectionId) -> bool,
    ) -> Option<Instant> {
        while let Some(Reverse((at, id))) = self.heap.peek() {
            if live(*at, *id) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the earliest entry if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, ConnectionId)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
