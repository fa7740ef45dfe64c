//! [`BlockHandler`]: the sole owner of the allocator and of the records, and the only place where a block changes state.
//!
//! A block is free, outstanding (handed out to a worker), named (a record points to it) or in quarantine (its record is
//! gone, its bytes may still be read). Look-ups answer from durable state; everything else sees what is staged too, so
//! that the second `Occupy` of the same content meets the first one even inside one batch.

mod locks;
mod reclaim;

use crate::{
    BlockError, Digest, Opened, Record, Stats,
    depot::Depot,
    epoch::Epochs,
    message::{BlockMessage, BlockReply},
    meta::{Table, TableReader},
    quarantine::Quarantine,
    space::Space,
    stats::Gauges,
};
use quintet_core::{
    BlockAddress, Budget, Clock, Commit, Deadline, Error, MessageHandler, Result, Seq, SizeClass,
};
use std::sync::{Arc, Weak};

/// The handler of [`BlockMessage`]. Made by [`BlockStore`](crate::BlockStore), or by hand in tests.
pub struct BlockHandler {
    table: Table,
    reader: TableReader,
    space: Space,
    shared: Shared,
    quarantine: Quarantine,
    clock: Arc<dyn Clock>,
    blocks: u64,
    content_bytes: u64,
    locks: u64,
    /// What the messages since the last commit did, oldest first.
    staged: Vec<Staged>,
    /// The last block was released: pools give their blocks back as soon as quarantine has.
    emptied: bool,
    /// How far the log was when `durable` last looked for blocks to free.
    reclaimed: Seq,
}

/// What the handler shares with workers and readers of statistics.
pub(crate) struct Shared {
    pub(crate) epochs: Arc<Epochs>,
    /// Weak: an inline worker, which owns its handler, may end up in the depot.
    pub(crate) depot: Weak<Depot>,
    pub(crate) gauges: Gauges,
}

enum Staged {
    Named(Record),
    Released(Record),
    Locked,
    Unlocked,
}

impl BlockHandler {
    /// A handler over a table whose every record was [marked as taken](crate::recovery) in `space`.
    pub(crate) fn new(
        table: Table,
        space: Space,
        opened: &Opened,
        shared: Shared,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let reader = table.reader();
        let quarantine = Quarantine::default();
        let handler = Self {
            table,
            reader,
            space,
            shared,
            quarantine,
            clock,
            blocks: opened.blocks,
            content_bytes: opened.content_bytes,
            locks: opened.locks,
            staged: Vec::new(),
            emptied: false,
            reclaimed: Seq(0),
        };
        handler.publish();
        handler
    }

