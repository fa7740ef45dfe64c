//! What the writer and the readers of one tree share.

use crate::{
    Config, TreeError, View,
    handler::Publication,
    index::{self, Indexes},
    store::{home::Home, lmdb::Lmdb},
    watch::hub::Hub,
};
use quintet_core::Clock;
use std::{
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

pub(crate) struct Inner {
    pub(crate) lmdb: Lmdb,
    pub(crate) config: Config,
    /// What the writer keeps up. Only it changes them.
    indexes: RwLock<Arc<Indexes>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stats: Counters,
    /// Set once, by a tree; a handler alone has no watchers.
    pub(crate) hub: OnceLock<Arc<Hub>>,
    #[cfg(feature = "testing")]
    fail_next_commit: std::sync::Mutex<Option<quintet_core::ErrorKind>>,
    /// After the environment: fields drop in order.
    _home: Home,
}

/// What is counted. Each number is right; together they may be of different moments.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) unindexed_queries: AtomicU64,
    pub(crate) last_seq: AtomicU64,
    pub(crate) poisoned: AtomicBool,
    /// The last commit found no room.
    pub(crate) full: AtomicBool,
}

impl Inner {
    /// Takes the directory and opens what is in it.
    pub(crate) fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, TreeError> {
        config.validate()?;
        let home = Home::take(&config.dir)?;
        let lmdb = Lmdb::open(&config.dir, config.map_bytes, config.max_readers)?;
        let indexes = Indexes::prepare(&config.indexes)?;
        index::bring_up(&lmdb, &config, &indexes)?;
        Ok(Self {
            lmdb,
            indexes: RwLock::new(Arc::new(indexes)),
            config,
            clock,
            stats: Counters::default(),
            hub: OnceLock::new(),
            #[cfg(feature = "testing")]
            fail_next_commit: std::sync::Mutex::default(),
            _home: home,
        })
    }

    /// The indexes that are kept up.
    pub(crate) fn indexes(&self) -> Arc<Indexes> {
        Arc::clone(&self.indexes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Declares other indexes. Called by the writer, between two batches: nothing may be written meanwhile.
    pub(crate) fn reindex(&self, declared: &Indexes) -> Result<(), TreeError> {
        let before = self.indexes();
        let brought_up = index::bring_up(&self.lmdb, &self.config, declared);
        // What the mark names is what readers use: that much is kept up, however it went.
        let marked = self.lmdb.snapshot().and_then(|rows| index::read_built(&rows));
        let kept_up = before.union(declared, &marked?);
        *self.indexes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(kept_up);
        if brought_up.is_err() {
            // What was built in vain takes room. If that fails too, the next one removes it.
            let _cleared = index::clear(&self.lmdb);
        }
        brought_up
    }

    /// The time of day in ms since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads within one snapshot.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, TreeError>,
    ) -> Result<T, TreeError> {
        let snapshot = self.lmdb.snapshot()?;
        read(&View::new(&snapshot, &self.config))
    }

    /// Called by the writer with what it committed; takes it all.
    pub(crate) fn publish(&self, batch: &mut Vec<Publication>) {
        if let Some(last) = batch.last() {
            self.stats.last_seq.store(last.written.seq.0, Ordering::Relaxed);
        }
        match self.hub.get() {
            Some(hub) => hub.publish(batch),
            None => batch.clear(),
        }
    }
}

#[cfg(feature = "testing")]
impl Inner {
    /// Makes the next commit fail.
    pub(crate) fn fail_next_commit(&self, kind: quintet_core::ErrorKind) {
        let mut fail = self
            .fail_next_commit
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *fail = Some(kind);
    }

    /// Whether, and how, this commit is to fail.
    pub(crate) fn told_to_fail(&self) -> Option<quintet_core::ErrorKind> {
        let mut fail = self
            .fail_next_commit
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        fail.take()
    }
}
