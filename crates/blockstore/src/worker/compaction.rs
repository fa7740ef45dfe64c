//! Storage to be given back, as a worker asks for it.

use super::BlockWorker;
use crate::{message::BlockMessage, outcome::Ticket, under_way::Asked};
use quintet_core::Result;

impl BlockWorker {
    /// Cuts the data file off behind its last taken block. The outcome is [`Outcome::Trimmed`](crate::Outcome::Trimmed).
    ///
    /// # Errors
    /// `Unavailable` when no credit is left, `Closed`.
    pub fn trim(&mut self) -> Result<Ticket> {
        self.send(BlockMessage::Trim, Asked::Trim)
    }

    /// Gives the storage of free blocks back, from this 4 KiB block of the file on, as far as one message goes. The outcome is
    /// [`Outcome::Punched`](crate::Outcome::Punched), which says where to go on.
    ///
    /// # Errors
    /// As [`trim`](Self::trim).
    pub fn punch(&mut self, from_block: u64) -> Result<Ticket> {
        self.send(BlockMessage::Punch { from_block }, Asked::Punch)
    }
}
