//! Walks over all keys from inside a transaction: with all locks held at one moment, or with none a shard at a time.

use super::Transaction;
#[cfg(feature = "port")]
use crate::table::{Raw, entry_at};
use crate::{effect::Slot, value::Bytes};

impl Transaction<'_> {
    /// Every slot, expired ones included. Shards that are not locked are read-locked one after another: call it with all
    /// locks, or with none.
    #[cfg(feature = "port")]
    pub(crate) fn each(&self, mut look: impl FnMut(&Bytes, &Slot)) {
        let table = &self.inner.table;
        for shard in 0..table.shards() {
            self.walk(shard, &mut look);
        }
    }

    /// The same for one shard.
    pub(crate) fn walk(&self, shard: usize, look: &mut dyn FnMut(&Bytes, &Slot)) {
        let table = &self.inner.table;
        match self.held.guard(shard) {
            Some(raw) => table.walk(raw, shard, look),
            None => table.walk(&table.read(shard), shard, look),
        }
    }

    /// The same for a part of the keys; see [`Store::scan`](crate::Store::scan). Answers where to go on.
    #[cfg(feature = "port")]
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut look: impl FnMut(&Bytes, &Slot)) -> u64 {
        let table = &self.inner.table;
        let mut walk = crate::ops::Scan::from(cursor, count);
        while walk.shard < table.shards() {
            let goes_on = match self.held.guard(walk.shard) {
                Some(raw) => walk.step(table, raw, &mut look),
                None => walk.step(table, &table.read(walk.shard), &mut look),
            };
            if let Some(cursor) = goes_on {
                return cursor;
            }
        }
        0
    }

    /// When the key at this place of its shard was last used, in the store's own coarse time.
    #[cfg(feature = "port")]
    pub(crate) fn used(&self, key: &[u8], at: u32) -> u32 {
        let table = &self.inner.table;
        table.side(table.shard_of(table.hash(key))).used(at)
    }

    /// A live key picked at random; `None` when the pick hit nothing.
    #[cfg(feature = "port")]
    pub(crate) fn any_key(&mut self) -> Option<Bytes> {
        let (inner, now) = (self.inner, self.now_ms());
        let table = &inner.table;
        let shard = inner.random() as usize % table.shards();
        let pick = |raw: &Raw| {
            let index = table.side(shard).index();
            let at = inner.random() as usize % index.len().max(1);
            let (key, slot) = entry_at(raw, *index.get(at)?, at)?;
            (slot.expires_ms() == 0 || slot.expires_ms() > now).then(|| key.clone())
        };
        match self.held.guard(shard) {
            Some(raw) => pick(raw),
            None => pick(&table.read(shard)),
        }
    }
}
