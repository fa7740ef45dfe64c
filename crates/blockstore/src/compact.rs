//! Giving storage back: the data file's unused end, and on request holes where free blocks lie.
//!
//! No block is moved: the allocator hands out the lowest first, so that the end empties by itself. The store goes on
//! meanwhile; the controller does the work in pieces.

use crate::{BlockStore, Outcome, Progress, buddy::UNIT_BYTES};
use quintet_core::{Error, ErrorKind, Result};

/// What to give back.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactOptions {
    /// Also the storage of free blocks in the middle of the file. Writing there later may meet a full disk, which is then
    /// told to that writer (507).
    pub punch: bool,
}

/// What was given back.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The data file's length before.
    pub before_bytes: u64,
    /// And after.
    pub file_bytes: u64,
    /// Free bytes in the middle of the file whose storage was given back, whether they had any or not.
    pub punched_bytes: u64,
}

impl BlockStore {
    /// Cuts the data file off behind its last taken block, idle pools emptied first, and on request gives the storage of
    /// free blocks back. `each` is told how far the punching is. Blocks; other calls wait for single pieces only.
    ///
    /// # Errors
    /// `Closed`; what the system answers. What was given back until then stays so; no data is touched.
    pub fn compact(&self, options: CompactOptions, each: &mut dyn FnMut(Progress)) -> Result<Compacted> {
        let before_bytes = self.stats().file_bytes;
        self.with_seat(self.config().workers, |seat| {
            let ticket = seat.worker.trim()?;
            let Outcome::Trimmed { file_bytes } = seat.wait(ticket)? else {
                return Err(unexpected());
            };
            let mut compacted = Compacted {
                before_bytes,
                file_bytes,
                punched_bytes: 0,
            };
            let mut next = options.punch.then_some(0);
            while let Some(from_block) = next {
                let ticket = seat.worker.punch(from_block)?;
                let Outcome::Punched { next_block, bytes } = seat.wait(ticket)? else {
                    return Err(unexpected());
                };
                compacted.punched_bytes += bytes;
                next = next_block;
                each(Progress {
                    done_blocks: next.unwrap_or(file_bytes / UNIT_BYTES),
                    total_blocks: file_bytes / UNIT_BYTES,
                    done_bytes: compacted.punched_bytes,
                });
            }
            Ok(compacted)
        })
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Corrupted, "the controller answered something else")
}
