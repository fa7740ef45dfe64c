//! One log record: the operations of one commit, whole or not at all.
//!
//! All numbers little-endian (docs/disk-format.md, section "Blocks"; the log's own frame around it carries the checksum):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 3 | reserved, 0 |
//! | 4 | 4 | number of operations |
//! | 8 | 8 | a log position known to be on stable storage when the batch was written |
//! | 16 | | the operations |
//!
//! An operation is `op` (1 byte: 1 put, 2 delete), `key length` (2), `value length` (4, 0 for a delete), key, value.

use crate::BlockError;
use quintet_core::Seq;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 16;
const OP_HEADER_BYTES: usize = 7;
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// How many bytes one operation takes in a record.
pub(super) const fn op_bytes(key_bytes: usize, value_bytes: usize) -> usize {
    OP_HEADER_BYTES + key_bytes + value_bytes
}

/// Writes a record into a buffer that is kept between batches.
pub(super) struct Encoder<'a> {
    buffer: &'a mut Vec<u8>,
    count: u32,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(buffer: &'a mut Vec<u8>, synced: Seq) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
        buffer.extend_from_slice(&synced.0.to_le_bytes());
        Self { buffer, count: 0 }
    }

    /// Adds an operation; lengths were checked when it was staged.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let body = value.unwrap_or_default();
        self.buffer.push(if value.is_some() { PUT } else { DELETE });
        self.buffer.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.buffer.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(body);
        self.count += 1;
    }

    pub(super) fn finish(self) -> &'a [u8] {
        self.buffer[4..8].copy_from_slice(&self.count.to_le_bytes());
        self.buffer
    }
}

/// A decoded record: what was synced before it, and its operations in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    pub(super) synced: Seq,
    pub(super) operations: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// Reads a record.
///
/// # Errors
/// [`BlockError::Corrupted`] with the offset of the first thing that is wrong. Memory is bounded by the record's length.
pub(super) fn decode(record: &[u8]) -> Result<Batch<'_>, BlockError> {
    let mut reader = Reader { record, at: 0 };
    if reader.array::<4>()? != [VERSION, 0, 0, 0] {
        return Err(reader.refuse("not a batch of version 1"));
    }
    let count = u32::from_le_bytes(reader.array()?);
    let synced = Seq(u64::from_le_bytes(reader.array()?));
    let most = (record.len() - HEADER_BYTES) / OP_HEADER_BYTES;
    if count as usize > most {
        return Err(reader.refuse("more operations than the record has room for"));
    }
    let mut operations = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let [op] = reader.array()?;
        let key_len = u16::from_le_bytes(reader.array()?);
        let value_len = u32::from_le_bytes(reader.array()?);
        let key = reader.take(usize::from(key_len))?;
        let value = reader.take(value_len as usize)?;
        if key.is_empty() || key.len() > super::lmdb::MAX_KEY_BYTES {
            return Err(reader.refuse("a key must have 1 to 511 bytes"));
        }
        operations.push(match op {
            PUT => (key, Some(value)),
            DELETE if value.is_empty() => (key, None),
            _ => return Err(reader.refuse("an unknown operation")),
        });
    }
    if reader.at != record.len() {
        return Err(reader.refuse("bytes after the last operation"));
    }
    Ok(Batch { synced, operations })
}

struct Reader<'a> {
    record: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], BlockError> {
        let rest = &self.record[self.at..];
        let taken = rest
            .get(..len)
            .ok_or_else(|| self.refuse("the record ends too early"))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn refuse(&self, fault: &str) -> BlockError {
        BlockError::corrupted(format!("a log record at byte {}", self.at), fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_batch_comes_back_and_every_prefix_is_refused(
            synced in any::<u64>(),
            operations in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 1..40), prop::option::of(prop::collection::vec(any::<u8>(), 0..40))),
                0..8,
            ),
        ) {
            let mut buffer = vec![9; 3];
            let mut encoder = Encoder::new(&mut buffer, Seq(synced));
            for (key, value) in &operations {
                encoder.push(key, value.as_deref());
            }
            let record = encoder.finish();
            let batch = decode(record).unwrap();
            prop_assert_eq!(batch.synced, Seq(synced));
            let borrowed: Vec<_> = operations.iter().map(|(k, v)| (k.as_slice(), v.as_deref())).collect();
            prop_assert_eq!(batch.operations, borrowed);
            for cut in 0..record.len() {
                prop_assert!(decode(&record[..cut]).is_err());
            }
        }

        #[test]
        fn garbage_never_panics(mut record in prop::collection::vec(any::<u8>(), 0..80), version in any::<bool>()) {
            if version && record.len() >= 4 {
                record[..4].copy_from_slice(&[VERSION, 0, 0, 0]);
            }
            if let Ok(batch) = decode(&record) {
                prop_assert!(batch.operations.len() * OP_HEADER_BYTES <= record.len());
            }
        }
    }
}
