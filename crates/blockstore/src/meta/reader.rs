//! [`TableReader`]: a table's durable state, for everybody but the writer.
//!
//! An operation is in the memtable, in LMDB or in both, from the moment it is durable: a reader that looks in this order
//! never misses it. Readers hold no lock and no LMDB transaction between calls.

use super::{
    checkpoint::Durable,
    lmdb::{Lmdb, MAX_KEY_BYTES, Value},
};
use crate::BlockError;
use quintet_log::copy::Source;
use std::sync::Arc;

/// What is called on each entry of a scan, with its key and value. An error ends the scan.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), BlockError>;

/// Reads a table's durable state. Cheap to clone; any thread may use it, at any time, without waiting for the writer.
#[derive(Clone)]
pub struct TableReader {
    durable: Arc<Durable>,
    log: Source,
}

impl TableReader {
    pub(super) const fn new(durable: Arc<Durable>, log: Source) -> Self {
        Self { durable, log }
    }

    pub(super) const fn log(&self) -> &Source {
        &self.log
    }

    pub(super) fn lmdb(&self) -> &Lmdb {
        &self.durable.lmdb
    }

    /// The durable value. A look-up in memory, then at most one in LMDB.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, BlockError> {
        self.durable.get(key)
    }

    /// Calls `each` on every durable entry, in no particular order, until it fails. Entries that become durable or are
    /// deleted meanwhile may or may not be seen.
    ///
    /// # Errors
    /// What `each` or LMDB answers.
    pub fn scan(&self, each: Visit<'_>) -> Result<(), BlockError> {
        self.scan_prefix(&[], each)
    }

    /// The same for the entries whose keys begin with `prefix`. With a prefix of 32 bytes or more it looks through a
    /// sixteenth of what is not checkpointed yet.
    ///
    /// # Errors
    /// What `each` or LMDB answers.
    pub fn scan_prefix(&self, prefix: &[u8], each: Visit<'_>) -> Result<(), BlockError> {
        let recent = self.durable.memtable.with_prefix(prefix);
        for (key, value) in &recent {
            if let Some(value) = value {
                each(key, value)?;
            }
        }
        self.durable.lmdb.scan(prefix, &mut |key, value| {
            if recent.contains_key(key) {
                return Ok(());
            }
            each(key, value)
        })
    }
}

impl Durable {
    /// The memtable first and an LMDB snapshot second: an entry leaves the first only when the second has it.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, BlockError> {
        match self.memtable.get(key) {
            Some(recent) => Ok(recent),
            // LMDB refuses the lengths that no key can have.
            None if key.is_empty() || key.len() > MAX_KEY_BYTES => Ok(None),
            None => self.lmdb.get(key),
        }
    }
}
