//! Walking over all keys, a shard at a time. No lock is held while anything of the caller's runs.

use crate::{
    Store,
    table::find,
    value::{Bytes, Value},
};
use quintet_core::Result;

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
        let (mut shard, mut below) = match cursor {
            0 => (0, usize::MAX),
            cursor => (
                (cursor >> 32) as usize - usize::from(cursor >> 32 > 0),
                (cursor as u32) as usize,
            ),
        };
        let now = self.inner.wall_ms();
        let (mut keys, mut seen) = (Vec::new(), 0);
        while shard < table.shards() {
            let raw = table.read(shard);
            let index = table.side(shard).index();
            below = below.min(index.len());
            // From the last place to the first: a removed key's place is taken by the last one.
            while below > 0 && seen < count.max(1) {
                below -= 1;
                seen += 1;
                let key = &index[below];
                let is_live = find(&raw, table.hash(key), key)
                    .is_some_and(|slot| slot.expires_ms == 0 || slot.expires_ms > now);
                if is_live {
                    keys.push(key.clone());
                }
            }
            if below > 0 {
                return ((shard as u64 + 1) << 32 | below as u64, keys);
            }
            shard += 1;
            below = usize::MAX;
            if seen >= count.max(1) && shard < table.shards() {
                return ((shard as u64 + 1) << 32 | u64::from(u32::MAX), keys);
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
        let table = &self.inner.table;
        let now = self.inner.wall_ms();
        let raw = table.read(shard);
        let index = table.side(shard).index();
        for key in index.iter() {
            if let Some(slot) = find(&raw, table.hash(key), key)
                && (slot.expires_ms == 0 || slot.expires_ms > now)
            {
                look(key, &slot.value, slot.version);
            }
        }
    }
}
