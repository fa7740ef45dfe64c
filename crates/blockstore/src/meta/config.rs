//! How a table is set up: its limits and when it checkpoints.

use super::lmdb::MAX_KEY_BYTES;
use crate::BlockError;
use quintet_log::LogConfig;
use std::time::Duration;

/// The settings of a [`Table`](super::Table). Checked at open.
///
/// Memory: the memtable holds at most twice `checkpoint_bytes` (one generation being filled, one being written), the
/// overlay what the log has not made durable yet, and one batch of at most `max_batch_bytes`.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// The log that acknowledges. Its `max_record_bytes` must hold a batch.
    pub log: LogConfig,
    /// Checkpoint when so many entries are not in LMDB yet. Default 65,536; 1 to 16,777,216.
    pub checkpoint_entries: usize,
    /// Checkpoint when they take so much memory. Default 16 MiB; 4 KiB to 4 GiB. At twice this writes are refused with
    /// `Unavailable` until the checkpoint in progress is done.
    pub checkpoint_bytes: usize,
    /// Checkpoint when the oldest of them is so old, however few they are: then memory and the time to replay follow the
    /// rate of changes and not how long the table has been open. Default 10 s; 100 ms to 1 hour.
    pub checkpoint_interval: Duration,
    /// The largest value. Default 1 MiB; at most half of `max_batch_bytes`.
    pub max_value_bytes: usize,
    /// The most bytes that one commit may carry; a write beyond it is refused with `Unavailable`. Default 4 MiB;
    /// 4 KiB to the log's `max_record_bytes`.
    pub max_batch_bytes: usize,
    /// Address space reserved for LMDB, sparse on disk. Default 64 GiB; at least 1 MiB.
    pub map_bytes: usize,
    /// How far the map may grow when it is full. Default 1 TiB; at least `map_bytes`.
    pub max_map_bytes: usize,
    /// How many LMDB snapshots may be open at once: one per thread that reads. Default 1024; 2 to 65,536.
    pub max_readers: u32,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            checkpoint_entries: 65_536,
            checkpoint_bytes: 16 << 20,
            checkpoint_interval: Duration::from_secs(10),
            max_value_bytes: 1 << 20,
            max_batch_bytes: 4 << 20,
            map_bytes: 64 << 30,
            max_map_bytes: 1 << 40,
            max_readers: 1024,
        }
    }
}

/// Refuses `got` unless it is within `low..=high`.
pub(crate) fn within(field: &'static str, got: u64, low: u64, high: u64) -> Result<(), BlockError> {
    if (low..=high).contains(&got) {
        return Ok(());
    }
    Err(BlockError::Config {
        field,
        got: got.to_string(),
        bound: format!("{low} to {high}"),
    })
}

impl TableConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`BlockError::Config`] that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), BlockError> {
        self.log.validate()?;
        within("checkpoint_entries", self.checkpoint_entries as u64, 1, 1 << 24)?;
        within("checkpoint_bytes", self.checkpoint_bytes as u64, 4 << 10, 4 << 30)?;
        let interval = self.checkpoint_interval;
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&interval) {
            return Err(BlockError::Config {
                field: "checkpoint_interval",
                got: format!("{interval:?}"),
                bound: "100ms to 1 hour".into(),
            });
        }
        within(
            "max_batch_bytes",
            self.max_batch_bytes as u64,
            4 << 10,
            self.log.max_record_bytes as u64,
        )?;
        within(
            "max_value_bytes",
            self.max_value_bytes as u64,
            0,
            (self.max_batch_bytes / 2 - MAX_KEY_BYTES) as u64,
        )?;
        within("map_bytes", self.map_bytes as u64, 1 << 20, 1 << 46)?;
        within(
            "max_map_bytes",
            self.max_map_bytes as u64,
            self.map_bytes as u64,
            1 << 46,
        )?;
        within("max_readers", u64::from(self.max_readers), 2, 65_536)
    }
}
