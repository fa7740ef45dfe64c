//! [`Room`]: what a shard may still put into one answer.
//!
//! How many points an answer has is limited by the request's own limits, but a point may have thousands of numbers and tens
//! of kilobytes of payload. What lies in memory anyway is counted too, since whoever asked writes it out. Used by a shard
//! for each message.

use crate::vector::VectorError;

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
    limit: usize,
}

impl Room {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    /// Takes the room of a point's name, its numbers and its payload's text, as far as they are asked for.
    ///
    /// # Errors
    /// [`VectorError::Field`] when there is not so much.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), VectorError> {
        let left = self.left.checked_sub(bytes).ok_or_else(|| {
            let reason = format!(
                "one shard's share of the answer is above {} bytes; ask for fewer points at once",
                self.limit
            );
            VectorError::field("with", reason)
        })?;
        self.left = left;
        Ok(())
    }
}
