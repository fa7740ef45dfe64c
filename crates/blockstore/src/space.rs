//! The data file's space: the allocator, the blocks that are handed out, and the file's growth.
//!
//! Invariants: every taken block is named by a record, in quarantine, or outstanding (handed out and not named yet). The
//! file covers every block of the allocator. Growth needs no sync of its own: the data file is the log's companion, so its
//! length is on stable storage before any record that names a block is.

use crate::{BlockError, buddy::Buddy, buddy::UNIT_BYTES, message::BlockMessage};
use quintet_core::{BlockAddress, ErrorKind, SizeClass};
use quintet_log::File;
use std::{collections::HashSet, sync::Arc};

/// The data file and who may write where. Owned by the block handler.
pub(crate) struct Space {
    buddy: Buddy,
    file: Arc<dyn File>,
    outstanding: HashSet<BlockAddress, foldhash::fast::RandomState>,
    outstanding_bytes: u64,
    /// The file never grows beyond this.
    limit_blocks: u64,
    step_blocks: u64,
    /// Released blocks give their storage back.
    punch_released: bool,
}

impl Space {
    /// The space of a file; nothing is taken yet. A length that is no multiple of the largest block is what an
    /// interrupted growth left: a record's content may lie before it and the rest of its block beyond, so the file is
    /// made to cover whole blocks.
    pub(crate) fn new(file: Arc<dyn File>, limit_bytes: u64, step_bytes: u64) -> Result<Self, BlockError> {
        let len_bytes = file.len()?;
        let whole_bytes = len_bytes.next_multiple_of(SizeClass::LARGEST.size_bytes());
        if whole_bytes > len_bytes {
            file.set_len(whole_bytes)?;
        }
        let mut buddy = Buddy::default();
        buddy.grow(whole_bytes / UNIT_BYTES);
        Ok(Self {
            buddy,
            file,
            outstanding: HashSet::default(),
            outstanding_bytes: 0,
            limit_blocks: limit_bytes / UNIT_BYTES,
            step_blocks: step_bytes / UNIT_BYTES,
            punch_released: false,
        })
    }

    /// Marks the block of a stored record as taken.
    pub(crate) fn occupy(&mut self, address: BlockAddress) -> Result<(), BlockError> {
        Ok(self.buddy.occupy(address)?)
    }

    /// Takes one block, growing the file if it may grow. `None` = there is no room.
    pub(crate) fn allocate(&mut self, class: SizeClass) -> Result<Option<BlockAddress>, BlockError> {
        loop {
            if let Some(address) = self.buddy.allocate(class) {
                self.hand_out(address);
                return Ok(Some(address));
            }
            if !self.grow_for(class)? {
                return Ok(None);
            }
        }
    }

    /// Makes the file longer: by a step, or near a full disk by half of it, and so on down to what one block of the class
    /// needs. `false` = the file has its full size, or the disk has no room even for that.
    fn grow_for(&mut self, class: SizeClass) -> Result<bool, BlockError> {
        let now = self.buddy.capacity_blocks();
        let block = class.size_bytes() / UNIT_BYTES;
        // The end of the file need not be where a block of this class can begin.
        let least = now.next_multiple_of(block) + block - now;
        let mut more = self
            .step_blocks
            .max(least)
            .min(self.limit_blocks.saturating_sub(now));
        while more >= least {
            match self.file.allocate(now * UNIT_BYTES, more * UNIT_BYTES) {
                Ok(()) => {
                    self.buddy.grow(now + more);
                    return Ok(true);
                }
                Err(error) if error.kind() != ErrorKind::Full => return Err(error.into()),
                Err(_) if more == least => break,
                Err(_) => more = (more / 2).max(least),
            }
        }
        Ok(false)
    }

    /// Takes handed-out blocks back: all of them, or none if one is not handed out.
    pub(crate) fn take_back(&mut self, addresses: &[BlockAddress]) -> Result<(), BlockError> {
        if addresses.is_empty() || addresses.len() > BlockMessage::MAX_COUNT as usize {
            return Err(BlockError::BadCount {
                count: addresses.len() as u64,
                max: BlockMessage::MAX_COUNT,
            });
        }
        for (at, address) in addresses.iter().enumerate() {
            if let Err(refused) = self.name(*address) {
                addresses[..at].iter().for_each(|taken| self.unname(*taken));
                return Err(refused);
            }
        }
        addresses.iter().try_for_each(|address| self.free(*address))
    }

