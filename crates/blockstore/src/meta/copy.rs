//! What a copy of a store needs of its record table: checkpoint and log as they are at one moment, and a checkpoint to
//! write new records into. Used by [`backup`](crate::BlockStore::backup) alone.

use super::{TableConfig, TableReader, lmdb::Lmdb};
use crate::BlockError;
use quintet_core::Seq;
use quintet_log::{Directory, copy::EachPiece};
use std::path::Path;

impl TableReader {
    /// Copies checkpoint and log into a directory, given both ways: everything durable is in it. Blocks.
    ///
    /// # Errors
    /// What LMDB, the directory or `each` answers.
    pub(crate) fn copy(
        &self,
        path: &Path,
        directory: &dyn Directory,
        each: EachPiece<'_>,
    ) -> Result<(), BlockError> {
        // Held first: the log then continues the checkpoint, whichever is copied.
        let hold = self.log().hold();
        let copied_bytes = self.lmdb().copy(path)?;
        each(copied_bytes)?;
        hold.copy_log(directory, each)?;
        Ok(())
    }
}

/// A new checkpoint.
pub(crate) struct Checkpoint(Lmdb);

impl Checkpoint {
    /// Makes an empty one in a directory that exists.
    pub(crate) fn create(dir: &Path, limits: &TableConfig) -> Result<Self, BlockError> {
        Lmdb::open(dir, limits.map_bytes, limits.max_map_bytes, limits.max_readers).map(Self)
    }

    /// Adds entries. On stable storage when it returns.
    pub(crate) fn write(&self, entries: &[(&[u8], Option<&[u8]>)]) -> Result<(), BlockError> {
        // The copy's log is empty and begins with the first record.
        self.0.write(entries, Seq::ZERO)
    }
}