    /// What the store holds now, this batch included.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let buddy = self.space.buddy();
        let (held_blocks, held_bytes) = self.space.outstanding();
        let depot = self.shared.depot.upgrade();
        let (pooled_blocks, pooled_bytes) = depot.map_or((0, 0), |depot| depot.pooled());
        // A worker may have taken a block out of its pool a moment ago.
        let (pooled_blocks, pooled_bytes) = (pooled_blocks.min(held_blocks), pooled_bytes.min(held_bytes));
        let log = self.table.log_stats();
        let file_bytes = buddy.capacity_blocks() * crate::buddy::UNIT_BYTES;
        let unused_bytes = self.space.free_bytes();
        Stats {
            blocks: self.blocks,
            content_bytes: self.content_bytes,
            locks: self.locks,
            file_bytes,
            capacity_bytes: file_bytes + unused_bytes - buddy.free_blocks() * crate::buddy::UNIT_BYTES,
            free_bytes: unused_bytes + pooled_bytes,
            pooled_blocks,
            pooled_bytes,
            written_blocks: held_blocks - pooled_blocks,
            written_bytes: held_bytes - pooled_bytes,
            quarantined_blocks: self.quarantine.blocks(),
            quarantined_bytes: self.quarantine.bytes(),
            held_by_readers_ms: self.quarantine.held_since().map_or(0, |since| {
                let held = self.clock.now().saturating_duration_since(since);
                u64::try_from(held.as_millis()).unwrap_or(u64::MAX)
            }),
            largest_free_bytes: buddy.largest_free().map_or(0, SizeClass::size_bytes),
            classes: buddy.classes(),
            log_records: log.appended_records,
            log_syncs: log.syncs,
            poisoned: self.table.is_poisoned(),
        }
    }

    /// Makes the next commit that has something to write fail with this kind, as if the log had refused it.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&mut self, kind: quintet_core::ErrorKind) {
        self.table.fail_next_commit(kind);
    }

    /// The log position of the last commit that wrote something.
    #[must_use]
    pub fn last_commit(&self) -> Seq {
        self.table.last_commit()
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Flushes, checkpoints and closes the table.
    ///
    /// # Errors
    /// When the flush or the checkpoint fails; what was acknowledged is in the log all the same.
    pub fn close(&mut self) -> Result<()> {
        self.table.close()
    }

    fn publish(&self) {
        self.shared.gauges.publish(self.stats());
    }

    /// The record under `digest`, staged and pending ones included.
    fn record(&self, digest: &Digest) -> Result<Option<Record>, BlockError> {
        self.table
            .get(&digest.0)?
            .map(|bytes| Record::decode(digest, &bytes))
            .transpose()
    }

    fn get_address(&self, digest: &Digest) -> Result<BlockReply, BlockError> {
        let bytes = self
            .reader
            .get(&digest.0)?
            .ok_or(BlockError::NotFound { digest: *digest })?;
        Ok(BlockReply::Address(Record::decode(digest, &bytes)?))
    }

    fn release(&mut self, digest: &Digest) -> Result<BlockReply, BlockError> {
        let record = self
            .record(digest)?
            .ok_or(BlockError::NotFound { digest: *digest })?;
        if record.locks > 0 {
            let (digest, locks) = (*digest, record.locks);
            return Err(BlockError::LockedBlock { digest, locks });
        }
        self.table.delete(&digest.0)?;
        self.staged.push(Staged::Released(record));
        self.blocks -= 1;
        self.content_bytes -= u64::from(record.len_bytes);
        Ok(BlockReply::Released)
    }

    fn allocate(&mut self, class: SizeClass, count: u32) -> Result<BlockReply, BlockError> {
        if count == 0 || count > BlockMessage::MAX_COUNT {
            return Err(BlockError::BadCount {
                count: count.into(),
                max: BlockMessage::MAX_COUNT,
            });
        }
        if self.table.is_poisoned() {
            return Err(BlockError::Poisoned);
        }
        let mut granted = self.take(class, count, Vec::new())?;
        if granted.is_empty() {
            granted = self.take_last(class, count)?;
        }
        if granted.is_empty() {
            let (requested_bytes, free_bytes) = (class.size_bytes(), self.space.free_bytes());
            return Err(BlockError::NoSpace {
                requested_bytes,
                free_bytes,
            });
        }
        Ok(BlockReply::Granted(granted))
    }

    /// Takes up to `count` blocks. An error ends the search, and writing; blocks found before it are good.
    fn take(
        &mut self,
        class: SizeClass,
        count: u32,
        mut granted: Vec<BlockAddress>,
    ) -> Result<Vec<BlockAddress>, BlockError> {
        while granted.len() < count as usize {
            match self.space.allocate(class) {
                Ok(Some(address)) => granted.push(address),
                Ok(None) => break,
                Err(error) => {
                    // The file cannot grow, and not for want of space.
                    let error = Error::from(error);
                    self.table.alarm().raise(&error);
                    if granted.is_empty() {
                        return Err(error.into());
                    }
                    break;
                }
            }
        }
        Ok(granted)
    }

    fn occupy(
        &mut self,
        digest: &Digest,
        address: BlockAddress,
        len_bytes: u32,
    ) -> Result<BlockReply, BlockError> {
        if !self.space.is_outstanding(address) {
            return Err(BlockError::NotOutstanding { address });
        }
        if len_bytes == 0 {
            return Err(BlockError::Empty);
        }
        if u64::from(len_bytes) > address.class.size_bytes() {
            let max_bytes = address.class.size_bytes();
            return Err(BlockError::TooLarge {
                what: "content",
                len_bytes: len_bytes.into(),
                max_bytes,
            });
        }
        if let Some(stored) = self.record(digest)? {
            if stored.len_bytes != len_bytes {
                let (stored_bytes, offered_bytes) = (stored.len_bytes, len_bytes);
                return Err(BlockError::LengthConflict {
                    digest: *digest,
                    stored_bytes,
                    offered_bytes,
                });
            }
            return Ok(BlockReply::Occupied {
                unused: Some(address),
            });
        }
        let record = Record {
            address,
            len_bytes,
            locks: 0,
        };
        self.table.put(&digest.0, &record.encode(digest))?;
        self.space.name(address)?;
        self.staged.push(Staged::Named(record));
        self.blocks += 1;
        self.content_bytes += u64::from(len_bytes);
        Ok(BlockReply::Occupied { unused: None })
    }

    /// The batch's releases begin their way through quarantine.
    fn keep(&mut self) {
        let released = self.staged.drain(..).filter_map(|staged| match staged {
            Staged::Released(record) => Some(record.address),
            Staged::Named(_) | Staged::Locked | Staged::Unlocked => None,
        });
        let released: Vec<_> = released.collect();
        if self.blocks == 0 && !released.is_empty() {
            self.emptied = true;
        }
        self.quarantine
            .committed(self.table.last_commit(), released, self.clock.now());
    }

    /// The table forgot the batch; so do the allocator and the counts.
    fn undo(&mut self) {
        for staged in self.staged.drain(..).rev() {
            match staged {
                Staged::Named(record) => {
                    self.space.unname(record.address);
                    self.blocks -= 1;
                    self.content_bytes -= u64::from(record.len_bytes);
                }
                Staged::Released(record) => {
                    self.blocks += 1;
                    self.content_bytes += u64::from(record.len_bytes);
                }
                Staged::Locked => self.locks -= 1,
                Staged::Unlocked => self.locks += 1,
            }
        }
    }
}

