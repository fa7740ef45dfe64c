//! The driver's way out: flushing output, watching over peers that do not take it, and the steps to a connection's end.

use super::{Driver, Step};
use crate::{
    connection::{ConnectionId, Phase, WriteGuard},
    outbox::MAX_SLICES,
    protocol::Protocol,
};
use std::{
    io::{self, IoSlice},
    time::Instant,
};

impl<P: Protocol> Driver<P> {
    /// Writes pending output through `write` until it takes no more or `budget_bytes` have gone. Returns whether output
    /// is left that `write` would not take.
    pub(crate) fn flush(
        &mut self,
        id: ConnectionId,
        now: Instant,
        budget_bytes: usize,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> bool {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return false;
        };
        let (mut total, mut full) = (0, false);
        while !entry.out.is_empty() && total < budget_bytes && entry.control.phase != Phase::Dead {
            if entry.out.prepare(&mut self.pool).is_err() {
                entry.control.phase = Phase::Dead;
                break;
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = entry.out.slices(&mut slices);
            if count == 0 {
                break;
            }
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            match write(&slices[..count]) {
                Ok(sent) => {
                    entry.out.advance(sent, &mut self.pool);
                    total += sent;
                    full = sent < offered;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => full = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => entry.control.phase = Phase::Dead,
            }
            if full {
                break;
            }
        }
        self.stats.bytes_out.add(total as u64);
        self.guard_writes(id, total as u64, full, now);
        full
    }

    /// Starts, credits or ends the watch over a peer that does not take its output.
    pub(super) fn guard_writes(&mut self, id: ConnectionId, sent_bytes: u64, full: bool, now: Instant) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        if entry.out.is_empty() || !full {
            entry.guard = None;
            return;
        }
        match &mut entry.guard {
            Some(guard) => guard.sent_bytes += sent_bytes,
            None => {
                let deadline = now + self.config.write_progress;
                entry.guard = Some(WriteGuard {
                    deadline,
                    sent_bytes: 0,
                });
                self.rearm(id);
            }
        }
    }

    /// Whether there is output that could be written now or later.
    #[must_use]
    pub fn has_output(&self, id: ConnectionId) -> bool {
        self.entry(id).is_some_and(|entry| !entry.out.is_empty())
    }

    /// Takes up to `max_bytes` of pending output as if a socket with that much room had: the backend's place in a test.
    pub fn take_output(&mut self, id: ConnectionId, max_bytes: usize, now: Instant) -> Vec<u8> {
        let mut taken = Vec::new();
        self.flush(id, now, usize::MAX, |slices| {
            let mut count = 0;
            for slice in slices {
                let part = slice.len().min(max_bytes - taken.len());
                taken.extend_from_slice(&slice[..part]);
                count += part;
            }
            if count == 0 {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(count)
            }
        });
        taken
    }

    /// After a flush: uses input that was kept back, and says what is to be done with the connection.
    pub fn step(&mut self, id: ConnectionId, now: Instant) -> Step {
        let backlog_bytes = self.config.backlog_bytes;
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return Step::Keep;
        };
        let pending = entry.out.pending_bytes();
        if entry.blocked && !entry.control.paused && !entry.is_backlogged(backlog_bytes) {
            entry.blocked = false;
            self.pump(id, now);
        }
        self.tell_finish(id, now);
        let linger = self.config.linger;
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return Step::Keep;
        };
        if std::mem::take(&mut entry.control.timed_out) {
            self.stats.timeouts.add(1);
        }
        match entry.control.phase {
            Phase::Dead => Step::Remove,
            Phase::Flush { linger: false } if entry.out.is_empty() => Step::Remove,
            Phase::Flush { linger: true } if entry.out.is_empty() => {
                entry.control.phase = Phase::Linger;
                entry.linger_until = Some(now + linger);
                self.rearm(id);
                Step::Shutdown
            }
            _ if entry.out.pending_bytes() > pending => Step::Flush,
            _ => Step::Keep,
        }
    }
}
