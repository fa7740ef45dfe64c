//! When a table makes a checkpoint, and when it may not.

use super::Table;
use quintet_core::{Deadline, Error, ErrorKind};
use std::time::Duration;

/// How long after a failed checkpoint the next attempt is due.
const RETRY: Duration = Duration::from_secs(1);

impl Table {
    /// Says that every [unproven](crate::meta::Recovered::unproven) entry was checked, and what was wrong deleted and synced. A table
    /// whose log has companions makes no checkpoint before that.
    pub fn proven(&mut self) {
        self.doubted_after = None;
        self.checkpoint_if_due();
    }

    pub(super) fn is_crowded(&self) -> bool {
        let size = self.durable.memtable.size();
        size.bytes >= 2 * self.config.checkpoint_bytes || size.entries >= 2 * self.config.checkpoint_entries
    }

    pub(super) fn checkpoint_if_due(&mut self) {
        let size = self.durable.memtable.size();
        if size.entries >= self.config.checkpoint_entries || size.bytes >= self.config.checkpoint_bytes {
            self.start_checkpoint();
        }
    }

    fn start_checkpoint(&mut self) {
        if self.doubted_after.is_none() && self.checkpointer.is_idle() {
            self.durable.memtable.freeze();
            self.checkpointer.request(self.settled);
            self.oldest = self.overlay.last_pending().map(|_| self.clock.now());
        }
    }

    /// Retries a failed checkpoint, and begins one when the oldest change has waited for the interval. Returns when it next
    /// wants to run.
    pub fn maintain(&mut self) -> Option<Deadline> {
        let Some(failed) = self.checkpointer.failure() else {
            return self.checkpoint_if_old();
        };
        // A full disk may have room again. After any other failure LMDB's state is unknown.
        if failed.kind() != ErrorKind::Full {
            self.poisoned = true;
            return None;
        }
        self.checkpointer.retry();
        Some(Deadline::after(&*self.clock, RETRY))
    }

    fn checkpoint_if_old(&mut self) -> Option<Deadline> {
        if self.poisoned {
            return None;
        }
        let due = self.next_checkpoint()?;
        if !due.is_due(&*self.clock) {
            return Some(due);
        }
        if self.durable.memtable.size().entries > 0 {
            self.start_checkpoint();
        }
        let next = self.next_checkpoint();
        if next == Some(due) {
            // Nothing of it is durable yet, or the checkpoint before is still being written.
            return Some(Deadline::after(&*self.clock, RETRY));
        }
        next
    }

    fn next_checkpoint(&self) -> Option<Deadline> {
        self.oldest
            .map(|oldest| Deadline(oldest + self.config.checkpoint_interval))
    }

    /// Writes everything durable into LMDB and waits for it.
    ///
    /// # Errors
    /// When the log cannot be flushed or the checkpoint not be written; nothing is lost, it stays in the log.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        self.sync()?;
        self.checkpointer.retry();
        self.checkpointer.wait()?;
        self.start_checkpoint();
        self.checkpointer.wait()
    }
}
