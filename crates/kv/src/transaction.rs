//! [`Transaction`]: some shards, locked in ascending order, and what was done to their keys. Every change of the store is
//! made in one; docs/adr/0007-kv-atomicity.md says why.
//!
//! A transaction of one effect logs it before it is applied, so that a refused record leaves no trace. A *grouped* one
//! applies as it goes, remembers what was there, and logs one record at its end; if that or anything else fails, all of it
//! is undone under the same locks. Waiters are served before the locks go, and woken after.

mod serve;
mod walk;

use crate::{
    KvError,
    effect::{self, Effect, Slot},
    inner::Inner,
    persist,
    table::{Raw, Table, WriteGuard, find},
    value::{Bytes, Value},
    wait::{Mailbox, Shared},
};
use quintet_core::Result;

/// The locks that a transaction holds.
enum Held<'a> {
    One(usize, WriteGuard<'a>),
    /// Ascending by shard.
    Many(Vec<(usize, WriteGuard<'a>)>),
}

impl<'a> Held<'a> {
    fn guard(&self, shard: usize) -> Option<&WriteGuard<'a>> {
        match self {
            Self::One(held, guard) => (*held == shard).then_some(guard),
            Self::Many(guards) => {
                let at = guards.binary_search_by_key(&shard, |(held, _)| *held).ok()?;
                Some(&guards[at].1)
            }
        }
    }
}

/// Why a key's waiters are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Changed,
    /// One of them was told to look again and did not take what is there.
    Untaken,
}

pub(crate) struct Transaction<'a> {
    pub(crate) inner: &'a Inner,
    held: Held<'a>,
    now_ms: Option<u64>,
    grouped: bool,
    record: Vec<u8>,
    undo: Vec<(Bytes, Option<Slot>)>,
    touched: Vec<(Bytes, Touch)>,
    woken: Vec<Shared<Mailbox>>,
    /// The newest version that this transaction saw or made: what its answer must wait for.
    seen: u64,
}

/// What is left to do when the locks are gone.
#[must_use]
pub(crate) struct Outcome {
    pub(crate) woken: Vec<Shared<Mailbox>>,
    pub(crate) seen: u64,
}

impl<'a> Transaction<'a> {
    /// Locks what the keys need.
    pub(crate) fn begin(inner: &'a Inner, keys: &[&[u8]], grouped: bool) -> Self {
        let table = &inner.table;
        let held = if let [key] = keys {
            let shard = table.shard_of(table.hash(key));
            Held::One(shard, table.write(shard))
        } else {
            let mut shards: Vec<_> = keys.iter().map(|key| table.shard_of(table.hash(key))).collect();
            shards.sort_unstable();
            shards.dedup();
            Held::Many(
                shards
                    .into_iter()
                    .map(|shard| (shard, table.write(shard)))
                    .collect(),
            )
        };
        Self::over(inner, held, grouped)
    }

    /// Locks everything.
    pub(crate) fn begin_all(inner: &'a Inner) -> Self {
        let shards = 0..inner.table.shards();
        let held = Held::Many(shards.map(|shard| (shard, inner.table.write(shard))).collect());
        Self::over(inner, held, true)
    }

    fn over(inner: &'a Inner, held: Held<'a>, grouped: bool) -> Self {
        Self {
            inner,
            held,
            now_ms: None,
            grouped,
            record: Vec::new(),
            undo: Vec::new(),
            touched: Vec::new(),
            woken: Vec::new(),
            seen: 0,
        }
    }

    /// From here on several effects are one: for operations that turn out to need more than one.
    pub(crate) fn group(&mut self) {
        if !self.grouped {
            // What is in it was an effect of its own, and is logged.
            self.record.clear();
            self.grouped = true;
        }
    }

    /// The time of this transaction, in milliseconds since 1970: one moment, however long it takes.
    pub(crate) fn now_ms(&mut self) -> u64 {
        *self.now_ms.get_or_insert_with(|| self.inner.wall_ms())
    }

