//! Locks: the entry of the lock and the count in the block's record change in one commit, or neither does.

use super::{BlockHandler, Staged};
use crate::{BlockError, Digest, MAX_LOCKS, Record, lock, message::BlockReply};

impl BlockHandler {
    pub(super) fn lock(
        &mut self,
        digest: &Digest,
        resource: &[u8],
        body: &[u8],
    ) -> Result<BlockReply, BlockError> {
        lock::check_resource(resource)?;
        lock::check_body(body)?;
        let record = self
            .record(digest)?
            .ok_or(BlockError::NotFound { digest: *digest })?;
        let key = lock::key(digest, resource);
        let value = lock::encode(&key, body);
        if self.table.get(&key)?.is_some() {
            self.table.put(&key, &value)?;
            return Ok(BlockReply::Locked);
        }
        if record.locks >= MAX_LOCKS {
            let (digest, max) = (*digest, MAX_LOCKS);
            return Err(BlockError::TooManyLocks { digest, max });
        }
        let locked = Record {
            locks: record.locks + 1,
            ..record
        };
        self.table
            .stage_all(&[(&key, Some(&value)), (&digest.0, Some(&locked.encode(digest)))])?;
        self.staged.push(Staged::Locked);
        self.locks += 1;
        Ok(BlockReply::Locked)
    }

    pub(super) fn unlock(&mut self, digest: &Digest, resource: &[u8]) -> Result<BlockReply, BlockError> {
        lock::check_resource(resource)?;
        let record = self
            .record(digest)?
            .ok_or(BlockError::NotFound { digest: *digest })?;
        let key = lock::key(digest, resource);
        if self.table.get(&key)?.is_none() {
            let (digest, resource) = (*digest, resource.to_vec());
            return Err(BlockError::NoLock { digest, resource });
        }
        let Some(locks) = record.locks.checked_sub(1) else {
            let fault = "it counts no locks, and there is one";
            return Err(BlockError::corrupted(format!("the record of {digest}"), fault));
        };
        let unlocked = Record { locks, ..record };
        self.table
            .stage_all(&[(&key, None), (&digest.0, Some(&unlocked.encode(digest)))])?;
        self.staged.push(Staged::Unlocked);
        self.locks -= 1;
        Ok(BlockReply::Unlocked)
    }
}
