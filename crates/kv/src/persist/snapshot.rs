//! Snapshots: every key with its version, taken a shard at a time while everybody goes on.

use super::{
    RECORD_VERSION,
    codec::{Reader, damaged, put_bytes, put_value},
    restore,
};
use crate::{KvError, Store, effect::Slot, inner::Inner, table::Table};
use quintet_core::{Error, ErrorKind, Result, Seq};
use quintet_log::{Directory, snapshot};
use std::sync::{PoisonError, atomic::Ordering::Relaxed};

/// The snapshot's file name.
const NAME: &str = "kv.snapshot";

/// Reads the snapshot if there is one, and answers the position of the log that it begins from.
pub(super) fn read(directory: &dyn Directory, table: &Table) -> Result<Seq> {
    let mut number = 0_u64;
    let watermark = snapshot::read(directory, NAME, &mut |item| {
        number += 1;
        let (key, slot) = entry(item).map_err(|error| KvError::Damaged {
            what: format!("{NAME}, entry {number}"),
            reason: error.to_string(),
        })?;
        restore(table, &key, slot);
        Ok(())
    })?;
    Ok(watermark.unwrap_or(Seq::ZERO))
}

fn entry(item: &[u8]) -> Result<(crate::Bytes, Slot), KvError> {
    let mut reader = Reader { rest: item };
    if reader.byte()? != RECORD_VERSION {
        return Err(damaged("its version is unknown"));
    }
    let version = reader.number()?;
    let expires_ms = reader.number()?;
    let key = reader.bytes()?;
    let value = reader.value(0)?;
    if !reader.rest.is_empty() {
        return Err(damaged("there are bytes behind the value"));
    }
    Ok((key, Slot::new(value, version, expires_ms)))
}

impl Store {
    /// Writes a snapshot and gives back the log before it. Nobody is stopped: each shard is read-locked for as long as
    /// its values are cloned, which shares them. Blocks until the snapshot is durable.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a store without a log; what the directory or the log answers: the
    /// snapshot before is then still there.
    pub fn snapshot(&self) -> Result<()> {
        Self::snapshot_of(&self.inner)
    }

    /// Copies the store into an empty directory, which opens like the original, while everybody goes on: everything that
    /// was answered before the call is in it, and nothing without what came before it. `each` is told the bytes of each
    /// piece and may end the copying with an error. Answers the log's last position in the copy. Blocks until the copy is
    /// on stable storage.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a store without a log; what either directory or `each` answers: the
    /// copy is of no use then.
    pub fn backup(&self, to: &dyn Directory, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<Seq> {
        let Some(log) = &self.inner.log else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a store without a log has nothing to copy",
            ));
        };
        log.source().copy(NAME, to, each)
    }

    pub(crate) fn snapshot_of(inner: &Inner) -> Result<()> {
        let (Some(log), Some(directory)) = (&inner.log, &inner.directory) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the store has no log and so no snapshot",
            ));
        };
        let _one_at_a_time = inner.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let covered_bytes = inner.logged_bytes.load(Relaxed);
        // A record up to here is applied before its shard's lock goes, so the walk sees it.
        let watermark = log.last();
        let mut item = Vec::new();
        snapshot::write(&**directory, NAME, watermark, |sink| {
            for shard in 0..inner.table.shards() {
                for (key, slot) in entries(&inner.table, shard) {
                    item.clear();
                    item.push(RECORD_VERSION);
                    item.extend_from_slice(&slot.version().to_le_bytes());
                    item.extend_from_slice(&slot.expires_ms().to_le_bytes());
                    put_bytes(&mut item, &key);
                    put_value(&mut item, &slot.value, 0)?;
                    sink.put(&item)?;
                }
            }
            // The walk saw later records, too. They must not be lost: their positions would be given out again.
            log.sync().map(drop)
        })?;
        inner.saved_ms.store(inner.wall_ms(), Relaxed);
        inner.logged_bytes.fetch_sub(covered_bytes, Relaxed);
        log.truncate(watermark)
    }
}

fn entries(table: &Table, shard: usize) -> Vec<(crate::Bytes, Slot)> {
    let raw = table.read(shard);
    let mut entries = Vec::with_capacity(raw.len());
    table.walk(&raw, shard, &mut |key, slot| {
        entries.push((key.clone(), slot.clone()))
    });
    entries
}
