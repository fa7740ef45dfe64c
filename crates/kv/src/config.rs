//! How a store is set up. Every limit is here, with its unit, default and range; nothing is clamped silently.

use crate::KvError;
use quintet_core::Durability;
use std::time::Duration;

/// What happens when the memory limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Changes that add something are refused.
    Refuse,
    /// Keys that were not used for long are removed: the oldest of a few picked at random.
    EvictOldest,
}

/// The settings of a store. Made with [`Default`], then changed field by field.
#[derive(Clone, Debug)]
pub struct Config {
    /// What an acknowledged change survives; `None` = memory only. Default [`Durability::Interval`]. Without a directory
    /// it must be `None`.
    pub durability: Option<Durability>,
    /// The interval of [`Durability::Interval`]. Default 100 ms.
    pub interval: Duration,
    /// The largest value that one operation may store, in bytes. Default 64 MiB; 1 KiB to 512 MiB.
    pub max_value_bytes: u64,
    /// How much keys and values may take, roughly, in bytes; 0 = no limit. Default 0.
    pub max_memory_bytes: u64,
    /// What happens then. Default: refuse.
    pub when_full: WhenFull,
    /// How many operations may wait at once. Default 100 000; at least 1.
    pub max_waiters: usize,
    /// Shards of the table, a power of two. Default 256; 2 to 65 536. Each costs 300 bytes.
    pub shards: usize,
    /// Whether changes are refused. Default `false`.
    pub read_only: bool,
    /// Whether a list, hash, set or sorted set that was emptied is removed, as Redis does it. Default `false`: it stays,
    /// empty. Not to be changed for a store that has a log.
    pub drop_empty: bool,
    /// Whether a thread removes keys when they expire and writes snapshots. Default `true`. Without it, call
    /// [`Store::maintain`](crate::Store::maintain); an expired key is gone for every operation either way.
    pub background: bool,
    /// How much log must have collected before a snapshot replaces it, in bytes: this, or as much as keys and values take
    /// if that is more. So a little data does not carry a long log, and writing snapshots costs no more than writing the
    /// log. Counted are the records since the last snapshot, also those of earlier openings. Default 16 MiB; at least 1 MiB.
    pub snapshot_after_bytes: u64,
    /// The size of a log segment, in bytes; see [`quintet_log::LogConfig::segment_bytes`]. Default 65 MiB. It must hold
    /// the largest value. On the disk are at most the segments that hold the log since the last snapshot, and two more: a
    /// segment is given back as a whole, and one is made ahead of need.
    pub segment_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Some(Durability::Interval),
            interval: Duration::from_millis(100),
            max_value_bytes: 64 << 20,
            max_memory_bytes: 0,
            when_full: WhenFull::Refuse,
            max_waiters: 100_000,
            shards: 256,
            read_only: false,
            drop_empty: false,
            background: true,
            snapshot_after_bytes: 16 << 20,
            segment_bytes: 65 << 20,
        }
    }
}

impl Config {
    /// A store without a log: nothing survives the process.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            durability: None,
            ..Self::default()
        }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`KvError::Config`] that names the field and its bound.
    pub fn validate(&self) -> Result<(), KvError> {
        let check = |field, value: u64, fits: bool, bound| {
            if fits {
                return Ok(());
            }
            let value = value.to_string();
            Err(KvError::Config { field, value, bound })
        };
        let value = self.max_value_bytes;
        check(
            "max_value_bytes",
            value,
            (1 << 10..=512 << 20).contains(&value),
            "1024 to 536870912",
        )?;
        let shards = self.shards as u64;
        let fits = (2..=1 << 16).contains(&shards) && shards.is_power_of_two();
        check("shards", shards, fits, "a power of two from 2 to 65536")?;
        check(
            "max_waiters",
            self.max_waiters as u64,
            self.max_waiters > 0,
            "at least 1",
        )?;
        let after = self.snapshot_after_bytes;
        check(
            "snapshot_after_bytes",
            after,
            after >= 1 << 20,
            "at least 1048576",
        )?;
        let segment = self.segment_bytes;
        let fits = self.durability.is_none() || segment >= value + (64 << 10);
        check(
            "segment_bytes",
            segment,
            fits,
            "at least max_value_bytes and 64 KiB more",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_the_field_out_of_range_is_named() {
        Config::default().validate().unwrap();
        Config::memory().validate().unwrap();
        let refused = |config: Config| config.validate().unwrap_err().to_string();
        let base = Config::memory;
        assert!(refused(Config { shards: 3, ..base() }).contains("shards = 3"));
        assert!(
            refused(Config {
                max_value_bytes: 1,
                ..base()
            })
            .contains("max_value_bytes = 1")
        );
        assert!(
            refused(Config {
                segment_bytes: 4096,
                ..Config::default()
            })
            .contains("segment_bytes = 4096")
        );
    }
}