    /// Makes a handed-out block free that its holder gave up.
    pub(crate) fn give_up(&mut self, address: BlockAddress) {
        let freed = self.name(address).and_then(|()| self.free(address));
        debug_assert!(freed.is_ok(), "a pooled block is handed out: {freed:?}");
    }

    /// Makes a taken block that is not handed out free.
    pub(crate) fn free(&mut self, address: BlockAddress) -> Result<(), BlockError> {
        Ok(self.buddy.free(address)?)
    }

    /// Whether released blocks give their storage back at once.
    pub(crate) fn punch_released(&mut self, punch: bool) {
        self.punch_released = punch;
    }

    /// The same for one whose content is not needed any more.
    pub(crate) fn release(&mut self, address: BlockAddress) -> Result<(), BlockError> {
        self.free(address)?;
        if self.punch_released {
            // The block is free either way; only its storage is not given back.
            let _kept = self
                .file
                .punch_hole(address.offset_bytes(), address.class.size_bytes());
        }
        Ok(())
    }

    /// Cuts the file off behind its last taken block; answers its length. That needs no sync: should a power cut undo it,
    /// there is free space again.
    pub(crate) fn trim(&mut self) -> Result<u64, BlockError> {
        let end = self.buddy.end_blocks();
        if end < self.buddy.capacity_blocks() {
            self.file.set_len(end * UNIT_BYTES)?;
            self.buddy.shrink();
        }
        Ok(self.buddy.capacity_blocks() * UNIT_BYTES)
    }

    /// Gives the storage of free blocks back, `look` blocks of any size from `from_block` on; answers where to go on, and the
    /// bytes of the free ones.
    pub(crate) fn punch(&self, from_block: u64, look: usize) -> Result<(Option<u64>, u64), BlockError> {
        let (runs, next) = self.buddy.free_runs(from_block, look);
        let mut bytes = 0;
        for run in runs {
            let len_bytes = (run.end - run.start) * UNIT_BYTES;
            self.file.punch_hole(run.start * UNIT_BYTES, len_bytes)?;
            bytes += len_bytes;
        }
        Ok((next, bytes))
    }

    /// A handed-out block gets its name.
    ///
    /// # Errors
    /// [`BlockError::NotOutstanding`].
    pub(crate) fn name(&mut self, address: BlockAddress) -> Result<(), BlockError> {
        if !self.outstanding.remove(&address) {
            return Err(BlockError::NotOutstanding { address });
        }
        self.outstanding_bytes -= address.class.size_bytes();
        Ok(())
    }

    /// Whether the block is handed out.
    pub(crate) fn is_outstanding(&self, address: BlockAddress) -> bool {
        self.outstanding.contains(&address)
    }

    /// Undoes [`name`](Self::name).
    pub(crate) fn unname(&mut self, address: BlockAddress) {
        self.hand_out(address);
    }

    fn hand_out(&mut self, address: BlockAddress) {
        if self.outstanding.insert(address) {
            self.outstanding_bytes += address.class.size_bytes();
        }
    }

    pub(crate) const fn buddy(&self) -> &Buddy {
        &self.buddy
    }

    /// Handed-out blocks and their bytes.
    pub(crate) fn outstanding(&self) -> (u64, u64) {
        (self.outstanding.len() as u64, self.outstanding_bytes)
    }

    /// Whether at least one in `share` bytes of the file's limit is free.
    pub(crate) fn has_free_share(&self, share: u64) -> bool {
        self.free_bytes().saturating_mul(share) >= self.limit_blocks * UNIT_BYTES
    }

    /// Bytes that could be handed out in blocks of some size: free ones, and those the file may still grow by.
    pub(crate) fn free_bytes(&self) -> u64 {
        let growth = self.limit_blocks.saturating_sub(self.buddy.capacity_blocks());
        (self.buddy.free_blocks() + growth) * UNIT_BYTES
    }
}
