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
        }
    }

    /// Retries a failed checkpoint. Returns when it next wants to run.
    pub fn maintain(&mut self) -> Option<Deadline> {
        let failed = self.checkpointer.failure()?;
        // A full disk may have room again. After any other failure LMDB's state is unknown.
        if failed.kind() != ErrorKind::Full {
            self.poisoned = true;
            return None;
        }
        self.checkpointer.retry();
        Some(Deadline::after(&*self.clock, RETRY))
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
