//! [`Put`]: one body on its way into a block.

use crate::{BlockError, Digest, depot::Home, digest::Hasher};
use quintet_core::{Block, Result};
use quintet_log::File;
use std::sync::Arc;

/// A body being written into its block, piece by piece, hashed as it comes. Dropping it gives the block back to the
/// worker that began it. It may be written on any thread.
#[must_use = "a put that is not finished stores nothing"]
pub struct Put {
    block: Option<Block>,
    home: Home,
    file: Arc<dyn File>,
    hasher: Hasher,
    offset_bytes: u64,
    announced_bytes: u64,
    written_bytes: u64,
}

impl Put {
    pub(crate) fn new(block: Block, home: Home, file: Arc<dyn File>, announced_bytes: u64) -> Self {
        let offset_bytes = block.address().offset_bytes();
        Self {
            block: Some(block),
            home,
            file,
            hasher: Hasher::default(),
            offset_bytes,
            announced_bytes,
            written_bytes: 0,
        }
    }

    /// Writes the next bytes of the body into the kernel and hashes them. Blocks for the copy, not for the disk.
    ///
    /// # Errors
    /// `InvalidInput` when more bytes come than were announced, none of which is written then; what the system answers.
    /// After an error of the system the put is of no use: drop it. Unless the disk was merely full, the store is poisoned.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_unhashed(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// For content whose digest is known already.
    pub(crate) fn write_unhashed(&mut self, bytes: &[u8]) -> Result<()> {
        let after = self.written_bytes + bytes.len() as u64;
        if after > self.announced_bytes {
            return Err(self.wrong_length(after));
        }
        let offset_bytes = self.offset_bytes + self.written_bytes;
        if let Err(error) = self.file.write_at(bytes, offset_bytes) {
            let was_poisoned = self.home.depot.is_alarmed();
            self.home.depot.raise_alarm(&error);
            return Err(if was_poisoned {
                BlockError::Poisoned.into()
            } else {
                error
            });
        }
        self.written_bytes = after;
        Ok(())
    }

    /// How many bytes of the announced body have not come yet.
    #[must_use]
    pub fn remaining_bytes(&self) -> u64 {
        self.announced_bytes - self.written_bytes
    }

    fn wrong_length(&self, written_bytes: u64) -> quintet_core::Error {
        BlockError::WrongLength {
            announced_bytes: self.announced_bytes,
            written_bytes,
        }
        .into()
    }

    pub(crate) fn check_complete(&self) -> Result<()> {
        if self.written_bytes == self.announced_bytes {
            return Ok(());
        }
        Err(self.wrong_length(self.written_bytes))
    }

    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Takes the block out, to be named, with the length of what was written.
    pub(crate) fn take_block(&mut self) -> Option<(Block, u32)> {
        // A body is at most one block, far below 4 GiB.
        let len_bytes = u32::try_from(self.written_bytes).ok()?;
        Some((self.block.take()?, len_bytes))
    }

    /// Puts a block that was taken out back, so that the put can be finished later.
    pub(crate) fn put_block(&mut self, block: Block) {
        self.block = Some(block);
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home.take_back(block);
        }
    }
}
