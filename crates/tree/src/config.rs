//! How a tree is set up. Every limit is here, with its unit, default and range; nothing is clamped silently.

use crate::{Index, MAX_PATH_DEPTH, NameRules, TreeError, pool::PoolConfig};
use quintet_core::Durability;
use std::{path::PathBuf, time::Duration};

/// How many indexes a tree may have.
pub(crate) const MAX_INDEXES: usize = 1000;

/// The settings of a [`Tree`](crate::Tree). Checked by [`validate`](Self::validate) at open.
///
/// ```
/// use quintet_tree::Config;
/// let config = Config { max_depth: 0, ..Config::new("/tmp/tree") };
/// assert_eq!(config.validate().unwrap_err().to_string(), "configuration field `max_depth` is 0, it must be 1 to 120");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The tree's directory, created if it is not there. One open tree at a time.
    pub dir: PathBuf,
    /// What an acknowledged write survives. Default: [`Durability::Full`]. Every level syncs before the reply: LMDB is
    /// the only store, and it is never opened in a way that could lose the tree.
    pub durability: Durability,
    /// Which names are taken. Default: [`NameRules::Firebase`].
    pub names: NameRules,
    /// Address space reserved for the tree, sparse on disk: the most it can ever hold. Default 1 TiB; 1 MiB to 64 TiB.
    pub map_bytes: usize,
    /// How many reads may be going on at once. Default 1024; 16 to 65,536. Each takes 64 bytes.
    pub max_readers: u32,
    /// How many levels the tree may have. Default 120; 1 to 120.
    pub max_depth: usize,
    /// The longest text. Default 10 MiB; 1 KiB to 1 GiB.
    pub max_text_bytes: usize,
    /// The most that one write may store, paths included. Default 64 MiB; 1 KiB to 4 GiB.
    pub max_write_bytes: u64,
    /// How many places one update may change. Default 10,000; 1 to 1,000,000.
    pub max_update_paths: usize,
    /// The most that one read may answer, paths included. Default 256 MiB; 1 KiB to 16 GiB.
    pub max_read_bytes: u64,
    /// How many rows a query may look at without an index. Default 100,000; 1 to 2^32.
    pub max_unindexed_rows: u64,
    /// Declared indexes; what changed since they were last declared is built at open. [`Tree::reindex`](crate::Tree::reindex)
    /// changes them later. Default none; at most 1000.
    pub indexes: Vec<Index>,
    /// How many writes may wait for the writer. Default 4096; 16 to 65,536.
    pub credits: usize,
    /// How large all documents that wait for the writer may be together. Default 256 MiB; 1 MiB to 64 GiB.
    pub max_waiting_bytes: u64,
    /// The least time between two commits. Default 0; at most 1 s.
    pub commit_spacing: Duration,
    /// How many watches there may be. Default 100,000; 0 to 10,000,000.
    pub max_watches: usize,
    /// How many events may wait for one watcher before it must read again. Default 256; 1 to 65,536.
    pub watch_queue_events: usize,
    /// How many of the last writes are kept in memory so that watchers can resume. Default 10,000; 0 to 10,000,000.
    pub retained_writes: usize,
    /// How large those may be together. Default 64 MiB; 0 to 16 GiB.
    pub retained_bytes: u64,
    /// The workers that read for callers who must not block.
    pub pool: PoolConfig,
}

impl Config {
    /// The defaults, for a tree in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Full,
            names: NameRules::Firebase,
            map_bytes: 1 << 40,
            max_readers: 1024,
            max_depth: MAX_PATH_DEPTH,
            max_text_bytes: 10 << 20,
            max_write_bytes: 64 << 20,
            max_update_paths: 10_000,
            max_read_bytes: 256 << 20,
            max_unindexed_rows: 100_000,
            indexes: Vec::new(),
            credits: 4096,
            max_waiting_bytes: 256 << 20,
            commit_spacing: Duration::ZERO,
            max_watches: 100_000,
            watch_queue_events: 256,
            retained_writes: 10_000,
            retained_bytes: 64 << 20,
            pool: PoolConfig::default(),
        }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`TreeError::Config`] that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), TreeError> {
        within("map_bytes", self.map_bytes as u64, 1 << 20, 64 << 40)?;
        within("max_readers", u64::from(self.max_readers), 16, 65_536)?;
        within("max_depth", self.max_depth as u64, 1, MAX_PATH_DEPTH as u64)?;
        within("max_text_bytes", self.max_text_bytes as u64, 1 << 10, 1 << 30)?;
        within("max_write_bytes", self.max_write_bytes, 1 << 10, 4 << 30)?;
        within("max_update_paths", self.max_update_paths as u64, 1, 1_000_000)?;
        within("max_read_bytes", self.max_read_bytes, 1 << 10, 16 << 30)?;
        within("max_unindexed_rows", self.max_unindexed_rows, 1, 1 << 32)?;
        within("indexes", self.indexes.len() as u64, 0, MAX_INDEXES as u64)?;
        within("credits", self.credits as u64, 16, 65_536)?;
        within("max_waiting_bytes", self.max_waiting_bytes, 1 << 20, 64 << 30)?;
        let spacing_ms = u64::try_from(self.commit_spacing.as_millis()).unwrap_or(u64::MAX);
        within("commit_spacing", spacing_ms, 0, 1000)?;
        within("max_watches", self.max_watches as u64, 0, 10_000_000)?;
        within("watch_queue_events", self.watch_queue_events as u64, 1, 65_536)?;
        within("retained_writes", self.retained_writes as u64, 0, 10_000_000)?;
        within("retained_bytes", self.retained_bytes, 0, 16 << 30)?;
        self.pool.validate()
    }
}

/// Refuses a number that is out of its range.
pub(crate) fn within(field: &'static str, got: u64, min: u64, max: u64) -> Result<(), TreeError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(TreeError::Config {
        field,
        got: got.to_string(),
        bound: format!("{min} to {max}"),
    })
}
