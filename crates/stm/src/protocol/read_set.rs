//! [`ReadSet`]: what one attempt has seen, and the reading side of the protocol.
//!
//! | level | what a read promises |
//! |---|---|
//! | safe | with everything read before, one consistent moment; else the attempt ends in a conflict |
//! | hybrid | a committed value |
//! | raw | a whole value |
//!
//! The moment of a safe attempt is `moment`, a value of the clock. A variable stamped later moves the moment on, if all
//! that was read is still unchanged.

use super::{
    domain::Domain,
    slot::Slot,
    stamp::{Stamp, Word},
};
use crate::{Isolation, primitive::Spin};
use std::collections::HashMap;

/// One variable as an attempt saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) slot: &'static Slot,
    pub(crate) stamp: Stamp,
}

/// A variable changed under the attempt. Which one is in [`ReadSet::rivals`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed;

/// What one attempt has seen.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    reads: Vec<Read>,
    /// How many of the first ones are, as the validation has found, not written by the attempt.
    read_only: usize,
    moment: u64,
    /// An aged attempt reserves what it reads.
    aged: bool,
    reserved: Vec<&'static Slot>,
    rivals: Vec<&'static Slot>,
    /// Where in `reads` a slot was first seen, for the first `indexed` of them. Unused while there are few.
    index: HashMap<usize, usize>,
    indexed: usize,
}

/// Reads up to which a linear search is faster than the index.
const LINEAR: usize = 32;

impl ReadSet {
    /// Starts an attempt. An aged one must [`end`](Self::end) before its ticket does.
    #[inline]
    pub(crate) fn begin(&mut self, domain: &Domain, isolation: Isolation, aged: bool) {
        self.reads.clear();
        self.read_only = 0;
        self.rivals.clear();
        self.forget_places();
        self.aged = aged;
        if isolation == Isolation::Safe {
            self.moment = domain.now();
        }
    }

    /// Gives back all reservations.
    #[inline]
    pub(crate) fn end(&mut self) {
        for slot in self.reserved.drain(..) {
            slot.unreserve();
        }
        self.aged = false;
    }

    #[inline]
    pub(crate) fn is_aged(&self) -> bool {
        self.aged
    }

    #[inline]
    pub(crate) fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// Forgets what the last validation has found, for the commit may be done over, and where reads were, for they move.
    #[inline]
    pub(crate) fn validate_anew(&mut self) {
        self.read_only = 0;
        self.forget_places();
    }

    #[inline]
    fn forget_places(&mut self) {
        if self.indexed > 0 {
            self.index.clear();
            self.indexed = 0;
        }
    }

    /// Notes of a read that its variable is not written by the attempt, and may change under it. In ascending order; moves
    /// reads about.
    #[inline]
    pub(crate) fn is_read_only(&mut self, at: usize) {
        self.reads.swap(self.read_only, at);
        self.read_only += 1;
    }

    /// The same of all reads of a safe attempt, which writes nothing.
    #[cfg(not(quintet_loom))]
    pub(crate) fn all_are_read_only(&mut self) {
        self.read_only = self.reads.len();
    }

    /// Whether what was read and is not written still is what it was: to be asked when the version has been taken that the
    /// commit shows to others.
    ///
    /// # Errors
    /// [`Changed`], if it is not.
    #[inline]
    pub(crate) fn still_hold(&mut self) -> Result<(), Changed> {
        for at in 0..self.read_only {
            let Read { slot, stamp } = self.reads[at];
            let word = slot.word();
            if word.has(Word::SEALED) || word.stamp() != stamp {
                self.add_rival(slot);
                return Err(Changed);
            }
        }
        Ok(())
    }

    /// The latest version seen.
    #[cfg(not(quintet_loom))]
    pub(crate) fn latest(&self) -> u64 {
        let versions = self.reads.iter().map(|read| read.stamp.version());
        versions.max().unwrap_or(0)
    }

    /// The variables whose change ended the attempt.
    pub(crate) fn rivals(&self) -> &[&'static Slot] {
        &self.rivals
    }

    pub(crate) fn add_rival(&mut self, slot: &'static Slot) {
        if !self.rivals.iter().any(|other| other.address() == slot.address()) {
            self.rivals.push(slot);
        }
    }

    /// The stamp with which the attempt first saw the slot, if it did.
    #[inline]
    pub(crate) fn seen(&mut self, slot: &Slot) -> Option<Stamp> {
        if self.reads.len() > LINEAR {
            return self.seen_indexed(slot);
        }
        self.reads
            .iter()
            .find(|read| read.slot.address() == slot.address())
            .map(|read| read.stamp)
    }

    #[cold]
    fn seen_indexed(&mut self, slot: &Slot) -> Option<Stamp> {
        for at in self.indexed..self.reads.len() {
            self.index.entry(self.reads[at].slot.address()).or_insert(at);
        }
        self.indexed = self.reads.len();
        self.index.get(&slot.address()).map(|&at| self.reads[at].stamp)
    }

    /// Reads a variable: `load` takes its value, and may be called again if a commit comes between.
    ///
    /// # Errors
    /// [`Changed`] in safe mode, when what was read before is no longer true.
    #[inline]
    pub(crate) fn read<T>(
        &mut self,
        domain: &Domain,
        isolation: Isolation,
        slot: &'static Slot,
        mut load: impl FnMut() -> T,
    ) -> Result<(T, Stamp), Changed> {
        if self.aged && slot.reserve() {
            self.reserved.push(slot);
        }
        let mut spin = Spin::default();
        loop {
            let before = slot.word();
            if before.has(Word::SEALED) {
                spin.turn();
                continue;
            }
            let value = load();
            let after = slot.word();
            if after.has(Word::SEALED) || after.stamp() != before.stamp() {
                spin.turn();
                continue;
            }
            let stamp = before.stamp();
            if isolation == Isolation::Safe && stamp.version() > self.moment {
                self.move_on(domain, stamp.version())?;
                continue;
            }
            self.reads.push(Read { slot, stamp });
            return Ok((value, stamp));
        }
    }

    /// As [`read`](Self::read), but at one glance: `None`, and nothing has happened, when a commit is in the way, or the
    /// moment has to move on, or the attempt is aged. Never waits, so a lock may be held that a committer needs.
    #[inline]
    pub(crate) fn glance<T>(
        &mut self,
        isolation: Isolation,
        slot: &'static Slot,
        load: impl FnOnce() -> T,
    ) -> Option<T> {
        if self.aged {
            return None;
        }
        let before = slot.word();
        let stamp = before.stamp();
        if before.has(Word::SEALED) || isolation == Isolation::Safe && stamp.version() > self.moment {
            return None;
        }
        let value = load();
        let after = slot.word();
        if after.has(Word::SEALED) || after.stamp() != stamp {
            return None;
        }
        self.reads.push(Read { slot, stamp });
        Some(value)
    }

    /// Moves the moment to one that includes `version`.
    fn move_on(&mut self, domain: &Domain, version: u64) -> Result<(), Changed> {
        let moment = domain.tick_to(version);
        for at in 0..self.reads.len() {
            let Read { slot, stamp } = self.reads[at];
            let word = slot.word();
            if word.has(Word::SEALED) || word.stamp() != stamp {
                self.add_rival(slot);
            }
        }
        if self.rivals.is_empty() {
            self.moment = moment;
            Ok(())
        } else {
            Err(Changed)
        }
    }
}
