//! [`Store`]: the handle that everybody holds. Clones share one store; the last one to go ends its thread and its log.

use crate::{
    Config, KvError, Value, WhenFull, background,
    inner::Inner,
    persist,
    table::{Table, find},
    transaction::Transaction,
};
use quintet_core::{Budget, Clock, Deadline, Result, SystemClock};
use quintet_log::{Claim, Directory, LogStats, Recovery};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// A shared table of values under byte-string keys. All methods take `&self` and may be called from any thread;
/// operations on one key happen one after another, those on different keys at once.
///
/// An answer leaves when what it reports is as durable as configured, reads included: at level full, a read of a value
/// that is being flushed waits for the flush.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    _life: Arc<background::Life>,
}

impl Store {
    /// Opens or creates a store in a directory, which it has for itself until the last handle goes; read-only stores share
    /// it with each other. Reads its snapshot and log.
    ///
    /// # Errors
    /// [`Unavailable`](quintet_core::ErrorKind::Unavailable) when another store, of this process or another, has it;
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) for a setting out of range,
    /// [`Corrupted`](quintet_core::ErrorKind::Corrupted) for damage, what the directory answers.
    pub fn open(config: Config, directory: Arc<dyn Directory>, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let Some(durability) = config.durability else {
            let value = "None".to_owned();
            let bound = "a store in a directory has a level; use Store::in_memory_with";
            return Err(KvError::Config {
                field: "durability",
                value,
                bound,
            }
            .into());
        };
        let claim = directory.claim(if config.read_only {
            Claim::Readers
        } else {
            Claim::Alone
        })?;
        let table = Table::new(config.shards, config.when_full == WhenFull::EvictOldest);
        let opened = persist::open(&config, durability, &table, &directory, &clock)?;
        let inner = Inner::new(config, table, opened, Some((directory, claim)), clock);
        inner.arm_all();
        Self::start(inner)
    }

    /// An empty store without a log, with the default limits and the system's clock.
    ///
    /// # Panics
    /// When no thread can be started.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the defaults are in range; a system without threads runs nothing"
    )]
    pub fn in_memory() -> Self {
        Self::in_memory_with(Config::memory(), Arc::new(SystemClock)).expect("a thread")
    }

    /// An empty store without a log.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) for a setting out of range.
    pub fn in_memory_with(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        if config.durability.is_some() {
            let (field, value) = ("durability", "a level".to_owned());
            return Err(KvError::Config {
                field,
                value,
                bound: "a store in memory has none",
            }
            .into());
        }
        let table = Table::new(config.shards, config.when_full == WhenFull::EvictOldest);
        Self::start(Inner::new(config, table, persist::Opened::default(), None, clock))
    }

    fn start(inner: Inner) -> Result<Self> {
        let inner = Arc::new(inner);
        let life = background::start(&inner)?;
        Ok(Self {
            inner,
            _life: Arc::new(life),
        })
    }

    /// Removes keys that have expired, at most `budget` of them, and writes a snapshot if the log has become long. What
    /// the store's thread does by itself, for stores without one. Answers when it next wants to run.
    ///
    /// # Errors
    /// A failed log.
    pub fn maintain(&self, budget: Budget) -> Result<Option<Deadline>> {
        background::maintain(&self.inner, budget.items.get(), || self.snapshot())
    }

    /// Returns when every change so far is on stable storage, whatever the level. Nothing to do in memory.
    ///
    /// # Errors
    /// What the log answers.
    pub fn sync(&self) -> Result<()> {
        self.inner.log.as_ref().map_or(Ok(()), |log| log.sync().map(drop))
    }

    /// Flushes everything and ends the log: later changes are refused. Dropping the last handle does the same, but
    /// cannot say how it went.
    ///
    /// # Errors
    /// What the log answers.
    pub fn close(&self) -> Result<()> {
        self.inner.log.as_ref().map_or(Ok(()), quintet_log::Log::close)
    }

    /// Returns when every change so far is as durable as configured: what an operation that blocks does before it answers.
    ///
    /// # Errors
    /// What the log answers.
    pub fn settle(&self) -> Result<()> {
        self.settle_all()
    }

    /// Whether changes are taken, as far as is known without making one. Two atomic loads.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned) when the log has failed.
    pub fn health(&self) -> Result<()> {
        self.inner
            .log
            .as_ref()
            .map_or(Ok(()), |log| log.durable().map(drop))
    }

    /// What opening the log found: all zeros in memory.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.inner.recovery
    }

    /// What the log has done since; `None` in memory.
    #[must_use]
    pub fn log_stats(&self) -> Option<LogStats> {
        self.inner.log.as_ref().map(quintet_log::Log::stats)
    }

    /// What keys and values take in memory, roughly, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.inner.table.bytes()
    }

    /// How many operations wait: have looked, and have their places in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.in_line.load(Relaxed)
    }

    /// Makes the next commit of a [`KvHandler`](crate::KvHandler) on this store fail as if space had run out.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&self) {
        self.inner.fail_next.store(true, Relaxed);
    }

    /// A value, however durable, and in `seen` its version. The usual case takes a shared lock on the key's shard, and makes
    /// the value where the caller wants it: moving it costs as much as finding it.
    #[inline]
    pub(crate) fn peek(&self, key: &[u8], seen: &mut u64) -> Result<Option<Value>> {
        let inner = &*self.inner;
        let hash = inner.table.hash(key);
        let shard = inner.table.shard_of(hash);
        {
            let raw = inner.table.read(shard);
            let Some(slot) = find(&raw, hash, key) else {
                return Ok(None);
            };
            let expires_ms = slot.expires_ms();
            if expires_ms == 0 || expires_ms > inner.coarse_ms() {
                if inner.evicts {
                    inner.table.side(shard).touch(slot.at, inner.stamp());
                }
                *seen = slot.version();
                return Ok(Some(slot.value.clone()));
            }
        }
        self.peek_expired(key, seen)
    }

    /// Removed, and logged as removed, unless somebody was faster.
    #[cold]
    fn peek_expired(&self, key: &[u8], seen: &mut u64) -> Result<Option<Value>> {
        let (found, _) = self.inner.write(&[key], false, |transaction| {
            Ok(transaction.slot(key)?.map(|slot| {
                *seen = slot.version();
                slot.value.clone()
            }))
        })?;
        Ok(found)
    }

    /// A change of one key that has one effect at most.
    pub(crate) fn change<R>(
        &self,
        keys: &[&[u8]],
        change: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        let (result, seen) = self.inner.write(keys, false, change)?;
        self.inner.settle(seen)?;
        Ok(result)
    }

    /// A change of several keys, all or none.
    pub(crate) fn change_grouped<R>(
        &self,
        keys: &[&[u8]],
        change: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        let (result, seen) = self.inner.write(keys, true, change)?;
        self.inner.settle(seen)?;
        Ok(result)
    }

    /// Returns when everything so far is as durable as configured.
    pub(crate) fn settle_all(&self) -> Result<()> {
        let last = self.inner.log.as_ref().map_or(0, |log| log.last().0);
        self.inner.settle(last)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("config", &self.inner.config)
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}