impl MessageHandler<BlockMessage> for BlockHandler {
    fn handle(&mut self, message: BlockMessage) -> Result<BlockReply> {
        let reply = match message {
            BlockMessage::GetAddress { digest } => self.get_address(&digest),
            BlockMessage::Release { digest } => self.release(&digest),
            BlockMessage::Return { addresses } => {
                self.space.take_back(&addresses).map(|()| BlockReply::Returned)
            }
            BlockMessage::Allocate { class, count } => self.allocate(class, count),
            BlockMessage::Occupy {
                digest,
                address,
                len_bytes,
            } => self.occupy(&digest, address, len_bytes),
            BlockMessage::Lock {
                digest,
                resource,
                body,
            } => self.lock(&digest, &resource, &body),
            BlockMessage::Unlock { digest, resource } => self.unlock(&digest, &resource),
            BlockMessage::Trim => self.trim(),
            BlockMessage::Punch { from_block } => self.punch(from_block),
        };
        reply.map_err(Error::from)
    }

    fn commit(&mut self) -> Result<Commit> {
        let committed = self.table.commit();
        match &committed {
            Ok(_) => self.keep(),
            Err(_) => self.undo(),
        }
        self.reclaim();
        self.publish();
        committed
    }

    fn durable(&mut self) -> Result<Seq> {
        let was_poisoned = self.table.is_poisoned();
        let durable = self.table.durable();
        if self.table.is_poisoned() != was_poisoned {
            // Perhaps nobody writes any more, and then no commit would tell.
            self.publish();
        }
        let durable = durable?;
        // Asked with every look for work, so only news is worth a walk through quarantine and pools.
        if durable != self.reclaimed {
            self.reclaimed = durable;
            self.reclaim();
        }
        Ok(durable)
    }

    fn maintain(&mut self, _budget: Budget) -> Option<Deadline> {
        self.reclaim();
        let retry = self.table.maintain();
        let reclaim = self.next_reclaim();
        self.publish();
        match (retry, reclaim) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
