//! How blocks become free again: out of quarantine, out of pools when space is short, and from workers that are gone.
//!
//! Nothing here waits for a worker. What the controller needs at once it takes from the [depot](crate::depot) itself; what
//! waits for a sync is flushed on this thread only when a put would be refused otherwise.

use super::BlockHandler;
use crate::{BlockError, message::BlockReply};
use quintet_core::{BlockAddress, Deadline, Durability, SizeClass};
use std::time::Duration;

/// How soon blocks in quarantine are looked at again while nothing else happens.
const RECLAIM: Duration = Duration::from_millis(100);
/// How long a released block waits for a sync that nobody else asks for: at level relaxed the next checkpoint may be far.
const SYNC_FREED: Duration = Duration::from_secs(1);
/// How many blocks of any size one `Punch` looks at.
const PUNCH_LOOK: usize = 4096;
/// Space is not short any more when so much of the data file's limit is free.
const EASY_SHARE: u64 = 8;

impl BlockHandler {
    /// Space is short: looks for blocks wherever they may be had, the cheapest place first.
    pub(super) fn take_last(
        &mut self,
        class: SizeClass,
        count: u32,
    ) -> Result<Vec<BlockAddress>, BlockError> {
        if let Some(depot) = self.shared.depot.upgrade() {
            depot.set_pressed(true);
        }
        self.reclaim();
        self.recall();
        let granted = self.take(class, count, Vec::new())?;
        if !granted.is_empty() || self.quarantine.is_empty() {
            return Ok(granted);
        }
        // What waits only for a flush can be had now.
        self.table.sync()?;
        self.reclaim();
        self.take(class, count, granted)
    }

    /// Takes the idle blocks of every pool back.
    pub(super) fn recall(&mut self) {
        let Some(depot) = self.shared.depot.upgrade() else {
            return;
        };
        for address in depot.recall() {
            self.space.give_up(address);
        }
    }

    /// Cuts the file off behind what is taken, or may still be read or brought back by a power cut.
    pub(super) fn trim(&mut self) -> Result<BlockReply, BlockError> {
        self.recall();
        if !self.quarantine.is_empty() {
            self.table.sync()?;
        }
        self.reclaim();
        let file_bytes = self.space.trim()?;
        Ok(BlockReply::Trimmed { file_bytes })
    }

    pub(super) fn punch(&mut self, from_block: u64) -> Result<BlockReply, BlockError> {
        let (next_block, bytes) = self.space.punch(from_block, PUNCH_LOOK)?;
        Ok(BlockReply::Punched { next_block, bytes })
    }

    /// Has the log synced soon, on its own thread.
    pub(super) fn request_sync(&mut self) {
        self.table.request_sync();
        self.quarantine.sync_requested(self.clock.now());
    }

    /// When quarantine should be looked at again, if nothing else happens before.
    pub(super) fn next_reclaim(&mut self) -> Option<Deadline> {
        if self.quarantine.is_empty() {
            return None;
        }
        let soon = Deadline::after(&*self.clock, RECLAIM);
        let waits_for_readers = self.quarantine.waits_for_readers(self.table.synced());
        let sync_comes = self.table.durability() != Durability::Relaxed;
        if waits_for_readers || sync_comes && !self.emptied {
            return Some(soon);
        }
        let due = Deadline(self.quarantine.unsynced_since()? + SYNC_FREED);
        if !self.emptied && !due.is_due(&*self.clock) {
            return Some(due);
        }
        self.request_sync();
        Some(soon)
    }

    /// Frees what left quarantine and what workers left behind.
    pub(super) fn reclaim(&mut self) {
        let Self {
            quarantine,
            space,
            table,
            shared,
            clock,
            ..
        } = self;
        quarantine.retire(table.visible(), &shared.epochs);
        quarantine.drain(table.synced(), &shared.epochs, &**clock, |address| {
            let freed = space.release(address);
            debug_assert!(freed.is_ok(), "a block in quarantine is taken: {freed:?}");
        });
        let Some(depot) = shared.depot.upgrade() else {
            return;
        };
        for address in depot.left_overs() {
            space.give_up(address);
        }
        if depot.is_pressed() && space.has_free_share(EASY_SHARE) {
            depot.set_pressed(false);
        }
        if self.blocks > 0 {
            self.emptied = false;
        } else if self.emptied && self.quarantine.is_empty() {
            self.emptied = false;
            self.recall();
        }
    }
}
