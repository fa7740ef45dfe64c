//! What opening a table finds in its log: every record after the checkpoint, and which of them are unproven.
//!
//! Each record says up to which position the log was synced when it was written. What lies after the highest of these may
//! have reached the disk before the bytes that it names. Used by [`super::Table::open`] only.

use super::{batch, lmdb::Value, memtable::Memtable};
use crate::BlockError;
use quintet_core::Seq;
use std::collections::HashMap;

/// What opening a table found in its log.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Records replayed after the checkpoint.
    pub replayed_records: u64,
    /// Keys whose newest value is from a record that may have reached the disk before bytes that it names: those after
    /// the last position that the log itself says was synced. Whoever stores names of other bytes must check these.
    pub unproven: Vec<Box<[u8]>>,
    /// The last position that the log itself says was synced.
    pub(super) floor: Seq,
}

/// Collects what the log holds beyond the checkpoint.
pub(super) struct Replay {
    /// The position of the last record, or the checkpoint's watermark.
    last: Seq,
    records: u64,
    /// The highest position that some record says was synced before it was written.
    floor: Seq,
    written: HashMap<Box<[u8]>, Seq>,
}

impl Replay {
    /// Nothing replayed yet; the checkpoint holds everything up to `watermark`.
    pub(super) fn after(watermark: Seq) -> Self {
        Self {
            last: watermark,
            records: 0,
            floor: watermark,
            written: HashMap::new(),
        }
    }

    /// Puts one record's operations into the memtable.
    pub(super) fn record(&mut self, memtable: &Memtable, seq: Seq, record: &[u8]) -> Result<(), BlockError> {
        let batch = batch::decode(record)?;
        for (key, value) in batch.operations {
            memtable.insert(key.into(), value.map(Value::from));
            self.written.insert(key.into(), seq);
        }
        self.floor = self.floor.max(batch.synced);
        self.last = seq;
        self.records += 1;
        Ok(())
    }

    /// The last position that is in the table now, and what was found.
    pub(super) fn finish(self) -> (Seq, Recovered) {
        let floor = self.floor;
        let unproven = self
            .written
            .into_iter()
            .filter(|(_, seq)| *seq > floor)
            .map(|(key, _)| key)
            .collect();
        (
            self.last,
            Recovered {
                replayed_records: self.records,
                unproven,
                floor,
            },
        )
    }
}
