//! The driver's deadlines: which is next, and what happens when one has passed.

use super::Driver;
use crate::{
    connection::{ConnectionId, Phase, WriteGuard},
    protocol::Protocol,
};
use std::time::Instant;

impl<P: Protocol> Driver<P> {
    /// When [`expire`](Self::expire) or [`turn`](Self::turn) must run although nothing happened. `None` = never.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let table = &self.table;
        let own = self.timers.earliest(|at, id| {
            table
                .get(id.index as usize)
                .is_some_and(|entry| entry.id == id && entry.armed == Some(at))
        });
        match (own, self.protocol.next_deadline()) {
            (Some(own), Some(asked)) => Some(own.min(asked)),
            (own, asked) => own.or(asked),
        }
    }

    /// Makes sure that the heap has an entry no later than this connection's next deadline.
    pub(super) fn rearm(&mut self, id: ConnectionId) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        let Some(due) = entry.due() else { return };
        if entry.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        entry.armed = Some(due);
        self.timers.push(due, id);
        if self.timers.len() > 64 + 4 * self.table.len() {
            let table = &self.table;
            self.timers.retain(|at, id| {
                table
                    .get(id.index as usize)
                    .is_some_and(|entry| entry.id == id && entry.armed == Some(at))
            });
        }
    }

    /// Acts on every deadline that has passed. The connections concerned are among the next
    /// [`touched`](Self::take_touched).
    pub fn expire(&mut self, now: Instant) {
        // Bounded by what was there: a protocol that sets a deadline in the past gets a turn, not the whole loop.
        for _ in 0..self.timers.len() {
            let Some((at, id)) = self.timers.pop_due(now) else {
                return;
            };
            let Some(entry) = self
                .table
                .get_mut(id.index as usize)
                .filter(|entry| entry.id == id)
            else {
                continue;
            };
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            if entry.due().is_some_and(|due| due <= now) {
                self.expire_one(id, now);
            }
            self.rearm(id);
        }
    }

    fn expire_one(&mut self, id: ConnectionId, now: Instant) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        if !entry.touched {
            entry.touched = true;
            self.touched.push(id);
        }
        if entry.control.phase == Phase::Linger {
            entry.control.phase = Phase::Dead;
            return;
        }
        if let Some(guard) = entry.guard.as_mut().filter(|guard| guard.deadline <= now) {
            if guard.sent_bytes < self.config.write_progress_bytes {
                entry.control.phase = Phase::Dead;
                entry.control.timed_out = true;
                return;
            }
            *guard = WriteGuard {
                deadline: now + self.config.write_progress,
                sent_bytes: 0,
            };
        }
        if entry.control.deadline.is_some_and(|deadline| deadline <= now) {
            entry.control.deadline = None;
            let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
            self.protocol.expire(&mut link, state);
        }
    }
}
