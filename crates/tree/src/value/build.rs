//! A document put together from its rows, which come in the order of their keys.
//!
//! Invariant: the open containers are those on the way to the last row. Called by [`View`](crate::View).

use super::canonical::collapse;
use crate::{
    TreeError,
    path::{Pieces, key},
};
use serde_json::{Map, Value};

/// Collects rows below one place.
#[derive(Default)]
pub(crate) struct Builder {
    /// The bytes of the names of the open containers below the first.
    names: Vec<Vec<u8>>,
    /// The open containers: one more than names.
    open: Vec<Map<String, Value>>,
}

impl Builder {
    /// Adds a value at `rest`, names counted from the place; at least one.
    pub(crate) fn add(&mut self, rest: &[u8], value: Value) -> Result<(), TreeError> {
        if self.open.is_empty() {
            self.open.push(Map::new());
        }
        let mut pieces = Pieces(rest);
        let mut level = 0;
        let mut last = next(&mut pieces)?;
        while !pieces.0.is_empty() {
            if self.names.get(level).is_none_or(|name| name != last) {
                self.close_to(level)?;
                self.names.push(last.to_vec());
                self.open.push(Map::new());
            }
            level += 1;
            last = next(&mut pieces)?;
        }
        self.close_to(level)?;
        self.insert(last, value)
    }

    fn close_to(&mut self, level: usize) -> Result<(), TreeError> {
        while self.names.len() > level {
            if let (Some(name), Some(map)) = (self.names.pop(), self.open.pop()) {
                self.insert(&name, collapse(map))?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: &[u8], value: Value) -> Result<(), TreeError> {
        let name = key::name(name).ok_or_else(damaged)?.into_owned();
        if let Some(map) = self.open.last_mut() {
            map.insert(name, value);
        }
        Ok(())
    }

    /// The document; null when there was no row.
    pub(crate) fn finish(mut self) -> Result<Value, TreeError> {
        self.close_to(0)?;
        Ok(self.open.pop().map_or(Value::Null, collapse))
    }
}

fn next<'a>(pieces: &mut Pieces<'a>) -> Result<&'a [u8], TreeError> {
    pieces.next().ok_or_else(damaged)
}

fn damaged() -> TreeError {
    TreeError::corrupted("LMDB", "the key of a leaf is not a path")
}
