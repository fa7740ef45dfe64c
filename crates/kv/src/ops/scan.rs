//! Walking over all keys, a shard at a time. No lock is held while anything of the caller's runs.

use crate::{
    Store,
    effect::Slot,
    table::{Raw, Table, entry_at},
    value::{Bytes, Value},
};
use quintet_core::Result;

/// A walk over a part of the keys: where it stands, and how much it may still look at.
pub(crate) struct Scan {
    pub(crate) shard: usize,
    below: usize,
    left: usize,
}

impl Scan {
    pub(crate) fn from(cursor: u64, count: usize) -> Self {
        let (shard, below) = match cursor {
            0 => (0, usize::MAX),
            cursor => (
                (cursor >> 32) as usize - usize::from(cursor >> 32 > 0),
                (cursor as u32) as usize,
            ),
        };
        Self {
            shard,
            below,
            left: count.max(1),
        }
    }

    /// Looks at the shard, from the last place to the first: a removed key's place is taken by the last one. Answers the
    /// cursor when it has looked at enough; goes on to the next shard otherwise.
    pub(crate) fn step(
        &mut self,
        table: &Table,
        raw: &Raw,
        look: &mut dyn FnMut(&Bytes, &Slot),
    ) -> Option<u64> {
        let index = table.side(self.shard).index();
        self.below = self.below.min(index.len());
        while self.below > 0 && self.left > 0 {
            self.below -= 1;
            self.left -= 1;
            if let Some((key, slot)) = entry_at(raw, index[self.below], self.below) {
                look(key, slot);
            }
        }
        if self.below > 0 {
            return Some((self.shard as u64 + 1) << 32 | self.below as u64);
        }
        self.shard += 1;
        self.below = usize::MAX;
        (self.left == 0 && self.shard < table.shards())
            .then(|| (self.shard as u64 + 1) << 32 | u64::from(u32::MAX))
    }
}

impl Store {
    /// Every key, in no order. Not one moment: a shard at a time.
    #[must_use]
    pub fn keys(&self) -> Vec<Bytes> {
        let mut keys = Vec::new();
        for shard in 0..self.inner.table.shards() {
            self.visit(shard, |key, _, _| keys.push(key.clone()));
        }
        keys
    }

    /// Some keys, and the cursor for the next ones; 0 begins, and 0 again ends. A key that is there from beginning to end
    /// is found; one that comes or goes meanwhile may be. Looks at `count` keys at least, unless it ends first.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Bytes>) {
        let table = &self.inner.table;
        let now = self.inner.coarse_ms();
        let mut keys = Vec::new();
        let mut walk = Scan::from(cursor, count);
        while walk.shard < table.shards() {
            let raw = table.read(walk.shard);
            let goes_on = walk.step(table, &raw, &mut |key, slot| {
                if slot.expires_ms() == 0 || slot.expires_ms() > now {
                    keys.push(key.clone());
                }
            });
            if let Some(cursor) = goes_on {
                return (cursor, keys);
            }
        }
        (0, keys)
    }

    /// What `pick` makes of the entries, at most `max` of it, in no order. `pick` runs without locks: it may use the store.
    ///
    /// # Errors
    /// A failed log.
    pub fn select<T>(&self, max: usize, mut pick: impl FnMut(&[u8], &Value) -> Option<T>) -> Result<Vec<T>> {
        let mut picked = Vec::new();
        for shard in 0..self.inner.table.shards() {
            let mut entries = Vec::new();
            let mut newest = 0;
            self.visit(shard, |key, value, version| {
                newest = newest.max(version);
                entries.push((key.clone(), value.clone()));
            });
            self.inner.settle(newest)?;
            for (key, value) in entries {
                if picked.len() == max {
                    return Ok(picked);
                }
                picked.extend(pick(&key, &value));
            }
        }
        Ok(picked)
    }

    /// How many entries `pick` says yes to.
    ///
    /// # Errors
    /// A failed log.
    pub fn count(&self, mut pick: impl FnMut(&[u8], &Value) -> bool) -> Result<usize> {
        let mut count = 0;
        self.select(usize::MAX, |key, value| {
            count += usize::from(pick(key, value));
            None::<()>
        })?;
        Ok(count)
    }

    /// How many keys there are; expired ones that nobody has met yet, at most 10 ms old, may be counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at a shard's live entries under its read lock.
    fn visit(&self, shard: usize, mut look: impl FnMut(&Bytes, &Value, u64)) {
        let now = self.inner.coarse_ms();
        let table = &self.inner.table;
        table.walk(&table.read(shard), shard, &mut |key, slot| {
            if slot.expires_ms() == 0 || slot.expires_ms() > now {
                look(key, &slot.value, slot.version());
            }
        });
    }
}
