//! [`Table`]: the shards of a DashMap, and beside each what belongs to its keys: an index of them, their waiters, counters.
//!
//! Everything of a shard is changed under the shard's write lock only. Several shards are locked in ascending order, by
//! [`Transaction`](crate::transaction::Transaction) alone. The index makes "any key" and a scan that misses nothing cheap:
//! a removed key's place is taken by the last one, and scans walk from the last place to the first.

use crate::{
    effect::Slot,
    value::{Bytes, Value},
    wait::Line,
};
use dashmap::{DashMap, RwLockReadGuard, RwLockWriteGuard, SharedValue};
use foldhash::fast::RandomState;
use hashbrown::raw::RawTable;
use std::{
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

pub(crate) type Raw = RawTable<(Bytes, SharedValue<Slot>)>;
pub(crate) type WriteGuard<'a> = RwLockWriteGuard<'a, Raw>;
pub(crate) type ReadGuard<'a> = RwLockReadGuard<'a, Raw>;

/// What stands beside a shard. The numbers are written under its write lock only.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Side {
    /// Who waits for its keys or watches them: most changes need not look further.
    pub(crate) line: Line,
    /// The last version given out, without a log.
    pub(crate) version: AtomicU64,
    /// What keys and values take, roughly.
    pub(crate) bytes: AtomicU64,
    /// How many keys begin with each of the bytes that name a database behind the port.
    databases: [AtomicU32; 16],
    /// The hash of the key at each place: with the place, enough to find it.
    index: Mutex<Vec<u64>>,
}

impl Side {
    pub(crate) fn index(&self) -> MutexGuard<'_, Vec<u64>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_version(&self) -> u64 {
        let next = self.version.load(Relaxed) + 1;
        self.version.store(next, Relaxed);
        next
    }

    fn census(&self, key: &[u8], added: u32, removed: u32) {
        if let Some(count) = key
            .first()
            .and_then(|first| self.databases.get(usize::from(*first)))
        {
            count.store(count.load(Relaxed) + added - removed, Relaxed);
        }
    }

    pub(crate) fn resize(&self, before: usize, after: usize) {
        let bytes = self.bytes.load(Relaxed) + after as u64 - before as u64;
        self.bytes.store(bytes, Relaxed);
    }
}

pub(crate) struct Table {
    map: DashMap<Bytes, Slot, RandomState>,
    sides: Box<[Side]>,
}

/// A key's memory beside its value.
fn entry_bytes(key: &Bytes, slot: &Slot) -> usize {
    let value = slot.value.size_bytes() - size_of::<Value>();
    size_of::<(Bytes, Slot)>() + size_of::<u64>() + key.heap_bytes() + value
}

impl Table {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            map: DashMap::with_hasher_and_shard_amount(RandomState::default(), shards),
            sides: (0..shards).map(|_| Side::default()).collect(),
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.map.hasher().hash_one(key)
    }

    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        self.map.determine_shard(hash as usize)
    }

    pub(crate) fn shards(&self) -> usize {
        self.sides.len()
    }

    pub(crate) fn side(&self, shard: usize) -> &Side {
        &self.sides[shard]
    }

    pub(crate) fn read(&self, shard: usize) -> ReadGuard<'_> {
        self.map.shards()[shard].read()
    }

    pub(crate) fn write(&self, shard: usize) -> WriteGuard<'_> {
        self.map.shards()[shard].write()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.sides.iter().map(|side| side.bytes.load(Relaxed)).sum()
    }

    /// How many keys, expired ones that nobody has met yet included.
    pub(crate) fn len(&self) -> usize {
        (0..self.shards()).map(|shard| self.read(shard).len()).sum()
    }

    /// Puts a slot in place of what is there, and answers that.
    pub(crate) fn insert(
        &self,
        raw: &mut Raw,
        shard: usize,
        hash: u64,
        key: &Bytes,
        mut slot: Slot,
    ) -> Option<Slot> {
        let side = self.side(shard);
        let added = entry_bytes(key, &slot);
        if let Some((key, there)) = raw.get_mut(hash, |(other, _)| **other == **key) {
            let there = there.get_mut();
            slot.at = there.at;
            side.resize(entry_bytes(key, there), added);
            return Some(std::mem::replace(there, slot));
        }
        let mut index = side.index();
        // A shard of four billion keys does not fit any memory.
        slot.at = u32::try_from(index.len()).unwrap_or(u32::MAX);
        index.push(hash);
        side.census(key, 1, 0);
        side.resize(0, added);
        let hasher = |(key, _): &(Bytes, SharedValue<Slot>)| self.hash(key);
        raw.insert_entry(hash, (key.clone(), SharedValue::new(slot)), hasher);
        None
    }

    /// Changes a slot where it lies.
    pub(crate) fn change<R>(
        &self,
        raw: &mut Raw,
        shard: usize,
        hash: u64,
        key: &[u8],
        change: impl FnOnce(&mut Slot) -> R,
    ) -> Option<R> {
        let (_, slot) = raw.get_mut(hash, |(other, _)| **other == *key)?;
        let slot = slot.get_mut();
        let before = slot.value.size_bytes();
        let result = change(slot);
        self.side(shard).resize(before, slot.value.size_bytes());
        Some(result)
    }

    /// Looks at every slot of a shard, expired ones included.
    pub(crate) fn walk(&self, raw: &Raw, shard: usize, look: &mut dyn FnMut(&Bytes, &Slot)) {
        for (at, hash) in self.side(shard).index().iter().enumerate() {
            if let Some((key, slot)) = entry_at(raw, *hash, at) {
                look(key, slot);
            }
        }
    }

    /// How many keys begin with this byte, of those that name a database.
    #[cfg(feature = "port")]
    pub(crate) fn keys_in(&self, database: u8) -> u64 {
        let count = |side: &Side| {
            side.databases
                .get(usize::from(database))
                .map_or(0, |count| u64::from(count.load(Relaxed)))
        };
        self.sides.iter().map(count).sum()
    }

    /// Takes a key out.
    pub(crate) fn remove(&self, raw: &mut Raw, shard: usize, hash: u64, key: &[u8]) -> Option<Slot> {
        let (key, slot) = raw.remove_entry(hash, |(other, _)| **other == *key)?;
        let slot = slot.into_inner();
        let side = self.side(shard);
        side.resize(entry_bytes(&key, &slot), 0);
        side.census(&key, 0, 1);
        let mut index = side.index();
        let at = slot.at as usize;
        index.swap_remove(at);
        if let Some(moved) = index.get(at) {
            // It was the last one.
            let was_at = index.len() as u32;
            if let Some((_, other)) = raw.get_mut(*moved, |(_, other)| other.get().at == was_at) {
                other.get_mut().at = slot.at;
            }
        }
        Some(slot)
    }
}

/// The key at a place of the index, whose hash stands there.
pub(crate) fn entry_at(raw: &Raw, hash: u64, at: usize) -> Option<(&Bytes, &Slot)> {
    raw.get(hash, |(_, slot)| slot.get().at as usize == at)
        .map(|(key, slot)| (key, slot.get()))
}

/// Looks a key up.
pub(crate) fn find<'a>(raw: &'a Raw, hash: u64, key: &[u8]) -> Option<&'a Slot> {
    raw.get(hash, |(other, _)| **other == *key)
        .map(|(_, slot)| slot.get())
}
