//! The driver's way out for a backend whose sends complete later: output is lent to it, a batch at a time.
//!
//! A batch stays pending, and its connection open, until the backend says that it was sent. The watch over peers that do
//! not take their output runs from the loan on.

use super::Driver;
use crate::{
    connection::{ConnectionId, Phase},
    outbox::batch::Batch,
    protocol::Protocol,
};
use std::time::Instant;

impl<P: Protocol> Driver<P> {
    /// Fills `batch`, which is empty, with output that can be sent now, unless an earlier batch is still on its way.
    pub(crate) fn lend(&mut self, id: ConnectionId, now: Instant, batch: &mut Batch) {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        if entry.out.is_empty() || entry.out.is_lent() || entry.control.phase == Phase::Dead {
            return;
        }
        if entry.out.prepare(&mut self.pool).is_err() {
            entry.control.phase = Phase::Dead;
            return;
        }
        entry.out.lend(batch);
        // A source that has nothing yet is not the peer's fault.
        self.guard_writes(id, 0, !batch.is_empty(), now);
    }

    /// The kernel took `count` bytes of the batch on loan.
    pub(crate) fn sent(&mut self, id: ConnectionId, count: usize, now: Instant) {
        self.stats.bytes_out.add(count as u64);
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        entry.out.sent(count);
        self.guard_writes(id, count as u64, true, now);
    }

    /// A batch comes back, sent whole or not to be sent any more; its connection may be gone.
    pub(crate) fn repaid(&mut self, id: ConnectionId, batch: &mut Batch, now: Instant) {
        let spare = batch.clear(&mut self.pool);
        if let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        {
            entry.out.repaid(spare);
            // Ends the watch if nothing is left; more output is lent, and watched, at once.
            let left = !entry.out.is_empty();
            self.guard_writes(id, 0, left, now);
        }
    }
}
