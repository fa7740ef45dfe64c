//! Operations on keys as such: existence, names, times to live, removal.

use crate::{KvError, Store, effect::Effect, error::show, transaction::Transaction, value::Value};
use quintet_core::Result;
use std::time::Duration;

/// How long a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// Until it is removed.
    Never,
    /// So much longer.
    Left(Duration),
}

impl Transaction<'_> {
    /// Moves a value with its time to live; whatever `to` held is gone. `false` = there is no `from`.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool> {
        self.group();
        let Some(slot) = self.slot(from)?.cloned() else {
            return Ok(false);
        };
        if from != to {
            let (expires_ms, value) = (slot.expires_ms(), slot.value);
            self.apply(from, Effect::Delete)?;
            self.apply(to, Effect::Put { value, expires_ms })?;
        }
        Ok(true)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<Option<Value>> {
        let Some(old) = self.value(key)? else {
            return Ok(None);
        };
        self.apply(key, Effect::Delete)?;
        Ok(Some(old))
    }

    /// Removes every key that `goes` picks.
    pub(crate) fn clear(&mut self, mut goes: impl FnMut(&[u8]) -> bool) -> Result<u64> {
        let mut removed = 0;
        for shard in 0..self.inner.table.shards() {
            let mut keys = Vec::new();
            self.walk(shard, &mut |key, _| {
                if goes(key) {
                    keys.push(key.clone());
                }
            });
            for key in keys {
                self.apply(&key, Effect::Delete)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Store {
    /// Whether the key is there.
    ///
    /// # Errors
    /// A failed log.
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get_versioned(key)?.is_some())
    }

    /// Gives a value another name, with its time to live and at one moment. Those who wait for the new name are served.
    ///
    /// # Errors
    /// [`NotFound`](quintet_core::ErrorKind::NotFound) without the old name,
    /// [`AlreadyExists`](quintet_core::ErrorKind::AlreadyExists) with the new one; as [`set`](Self::set).
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let operation = "rename";
        self.change_grouped(&[from, to], |transaction| {
            if transaction.slot(from)?.is_none() {
                return Err(KvError::Missing {
                    operation,
                    key: show(from),
                }
                .into());
            }
            if transaction.slot(to)?.is_some() {
                return Err(KvError::Exists {
                    operation,
                    key: show(to),
                }
                .into());
            }
            transaction.rename(from, to).map(drop)
        })
    }

    /// Has the key expire after `ttl`, to the millisecond; zero = now. A time set before is replaced. The latest moment is
    /// in the year 10889: what would end later ends then.
    ///
    /// # Errors
    /// [`NotFound`](quintet_core::ErrorKind::NotFound); as [`set`](Self::set).
    pub fn expire(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<()> {
        let key = key.as_ref();
        self.change(&[key], |transaction| {
            if transaction.slot(key)?.is_none() {
                return Err(KvError::Missing {
                    operation: "expire",
                    key: show(key),
                }
                .into());
            }
            if ttl.is_zero() {
                return transaction.apply(key, Effect::Delete);
            }
            let at_ms = transaction.now_ms().saturating_add(whole_ms(ttl));
            transaction.apply(key, Effect::Expire { at_ms })
        })
    }

    /// Sets the value with a time to live of its own, or none: unlike [`set`](Self::set), which leaves the time as it is.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_for(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Value>,
        ttl: Option<Duration>,
    ) -> Result<()> {
        let (key, value) = (key.as_ref(), value.into());
        self.change(&[key], |transaction| {
            let at = |ttl: Duration| transaction.now_ms().saturating_add(whole_ms(ttl));
            let expires_ms = ttl.map_or(0, at);
            let value = value.clone();
            transaction.apply(key, Effect::Put { value, expires_ms })
        })
    }

    /// Has the key live until it is removed; whether it had a time to live.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.change(&[key], |transaction| {
            let expires = transaction.slot(key)?.is_some_and(|slot| slot.expires_ms() > 0);
            if expires {
                transaction.apply(key, Effect::Expire { at_ms: 0 })?;
            }
            Ok(expires)
        })
    }

    /// How long the key still lives.
    ///
    /// # Errors
    /// A failed log.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Ttl> {
        let key = key.as_ref();
        self.change(&[key], |transaction| {
            let now = transaction.now_ms();
            Ok(match transaction.slot(key)? {
                None => Ttl::Missing,
                Some(slot) if slot.expires_ms() == 0 => Ttl::Never,
                Some(slot) => Ttl::Left(Duration::from_millis(slot.expires_ms().saturating_sub(now))),
            })
        })
    }

    /// Removes the key and answers what it held. Those who wait for it go on waiting.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let key = key.as_ref();
        self.change(&[key], |transaction| transaction.delete(key))
    }

    /// Removes everything, at one moment. Those who wait go on waiting.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn clear(&self) -> Result<()> {
        let ((), seen) = self
            .inner
            .write_all(|transaction| transaction.clear(|_| true).map(drop))?;
        self.inner.settle(seen)
    }
}

/// Rounded up: a key must not expire early.
fn whole_ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