    fn guard_mut(&mut self, shard: usize) -> Result<&mut WriteGuard<'a>> {
        let guard = match &mut self.held {
            Held::One(held, guard) => (*held == shard).then_some(guard),
            Held::Many(guards) => match guards.binary_search_by_key(&shard, |(held, _)| *held) {
                Ok(at) => Some(&mut guards[at].1),
                Err(_) => None,
            },
        };
        guard.ok_or_else(|| {
            let reason = "a key was named that the operation did not lock".to_owned();
            KvError::Argument {
                operation: "transaction",
                reason,
            }
            .into()
        })
    }

    /// A key's state. One that has expired is removed first, and logged as removed.
    pub(crate) fn slot(&mut self, key: &[u8]) -> Result<Option<&Slot>> {
        let hash = self.inner.table.hash(key);
        let shard = self.inner.table.shard_of(hash);
        let expires_ms = self
            .held
            .guard(shard)
            .and_then(|guard| find(guard, hash, key))
            .map_or(0, |slot| slot.expires_ms());
        if expires_ms > 0 && self.inner.config.read_only {
            if expires_ms <= self.inner.coarse_ms() {
                return Ok(None);
            }
        } else if expires_ms > 0 && !self.inner.is_ahead(expires_ms) && expires_ms <= self.now_ms() {
            self.apply(key, Effect::Delete)?;
            return Ok(None);
        }
        let slot = self.held.guard(shard).and_then(|guard| find(guard, hash, key));
        if let Some(slot) = slot {
            self.seen = self.seen.max(slot.version());
            if self.inner.evicts {
                self.inner.table.side(shard).touch(slot.at, self.inner.stamp());
            }
        }
        Ok(slot)
    }

    /// A key's value, shared.
    pub(crate) fn value(&mut self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.slot(key)?.map(|slot| slot.value.clone()))
    }

    /// Does one effect: checks the limits, logs it or collects it for the log, applies it.
    pub(crate) fn apply(&mut self, key: &[u8], effect: Effect) -> Result<()> {
        self.inner.admit(&effect)?;
        let logs = self.inner.log.is_some();
        let mut version = 0;
        if logs {
            if !self.grouped {
                self.record.clear();
            }
            if self.record.is_empty() {
                self.record.push(persist::RECORD_VERSION);
            }
            let before = self.record.len();
            if let Err(error) = persist::put_effect(&mut self.record, key, &effect) {
                self.record.truncate(before);
                return Err(error.into());
            }
            if !self.grouped {
                version = self.inner.append(&self.record)?;
            }
        }
        self.apply_logged(key, effect, version)
    }

    fn apply_logged(&mut self, key: &[u8], effect: Effect, version: u64) -> Result<()> {
        let inner = self.inner;
        let table = &inner.table;
        let hash = table.hash(key);
        let shard = table.shard_of(hash);
        let side = table.side(shard);
        let (grouped, drops) = (self.grouped, inner.config.drop_empty);
        let version = if inner.log.is_some() {
            version
        } else {
            side.next_version()
        };
        let guard = self.guard_mut(shard)?;
        let before = if grouped {
            Some(find(guard, hash, key).cloned())
        } else {
            None
        };
        let arms = matches!(effect, Effect::Put { .. } | Effect::Expire { .. });
        let state = play(table, guard, (shard, hash, key), effect, version, drops);
        if inner.evicts
            && state.is_some()
            && let Some(slot) = find(guard, hash, key)
        {
            // Or a key that nobody has read yet would be the first to go.
            side.touch(slot.at, inner.stamp());
        }
        if let Some(before) = before {
            self.undo.push((key.into(), before));
        }
        self.seen = self.seen.max(version);
        if arms
            && let Some(expires_ms) = state
            && expires_ms > 0
        {
            inner.arm(key, expires_ms);
        }
        if !side.line.is_empty() {
            self.touched.push((key.into(), Touch::Changed));
        }
        Ok(())
    }

    /// Ends the transaction: logs a group, serves the waiters of what was touched, lets the locks go.
    ///
    /// # Errors
    /// What the log answers; a group is undone then.
    pub(crate) fn finish(mut self) -> Result<Outcome> {
        if self.grouped && !self.undo.is_empty() && self.inner.log.is_some() {
            match self.inner.append(&self.record) {
                Ok(version) => self.stamp(version)?,
                Err(error) => {
                    self.roll_back()?;
                    return Err(error);
                }
            }
        }
        self.grouped = false;
        self.serve();
        Ok(Outcome {
            woken: std::mem::take(&mut self.woken),
            seen: self.seen,
        })
    }

    /// Ends the transaction as if it had never begun. What an ungrouped one has logged stays.
    pub(crate) fn abort(mut self) -> Result<()> {
        self.roll_back()
    }

    fn stamp(&mut self, version: u64) -> Result<()> {
        let table = &self.inner.table;
        let keys: Vec<_> = self.undo.drain(..).map(|(key, _)| key).collect();
        for key in keys {
            let hash = table.hash(&key);
            let shard = table.shard_of(hash);
            let guard = self.guard_mut(shard)?;
            table.change(guard, shard, hash, &key, |slot| slot.set_version(version));
        }
        self.seen = self.seen.max(version);
        Ok(())
    }

    /// How far a group has come, to go back to.
    #[cfg(feature = "port")]
    pub(crate) fn mark(&self) -> (usize, usize, usize) {
        (self.undo.len(), self.record.len(), self.touched.len())
    }

    /// Undoes what a group did since then.
    #[cfg(feature = "port")]
    pub(crate) fn roll_back_to(&mut self, (undo, record, touched): (usize, usize, usize)) -> Result<()> {
        self.record.truncate(record);
        self.touched.truncate(touched);
        let later = self.undo.split_off(undo.min(self.undo.len()));
        self.restore(later)
    }

    fn roll_back(&mut self) -> Result<()> {
        let undo = std::mem::take(&mut self.undo);
        self.touched.clear();
        self.restore(undo)
    }

    fn restore(&mut self, undo: Vec<(Bytes, Option<Slot>)>) -> Result<()> {
        let table = &self.inner.table;
        for (key, before) in undo.into_iter().rev() {
            let hash = table.hash(&key);
            let shard = table.shard_of(hash);
            let guard = self.guard_mut(shard)?;
            match before {
                Some(slot) => drop(table.insert(guard, shard, hash, &key, slot)),
                None => drop(table.remove(guard, shard, hash, &key)),
            }
        }
        Ok(())
    }
}

