//! From records to a running allocator: what opening a store does after the log was replayed.
//!
//! First the records that may have reached the disk before their content (see [`Recovered::unproven`]) are checked against
//! their names; those whose bytes are missing are dropped: nobody was told that they were safe. Then every record marks
//! its block as taken. Two records that overlap, or one beyond the file, are damage, and the store does not open.

use crate::{
    BlockError, Digest, Record, lock,
    meta::{Recovered, Table},
    space::Space,
};
use quintet_core::{AlignedBuffer, ErrorKind, SizeClass};
use quintet_log::File;

/// What opening a store found and did.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Named blocks.
    pub blocks: u64,
    /// Their content, in bytes.
    pub content_bytes: u64,
    /// Locks on them.
    pub locks: u64,
    /// Log records replayed after the last checkpoint.
    pub replayed_records: u64,
    /// Blocks whose content was checked because a crash could have cut it off.
    pub checked_blocks: u64,
    /// Blocks dropped because it was cut off. None of them was acknowledged as durable.
    pub dropped_blocks: u64,
}

/// Refuses a record whose content ends beyond the file.
pub(crate) fn check_inside(digest: &Digest, record: &Record, file_bytes: u64) -> Result<(), BlockError> {
    let end_bytes = record.address.offset_bytes() + u64::from(record.len_bytes);
    if end_bytes <= file_bytes {
        return Ok(());
    }
    let fault = format!("its content ends at byte {end_bytes} of a data file of {file_bytes}");
    Err(BlockError::corrupted(format!("the record of {digest}"), fault))
}

/// Drops records without content and marks the blocks of all others as taken. `file_bytes` is the length that the file
/// was found with.
pub(crate) fn recover(
    table: &mut Table,
    recovered: &Recovered,
    file: &dyn File,
    file_bytes: u64,
    space: &mut Space,
) -> Result<Opened, BlockError> {
    let (checked_blocks, dropped_blocks) = drop_unwritten(table, recovered, file)?;
    let (mut blocks, mut content_bytes, mut locks) = (0, 0, 0);
    table.reader().scan(&mut |key, value| {
        if lock::is_lock(key) {
            locks += 1;
            return Ok(());
        }
        let (digest, record) = read(key, value)?;
        check_inside(&digest, &record, file_bytes)?;
        space
            .occupy(record.address)
            .map_err(|fault| BlockError::corrupted(format!("the record of {digest}"), fault.to_string()))?;
        blocks += 1;
        content_bytes += u64::from(record.len_bytes);
        Ok(())
    })?;
    let replayed_records = recovered.replayed_records;
    Ok(Opened {
        blocks,
        content_bytes,
        locks,
        replayed_records,
        checked_blocks,
        dropped_blocks,
    })
}

/// Reads one entry of the record table.
pub(crate) fn read(key: &[u8], value: &[u8]) -> Result<(Digest, Record), BlockError> {
    let digest = Digest(key.try_into().map_err(|_| {
        BlockError::corrupted(
            "the record table",
            format!("a key of {} bytes, a digest has 32", key.len()),
        )
    })?);
    Ok((digest, Record::decode(&digest, value)?))
}

fn drop_unwritten(
    table: &mut Table,
    recovered: &Recovered,
    file: &dyn File,
) -> Result<(u64, u64), BlockError> {
    let mut buffer = AlignedBuffer::zeroed(SizeClass::LARGEST.size_bytes() as usize);
    let (mut checked, mut dropped, mut doomed) = (0, 0, Vec::new());
    for key in &recovered.unproven {
        if lock::is_lock(key) {
            // It names nothing but its block, which is in the same record of the log or in an earlier one.
            continue;
        }
        let Some(value) = table.get(key)? else {
            continue;
        };
        let (digest, record) = read(key, &value)?;
        checked += 1;
        if !holds(file, &digest, &record, &mut buffer)? {
            table.reader().scan_prefix(key, &mut |entry, _| {
                doomed.push(entry.to_vec());
                Ok(())
            })?;
            // The record last: while it is there, a crash in between is made good by the next opening.
            doomed.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.len()));
            for entry in doomed.drain(..) {
                forget(table, &entry)?;
            }
            dropped += 1;
        }
    }
    if dropped > 0 {
        table.commit()?;
        table.sync()?;
    }
    table.proven();
    Ok((checked, dropped))
}

/// Stages a deletion, committing first what does not fit in one batch.
fn forget(table: &mut Table, key: &[u8]) -> Result<(), BlockError> {
    match table.delete(key) {
        Err(BlockError::Busy { .. }) => {
            table.commit()?;
            table.delete(key)
        }
        other => other,
    }
}

/// Whether the file holds the content that the record names.
pub(crate) fn holds(
    file: &dyn File,
    digest: &Digest,
    record: &Record,
    buffer: &mut AlignedBuffer,
) -> Result<bool, BlockError> {
    let content = &mut buffer[..record.len_bytes as usize];
    match file.read_exact_at(content, record.address.offset_bytes()) {
        Ok(()) => Ok(Digest::of(content) == *digest),
        Err(error) if error.kind() == ErrorKind::Corrupted => Ok(false),
        Err(error) => Err(error.into()),
    }
}
