//! `Mutex<HashMap>`: the standard library's map behind one lock, the first thing that anybody tries.

use super::super::{
    map::{MapEngine, RandomState, SharedMap},
    workload::Level,
};
use super::Entry;
use quintet_core::{Keyed, Result};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "Mutex<HashMap>",
    model: "whoever holds the one lock",
    ours: false,
    levels: &[Level::Memory],
    headline: &[Level::Memory],
    open: |_| Ok(MapEngine::boxed(Map::default())),
}];

type Map = Mutex<HashMap<Vec<u8>, Vec<u8>, RandomState>>;

impl SharedMap for Map {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, value);
    }

    fn add(&self, key: Vec<u8>, delta: i64) -> Result<i64> {
        let mut map = self.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = map.get_mut(&key) {
            let sum = Keyed::add_to(Some(value), delta)?;
            value.copy_from_slice(&sum.to_le_bytes());
            return Ok(sum);
        }
        map.insert(key, delta.to_le_bytes().to_vec());
        Ok(delta)
    }

    fn delete(&self, key: &[u8]) -> bool {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key)
            .is_some()
    }
}
