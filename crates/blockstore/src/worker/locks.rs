//! Locks, as a worker asks for them. Changes go through the controller; the list is read from the durable records.

use super::BlockWorker;
use crate::{Digest, Lock, lock, message::BlockMessage, outcome::Ticket, under_way::Asked};
use quintet_core::Result;

impl BlockWorker {
    /// Locks a block for the holder named `resource`, or replaces that holder's lock. The outcome is
    /// [`Outcome::Locked`](crate::Outcome::Locked) or `NotFound`.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` for the holder's name or the body; `Unavailable` when no credit is left, `Closed`.
    pub fn lock(&mut self, digest: &Digest, resource: &[u8], body: &[u8]) -> Result<Ticket> {
        lock::check_resource(resource)?;
        lock::check_body(body)?;
        let message = BlockMessage::Lock {
            digest: *digest,
            resource: resource.to_vec(),
            body: body.to_vec(),
        };
        self.send(message, Asked::Lock)
    }

    /// Ends a lock. The outcome is [`Outcome::Unlocked`](crate::Outcome::Unlocked) or `NotFound`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn unlock(&mut self, digest: &Digest, resource: &[u8]) -> Result<Ticket> {
        lock::check_resource(resource)?;
        let message = BlockMessage::Unlock {
            digest: *digest,
            resource: resource.to_vec(),
        };
        self.send(message, Asked::Unlock)
    }

    /// The durable locks of a block, in the order of their holders' names; `None` = there is no such block. No message; it
    /// looks through a sixteenth of the records that are not checkpointed yet.
    ///
    /// # Errors
    /// `Corrupted` for a damaged entry; what the record table answers.
    pub fn locks(&self, digest: &Digest) -> Result<Option<Vec<Lock>>> {
        Ok(lock::of_block(&self.commons.records, digest)?)
    }
}
