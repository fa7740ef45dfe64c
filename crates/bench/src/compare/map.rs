//! Any concurrent map as a subject: a map that can be shared answers `Keyed` on its caller's thread.
//!
//! The rival's file says how its map gets, puts, adds and deletes one key atomically; the rest is here, the same for all.

use super::{
    session::{CREDITS, Session},
    subject::{Engine, Native, seen},
};
use quintet_core::{Commit, Inline, Keyed, KeyedReply, MessageHandler, Result as CoreResult};
use std::sync::Arc;

/// The hash function of every map here, ours included.
pub(crate) use foldhash::fast::RandomState;

/// A map from bytes to bytes that many threads use at once.
pub(crate) trait SharedMap: Send + Sync + 'static {
    /// A copy of the value.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// Sets the value, whatever was there.
    fn put(&self, key: Vec<u8>, value: Vec<u8>);
    /// Adds to a counter as [`Keyed::add_to`] says, atomically.
    ///
    /// # Errors
    /// What [`Keyed::add_to`] answers; nothing is changed then.
    fn add(&self, key: Vec<u8>, delta: i64) -> CoreResult<i64>;
    /// Removes the key; whether it was there.
    fn delete(&self, key: &[u8]) -> bool;
}

/// A shared map as an engine.
pub(crate) struct MapEngine<S>(pub Arc<S>);

impl<S: SharedMap> MapEngine<S> {
    /// Over a map.
    pub(crate) fn boxed(map: S) -> Box<dyn Engine> {
        Box::new(Self(Arc::new(map)))
    }
}

impl<S: SharedMap> Engine for MapEngine<S> {
    fn connect(&self) -> anyhow::Result<Session> {
        Ok(Session::inline(Inline::new(
            MapHandler(Arc::clone(&self.0)),
            CREDITS,
        )))
    }

    fn native(&self) -> anyhow::Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct(&*self.0)))
    }
}

/// What is handled is done at once; there is nothing to commit.
struct MapHandler<S>(Arc<S>);

impl<S: SharedMap> MessageHandler<Keyed> for MapHandler<S> {
    fn handle(&mut self, message: Keyed) -> CoreResult<KeyedReply> {
        Ok(match message {
            Keyed::Get { key } => KeyedReply::Value(self.0.get(&key)),
            Keyed::Put { key, value } => {
                self.0.put(key, value);
                KeyedReply::Stored
            }
            Keyed::Add { key, delta } => KeyedReply::Sum(self.0.add(key, delta)?),
            Keyed::Delete { key } => KeyedReply::Deleted(self.0.delete(&key)),
        })
    }

    fn commit(&mut self) -> CoreResult<Commit> {
        Ok(Commit::Done)
    }
}

/// The map's own calls.
struct Direct<'a, S>(&'a S);

impl<S: SharedMap> Native for Direct<'_, S> {
    fn get(&mut self, key: &[u8], mark: u64) -> anyhow::Result<Option<(usize, bool)>> {
        Ok(self.0.get(key).map(|value| seen(&value, mark)))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.0.put(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn add(&mut self, key: &[u8], delta: i64) -> anyhow::Result<()> {
        self.0.add(key.to_vec(), delta)?;
        Ok(())
    }
}
