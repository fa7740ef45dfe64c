//! [`Table`]: the shards of a DashMap, and beside each what belongs to its keys: an index of them, their waiters, counters.
//!
//! Everything of a shard is changed under the shard's write lock only. Several shards are locked in ascending order, by
//! [`Transaction`](crate::transaction::Transaction) alone. The index makes "any key" and a scan that misses nothing cheap:
//! a removed key's place is taken by the last one, and scans walk from the last place to the first.
//!
//! An [`Entry`] is one cache line, and the shards get unequal shares of the keys: their tables double one after another,
//! so that neither memory nor the time of an insert jumps for all at once.

use crate::{
    effect::Slot,
    value::{Bytes, Value},
    wait::Line,
};
use dashmap::{DashMap, RwLockReadGuard, RwLockWriteGuard, SharedValue};
use foldhash::fast::RandomState;
use hashbrown::raw::RawTable;
use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// A key and its state.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Entry {
    key: Bytes,
    slot: Slot,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

pub(crate) type Raw = RawTable<(Entry, SharedValue<()>)>;
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
    /// Half the hash of the key at each place: with the place, enough to find it.
    index: Mutex<Vec<u32>>,
    /// When the key at each place was last used, in a table that evicts.
    used: RwLock<Vec<AtomicU32>>,
}

impl Side {
    pub(crate) fn index(&self) -> MutexGuard<'_, Vec<u32>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_version(&self) -> u64 {
        let next = self.version.load(Relaxed) + 1;
        self.version.store(next, Relaxed);
        next
    }

    /// Notes that the key at a place is used now, in the store's own coarse time.
    pub(crate) fn touch(&self, at: u32, stamp: u32) {
        let used = self.used.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = used.get(at as usize) {
            used.store(stamp, Relaxed);
        }
    }

    /// When the key at a place was last used; 0 where nobody keeps account.
    pub(crate) fn used(&self, at: u32) -> u32 {
        let used = self.used.read().unwrap_or_else(PoisonError::into_inner);
        used.get(at as usize).map_or(0, |used| used.load(Relaxed))
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
    map: DashMap<Entry, (), RandomState>,
    sides: Box<[Side]>,
    /// Whether it keeps account of when keys were used.
    evicts: bool,
}

/// A key's memory beside its value.
fn entry_bytes(key: &Bytes, slot: &Slot) -> usize {
    let value = slot.value.size_bytes() - size_of::<Value>();
    size_of::<Entry>() + size_of::<u32>() + key.heap_bytes() + value
}

/// The hash by which a shard's own table finds a key: the half that does not choose the shard, which is all that the index
/// remembers.
#[inline]
fn address(half: u32) -> u64 {
    u64::from(half) * 0x1_0000_0001
}

/// Which of `shards` shards a number belongs to. The first gets half as much as the last: the share of the first `n` is
/// 2^(n / shards) - 1, of which this is the inverse, with a parabola for the logarithm.
#[inline]
fn share(number: u32, shards: usize) -> usize {
    let x = u64::from(number);
    let bend = (x * ((1 << 32) - x)) >> 32;
    // 0.34 of the parabola: never beyond the end, and never falling.
    let log = x + ((bend * 348) >> 10);
    ((log * shards as u64) >> 32) as usize
}

impl Table {
    pub(crate) fn new(shards: usize, evicts: bool) -> Self {
        Self {
            map: DashMap::with_hasher_and_shard_amount(RandomState::default(), shards),
            sides: (0..shards).map(|_| Side::default()).collect(),
            evicts,
        }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.map.hasher().hash_one(key)
    }