/// Does an effect in the table, live and in replay alike. Answers when the key expires now; `None` = it is not there.
pub(crate) fn play(
    table: &Table,
    raw: &mut Raw,
    (shard, hash, key): (usize, u64, &[u8]),
    effect: Effect,
    version: u64,
    drops_empty: bool,
) -> Option<u64> {
    if matches!(effect, Effect::Delete) {
        table.remove(raw, shard, hash, key);
        return None;
    }
    let may_empty = drops_empty && !matches!(effect, Effect::Put { .. } | Effect::Expire { .. });
    let mut effect = Some(effect);
    let changed = table.change(raw, shard, hash, key, |slot| {
        if let Some(effect) = effect.take() {
            effect::change(slot, effect);
        }
        slot.set_version(version);
        (slot.expires_ms(), may_empty && slot.value.is_empty())
    });
    match (changed, effect) {
        (Some((_, true)), _) => {
            table.remove(raw, shard, hash, key);
            None
        }
        (Some((expires_ms, false)), _) => Some(expires_ms),
        (None, Some(effect)) => {
            let mut slot = Slot::new(Value::Null, version, 0);
            effect::change(&mut slot, effect);
            if may_empty && slot.value.is_empty() {
                return None;
            }
            let expires_ms = slot.expires_ms();
            table.insert(raw, shard, hash, &key.into(), slot);
            Some(expires_ms)
        }
        (None, None) => None,
    }
}
