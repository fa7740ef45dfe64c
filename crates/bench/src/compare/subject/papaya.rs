//! papaya: a lock-free map; a changed value is a new one, the old is freed when nobody can see it.

use super::super::{
    map::{MapEngine, RandomState, SharedMap},
    workload::Level,
};
use super::Entry;
use ::papaya::{Compute, HashMap, Operation};
use quintet_core::{Error, ErrorKind, Keyed, Result};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "papaya",
    model: "whoever's compare-and-swap wins",
    ours: false,
    levels: &[Level::Memory],
    headline: &[Level::Memory],
    open: |_| Ok(MapEngine::boxed(Map::default())),
}];

type Map = HashMap<Vec<u8>, Vec<u8>, RandomState>;

impl SharedMap for Map {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.pin().get(key).cloned()
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.pin().insert(key, value);
    }

    fn add(&self, key: Vec<u8>, delta: i64) -> Result<i64> {
        let map = self.pin();
        let changed = map.compute(key, |old| {
            match Keyed::add_to(old.map(|(_, value)| value.as_slice()), delta) {
                Ok(sum) => Operation::Insert(sum.to_le_bytes().to_vec()),
                Err(refused) => Operation::Abort(refused),
            }
        });
        match changed {
            Compute::Inserted(_, new) | Compute::Updated { new: (_, new), .. } => Keyed::add_to(Some(new), 0),
            Compute::Aborted(refused) => Err(refused),
            Compute::Removed(..) => Err(Error::new(ErrorKind::Io, "an addition removed its key")),
        }
    }

    fn delete(&self, key: &[u8]) -> bool {
        self.pin().remove(key).is_some()
    }
}
