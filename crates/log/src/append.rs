//! The front of group commit: a record gets its position and joins the collecting group, or waits until it may.
//!
//! Takes the `state` lock only, and waits on `progress` when the group is full or has no segment to go to. Room is
//! reserved here, so that an accepted record always has a place. Called by [`crate::Log`]; what is collected is written
//! by the rest of [`Shared`], in `writer.rs`.

use crate::{
    LogError, frame,
    writer::{Shared, Spare, State, lock},
};
use quintet_core::{Durability, Result};
use std::sync::{MutexGuard, PoisonError};

impl Shared {
    /// Whether a group of this length has a place to go.
    fn has_place(state: &State, group_bytes: u64) -> bool {
        group_bytes <= state.room_bytes || matches!(state.spare, Spare::Ready(_))
    }

    /// Adds one record to the group; `state` must have been found fit by [`admit`](Self::admit).
    fn push(&self, state: &mut State, record: &[u8]) {
        if state.group.is_empty() {
            // The mark is filled in when the group is written.
            state.group.resize(frame::MARK_BYTES, 0);
        }
        state.last += 1;
        frame::push_record(&mut state.group, self.identity.salt(), state.last, record);
    }

    /// Appends records in order, with as few waits as the limits allow; answers the last position.
    pub(crate) fn append(&self, records: &[&[u8]]) -> Result<u64> {
        let limit_bytes = self.config.max_record_bytes;
        if let Some(record) = records.iter().find(|record| record.len() > limit_bytes) {
            let len_bytes = record.len();
            return Err(LogError::TooLarge {
                len_bytes,
                limit_bytes,
            }
            .into());
        }
        let mut state = lock(&self.state);
        let mut bytes = 0;
        for record in records {
            state = self.admit(state, frame::record_bytes(record.len()))?;
            self.push(&mut state, record);
            bytes += record.len() as u64;
        }
        let last = state.last;
        drop(state);
        self.counters.appended(records.len() as u64, bytes);
        Ok(last)
    }

    /// Waits until a frame fits the group and the group has a place to go.
    fn admit<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        frame_bytes: usize,
    ) -> Result<MutexGuard<'a, State>> {
        let failures = state.failures;
        loop {
            self.check()?;
            if state.stopping {
                return Err(LogError::Closed.into());
            }
            let group_bytes = state.group.len().max(frame::MARK_BYTES) + frame_bytes;
            let fits = state.group.is_empty() || group_bytes <= self.config.max_group_bytes;
            if fits && Self::has_place(&state, group_bytes as u64) {
                return Ok(state);
            }
            if fits {
                // A segment is needed and is not ready.
                if let Spare::Failed(error) = &state.spare
                    && state.failures > failures
                {
                    return Err(error.clone());
                }
                state.spare_wanted = true;
            } else if self.config.durability == Durability::Full {
                state.requested = state.last;
            } else {
                // Nobody else writes at these levels.
                drop(state);
                self.write_group()?;
                state = lock(&self.state);
                continue;
            }
            self.wake_flusher(&mut state);
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
