//! [`Lanes`]: where ordinary commits leave their change sets, without waiting for those of other threads.
//!
//! A commit that changes one small value, of a context without a log, enters the lane of its thread instead of the
//! journal. Its version is taken from the clock inside the lane's lock. So whoever has read the clock and then locked a
//! lane finds there every commit of that lane up to what it read: [`Journal::gather`](super::journal::Journal::gather)
//! brings the lanes together in the order of versions before anybody looks at the history.
//!
//! Bounded: a lane holds as many change sets as the history keeps, at most [`LONGEST`], of values of at most
//! [`SMALL_BYTES`]. In a full one the oldest gives way: the history would not keep it either. If the history is longer than a
//! lane may be, who fills a lane empties all.

use super::{
    kept::{Kept, One},
    value::Value,
};
use crate::{label::Label, primitive::lock, protocol::domain::Domain};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

/// More than threads that commit at once on most machines; a power of two.
const LANES: usize = 16;
/// How many change sets a lane holds at most.
const LONGEST: usize = 4096;
/// The longest text of a small value.
const SMALL_BYTES: usize = 256;

/// Alone on its pair of cache lines.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Lane(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    ones: VecDeque<One>,
    /// The version of the last that gave way.
    evicted: u64,
}

#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Box<[Lane]>,
    /// How many change sets the history keeps.
    history: usize,
}

/// A place in a lane.
pub(super) struct Place<'a> {
    held: MutexGuard<'a, Held>,
    version: u64,
    history: usize,
}

impl Place<'_> {
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Keeps the change, which bears the place's version. True = the lane is full, and the caller is to gather them all once
    /// its commit is done.
    #[inline]
    pub(super) fn keep(mut self, one: One) -> bool {
        let held = &mut *self.held;
        if held.ones.len() >= self.history
            && let Some(oldest) = held.ones.pop_front()
        {
            held.evicted = oldest.version;
        }
        held.ones.push_back(one);
        held.ones.len() >= LONGEST && self.history > LONGEST
    }
}

impl Lanes {
    pub(super) fn new(history: usize) -> Self {
        Self {
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            history,
        }
    }

    fn mine(&self) -> &Mutex<Held> {
        &self.lanes[Label::of_thread().as_u32() as usize % LANES].0
    }

    /// Whether a value is small enough for a lane.
    #[inline]
    pub(super) fn takes(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => true,
            Value::Str(text) => text.len() <= SMALL_BYTES,
            Value::Bytes(_) | Value::List(_) | Value::Map(_) => false,
        }
    }

    /// Locks the calling thread's lane and takes a version, for a change that the caller then [keeps](Place::keep) there, or
    /// not.
    #[inline]
    pub(super) fn open(&self, domain: &Domain) -> Place<'_> {
        let held = lock(self.mine());
        Place {
            version: domain.next(),
            history: self.history,
            held,
        }
    }

    /// The change set of a version, if the calling thread has made it and it is still in the lane.
    pub(super) fn find(&self, version: u64) -> Option<Kept> {
        let held = lock(self.mine());
        let at = held.ones.binary_search_by_key(&version, |one| one.version).ok()?;
        held.ones.get(at).map(|one| Kept::One(one.clone()))
    }

    /// Takes out every change up to a version that the clock has already shown, in order. Answers also the latest version
    /// that gave way.
    pub(super) fn take(&self, up_to: u64) -> (Vec<One>, u64) {
        let (mut taken, mut evicted): (Vec<One>, u64) = (Vec::new(), 0);
        for lane in &self.lanes {
            let mut held = lock(&lane.0);
            let end = held.ones.partition_point(|one| one.version <= up_to);
            taken.extend(held.ones.drain(..end));
            evicted = evicted.max(held.evicted);
        }
        taken.sort_unstable_by_key(|one| one.version);
        (taken, evicted)
    }
}