    #[inline]
    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        share((hash >> 32) as u32, self.sides.len())
    }

    pub(crate) fn shards(&self) -> usize {
        self.sides.len()
    }

    pub(crate) fn side(&self, shard: usize) -> &Side {
        &self.sides[shard]
    }

    #[inline]
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
        if let Some(there) = find_mut(raw, hash, key) {
            slot.at = there.at;
            side.resize(entry_bytes(key, there), added);
            return Some(std::mem::replace(there, slot));
        }
        let mut index = side.index();
        // A shard of four billion keys does not fit any memory.
        slot.at = u32::try_from(index.len()).unwrap_or(u32::MAX);
        index.push(hash as u32);
        if self.evicts {
            let mut used = side.used.write().unwrap_or_else(PoisonError::into_inner);
            used.push(AtomicU32::new(0));
        }
        side.census(key, 1, 0);
        side.resize(0, added);
        let key = key.clone();
        let hasher = |(entry, _): &(Entry, SharedValue<()>)| address(self.hash(&entry.key) as u32);
        raw.insert_entry(
            address(hash as u32),
            (Entry { key, slot }, SharedValue::new(())),
            hasher,
        );
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
        let slot = find_mut(raw, hash, key)?;
        let before = slot.value.size_bytes();
        let result = change(slot);
        self.side(shard).resize(before, slot.value.size_bytes());
        Some(result)
    }

    /// Looks at every slot of a shard, expired ones included.
    pub(crate) fn walk(&self, raw: &Raw, shard: usize, look: &mut dyn FnMut(&Bytes, &Slot)) {
        for (at, half) in self.side(shard).index().iter().enumerate() {
            if let Some((key, slot)) = entry_at(raw, *half, at) {
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
        let (entry, _) = raw.remove_entry(address(hash as u32), |(other, _)| *other.key == *key)?;
        let Entry { key, slot } = entry;
        let side = self.side(shard);
        side.resize(entry_bytes(&key, &slot), 0);
        side.census(&key, 0, 1);
        let mut index = side.index();
        let at = slot.at as usize;
        index.swap_remove(at);
        if self.evicts {
            let mut used = side.used.write().unwrap_or_else(PoisonError::into_inner);
            used.swap_remove(at);
        }
        if let Some(moved) = index.get(at) {
            // It was the last one.
            let was_at = index.len() as u32;
            if let Some((other, _)) = raw.get_mut(address(*moved), |(other, _)| other.slot.at == was_at) {
                other.slot.at = slot.at;
            }
        }
        Some(slot)
    }
}

/// The key at a place of the index, half of whose hash stands there.
pub(crate) fn entry_at(raw: &Raw, half: u32, at: usize) -> Option<(&Bytes, &Slot)> {
    raw.get(address(half), |(entry, _)| entry.slot.at as usize == at)
        .map(|(entry, _)| (&entry.key, &entry.slot))
}

/// Looks a key up.
#[inline]
pub(crate) fn find<'a>(raw: &'a Raw, hash: u64, key: &[u8]) -> Option<&'a Slot> {
    raw.get(address(hash as u32), |(entry, _)| *entry.key == *key)
        .map(|(entry, _)| &entry.slot)
}

/// Looks a key up, to change its slot.
#[inline]
pub(crate) fn find_mut<'a>(raw: &'a mut Raw, hash: u64, key: &[u8]) -> Option<&'a mut Slot> {
    raw.get_mut(address(hash as u32), |(entry, _)| *entry.key == *key)
        .map(|(entry, _)| &mut entry.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_cache_line() {
        assert_eq!(size_of::<(Entry, SharedValue<()>)>(), 64);
        assert_eq!(align_of::<(Entry, SharedValue<()>)>(), 64);
    }

    #[test]
    fn shares_cover_all_shards_in_order_and_the_largest_is_twice_the_smallest() {
        for shards in [2, 16, 256, 65_536] {
            let numbers = (0..1_u64 << 20).map(|n| (n << 12) as u32).chain([u32::MAX]);
            let mut sizes = vec![0_u32; shards];
            let mut last = 0;
            for number in numbers {
                let shard = share(number, shards);
                assert!(
                    shard >= last && shard < shards,
                    "{number} is in {shard} of {shards}"
                );
                sizes[shard] += 1;
                last = shard;
            }
            let (first, end) = (f64::from(sizes[0]), f64::from(sizes[shards - 1]));
            assert!(sizes.iter().all(|size| *size > 0));
            assert!(
                (1.3..2.2).contains(&(end / first)),
                "{first} to {end} of {shards}"
            );
        }
    }
}
