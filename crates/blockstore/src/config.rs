//! How a block store is set up. Every limit is here, with its unit, default and range; nothing is clamped silently.

use crate::{
    BlockError, Lookup, Verify,
    meta::{TableConfig, within},
};
use quintet_core::{Durability, SizeClass};
use quintet_log::{File, LogConfig};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The settings of a [`BlockStore`](crate::BlockStore). Checked by [`validate`](Self::validate) at open.
///
/// ```
/// use quintet_blockstore::Config;
/// let config = Config { capacity_bytes: 100_000, ..Config::new("/tmp/blocks") };
/// assert_eq!(
///     config.validate().unwrap_err().to_string(),
///     "configuration field `capacity_bytes` is 100000, it must be 524288 to 4503599627370496",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The store's directory, created if it is not there. One open store at a time.
    pub dir: PathBuf,
    /// How large the data file may become. Default 64 GiB; 512 KiB to 4 PiB, a multiple of 512 KiB. The allocator keeps
    /// half a byte of memory per 4 KiB of the file's present length.
    pub capacity_bytes: u64,
    /// By how much the data file grows when it is full. Default 64 MiB; 512 KiB to 1 TiB, a multiple of 512 KiB.
    pub growth_step_bytes: u64,
    /// What an acknowledged put or delete survives. Default: [`Durability::Full`].
    pub durability: Durability,
    /// [`Durability::Interval`]: how long a write may stay in the kernel only. Default 100 ms; 1 ms to 1 minute.
    pub interval: Duration,
    /// How many blocks of each class a worker keeps ready once it used the class, smallest first. Default 10, 10, 10, 5,
    /// 5, 3, 2, 2 (2.6 MiB of the file per worker); at most 1024 each. While more than that are taken at once it keeps
    /// more, up to 16 MiB above the target and 256 blocks; when space is short, none.
    pub pool_targets: [usize; SizeClass::COUNT],
    /// How many requests one worker may have in flight. Default 4096; 16 to 65,536. Each costs some 200 bytes.
    pub credits: usize,
    /// How many puts and deletes of the embedded interface run at once; more wait. As many gets may run beside them, so
    /// that reads do not wait for flushes. Default 16; 1 to 1024.
    pub workers: usize,
    /// How many workers there may be at once, those of ports included. Default 64; twice `workers` to 4096.
    pub max_workers: usize,
    /// How a worker finds a block. Default: [`Lookup::Index`].
    pub lookup: Lookup,
    /// Whether the data file is mapped into memory, so that a port sends blocks without copying them first: address space
    /// of `capacity_bytes`, and no memory of its own. Where the system refuses the map, blocks are copied as with `false`.
    /// Default `true`.
    pub map_data: bool,
    /// Whether content is checked against its name when it is read. Default [`Verify::Never`].
    pub verify: Verify,
    /// Give the storage of released blocks back at once: a system call for each of them, and writing there again may meet a
    /// full disk. Default `false`.
    pub punch_released: bool,
    /// The size of one log segment. Default 16 MiB; 64 KiB to 4 GiB, a multiple of 512.
    pub log_segment_bytes: u64,
    /// Checkpoint after so many changed records, if the interval does not end before. Default 65,536; 1 to 16,777,216. Each
    /// takes some 250 bytes of memory until then, and is replayed at the next open after a crash.
    pub checkpoint_entries: usize,
    /// Checkpoint when the oldest changed record is so old. Default 10 s; 100 ms to 1 hour. It costs two syncs and, in a
    /// large store, the writing of a page of 4 KiB for each record that changed.
    pub checkpoint_interval: Duration,
    /// Address space reserved for the records, sparse on disk; it doubles when used up. Default 64 GiB; at least 1 MiB.
    pub map_bytes: usize,
}

impl Config {
    /// The defaults, for a store in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            capacity_bytes: 64 << 30,
            growth_step_bytes: 64 << 20,
            durability: Durability::Full,
            interval: Duration::from_millis(100),
            pool_targets: [10, 10, 10, 5, 5, 3, 2, 2],
            credits: 4096,
            workers: 16,
            max_workers: 64,
            lookup: Lookup::Index,
            map_data: true,
            verify: Verify::Never,
            punch_released: false,
            log_segment_bytes: 16 << 20,
            checkpoint_entries: 65_536,
            checkpoint_interval: Duration::from_secs(10),
            map_bytes: 64 << 30,
        }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`BlockError::Config`] that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), BlockError> {
        let largest = SizeClass::LARGEST.size_bytes();
        within("capacity_bytes", self.capacity_bytes, largest, 4 << 50)?;
        within("growth_step_bytes", self.growth_step_bytes, largest, 1 << 40)?;
        for (field, got) in [
            ("capacity_bytes", self.capacity_bytes),
            ("growth_step_bytes", self.growth_step_bytes),
        ] {
            if !got.is_multiple_of(largest) {
                let (got, bound) = (got.to_string(), format!("a multiple of {largest}"));
                return Err(BlockError::Config { field, got, bound });
            }
        }
        for target in self.pool_targets {
            within("pool_targets", target as u64, 0, 1024)?;
        }
        within("credits", self.credits as u64, 16, 65_536)?;
        within("workers", self.workers as u64, 1, 1024)?;
        within(
            "max_workers",
            self.max_workers as u64,
            2 * self.workers as u64,
            4096,
        )?;
        within("log_segment_bytes", self.log_segment_bytes, 64 << 10, 4 << 30)?;
        self.table(Vec::new()).validate()
    }

    /// The record table's settings.
    pub(crate) fn table(&self, companions: Vec<Arc<dyn File>>) -> TableConfig {
        let segment_bytes = usize::try_from(self.log_segment_bytes).unwrap_or(usize::MAX);
        // A batch of a thousand records takes 70 KB; a quarter of a segment is room enough at every allowed size.
        let max_batch_bytes = (segment_bytes / 4).clamp(8 << 10, 1 << 20);
        TableConfig {
            log: LogConfig {
                durability: self.durability,
                interval: self.interval,
                segment_bytes: self.log_segment_bytes,
                max_record_bytes: max_batch_bytes,
                max_group_bytes: 2 * max_batch_bytes,
                companions,
                // Opening checks the blocks of the last records against their names.
                verified: true,
                ..LogConfig::default()
            },
            checkpoint_entries: self.checkpoint_entries,
            checkpoint_interval: self.checkpoint_interval,
            // Records of 32 and 24 bytes never reach this before the limit on entries; locks may.
            checkpoint_bytes: self
                .checkpoint_entries
                .saturating_mul(256)
                .clamp(64 << 10, 4 << 30),
            // The longest lock with its header.
            max_value_bytes: crate::MAX_LOCK_BYTES + 64,
            max_batch_bytes,
            map_bytes: self.map_bytes,
            max_map_bytes: self.map_bytes.max(1 << 44),
            max_readers: u32::try_from(self.max_workers + 64).unwrap_or(u32::MAX),
        }
    }
}
