//! [`Journal`]: the order of a context's commits, under one lock held for an instant: versions, key structure, history,
//! outbox, snapshots and the log.
//!
//! A commit enters here in step 5 of the protocol, when it can no longer lose, with all it writes sealed. So the order of
//! versions is the order of the change sets, of the log's records, and of what readers see. The smallest commits enter a
//! [lane](super::lanes) instead, and are brought in here before anybody looks at the history.

use super::{
    Shared,
    cell::Cell,
    change::{Change, ChangeSet, Message, merge},
    kept::{Kept, One},
    path::Path,
    record,
    value::Value,
    write::Unprepared,
};
use crate::{
    Error, Result,
    protocol::{domain::Domain, read_set::ReadSet},
};
use im::OrdMap;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Deref, DerefMut},
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// A whole state: every path and its value.
pub type Image = OrdMap<Path, Value>;

#[derive(Default)]
pub(crate) struct Journal {
    /// Every living cell, in order.
    pub(crate) structure: OrdMap<Path, Arc<Cell>>,
    /// The last commit's version. Of a context with a log always; of others once the lanes are gathered.
    pub(crate) version: u64,
    /// The kept change sets, oldest first.
    ring: VecDeque<Kept>,
    /// Change sets that are younger than the ring's, oldest first, and have others in the lanes between them.
    direct: VecDeque<Kept>,
    /// The version before the first of them: the oldest that can be rebuilt.
    base_version: u64,
    pub(crate) outbox: VecDeque<Message>,
    last_message: u64,
    /// Versions of living snapshots, with how many there are of each.
    snapshots: BTreeMap<u64, usize>,
}

/// What a commit wants recorded.
pub(crate) struct Draft {
    pub(crate) set: ChangeSet,
    pub(crate) created: Vec<Arc<Cell>>,
    pub(crate) removed: Vec<Path>,
}

/// The most change sets that wait to be brought together with those of the lanes.
const DIRECT: usize = 64;

impl Journal {
    /// As [`enter`](Self::enter) for a change that needs no log.
    #[inline]
    pub(super) fn enter_one(
        &mut self,
        shared: &Shared,
        reads: &mut ReadSet,
        mut one: One,
    ) -> std::result::Result<(u64, Vec<Kept>), Unprepared> {
        let version = shared.domain.next();
        reads.still_hold()?;
        one.version = version;
        Ok((version, self.keep(shared, Kept::One(one))))
    }

    /// Gives the draft a version, logs it, and enters it everywhere. Nothing has happened if this fails. Answers the
    /// version, and what has left the history, to be dropped after the lock.
    pub(super) fn enter(
        &mut self,
        shared: &Shared,
        reads: &mut ReadSet,
        mut draft: Draft,
    ) -> std::result::Result<(u64, Vec<Kept>), Unprepared> {
        let Shared {
            domain,
            config: limits,
            horizon,
            ..
        } = shared;
        let too_many = |what, size: usize, limit| Error::TooLarge {
            at: "context".into(),
            what,
            size,
            limit,
        };
        let keys = (self.structure.len() + draft.created.len()).saturating_sub(draft.removed.len());
        if !draft.created.is_empty() && keys > limits.max_keys {
            return Err(too_many("the number of keys", keys, limits.max_keys).into());
        }
        let waiting = self.outbox.len() + draft.set.messages.len();
        if !draft.set.messages.is_empty() && waiting > limits.max_messages {
            return Err(too_many("the number of undelivered messages", waiting, limits.max_messages).into());
        }
        let version = domain.next();
        reads.still_hold()?;
        draft.set.version = version;
        for (message, id) in draft.set.messages.iter_mut().zip(self.last_message + 1..) {
            message.id = id;
        }
        if let Some(log) = &shared.log {
            let seq = log
                .append(&record::encode_change_set(&draft.set))
                .map_err(Error::Log)?;
            horizon.appended(seq, version);
        }
        self.last_message += draft.set.messages.len() as u64;
        self.outbox.extend(draft.set.messages.iter().cloned());
        for cell in draft.created {
            self.structure.insert(cell.path.clone(), cell);
        }
        for path in &draft.removed {
            self.structure.remove(path);
        }
        Ok((version, self.keep(shared, Kept::Whole(Arc::new(draft.set)))))
    }

    /// Keeps a change set that has just been given its version, and answers what has left the history.
    fn keep(&mut self, shared: &Shared, kept: Kept) -> Vec<Kept> {
        self.version = kept.version();
        self.direct.push_back(kept);
        if self.direct.len() < DIRECT.min(shared.config.history) {
            return Vec::new();
        }
        self.gather(shared)
    }

    /// Brings what the lanes hold and what waits here into the history, in the order of versions, and answers what has left
    /// it, to be dropped after the lock.
    pub(super) fn gather(&mut self, shared: &Shared) -> Vec<Kept> {
        // Whoever was given a version up to this one holds its lane's lock still, or has left its change there.
        let (apart, gone) = shared.lanes.take(shared.domain.now());
        // A lane gives way only to as many younger ones as the history keeps.
        self.base_version = self.base_version.max(gone);
        let mut apart = apart.into_iter().peekable();
        let mut evicted = Vec::new();
        loop {
            let direct = self.direct.front().map_or(u64::MAX, Kept::version);
            let kept = match apart.next_if(|one| one.version < direct) {
                Some(one) => Kept::One(one),
                None => match self.direct.pop_front() {
                    Some(kept) => kept,
                    None => break,
                },
            };
            evicted.extend(self.push(kept, shared.config.history));
        }
        // What is older than one that gave way would be a history with a hole.
        let whole = self
            .ring
            .partition_point(|kept| kept.version() <= self.base_version);
        evicted.extend(self.ring.drain(..whole));
        evicted
    }

    /// Enters a change set that has a version, and answers the oldest if there are now more than `keep`.
    pub(super) fn push(&mut self, kept: Kept, keep: usize) -> Option<Kept> {
        self.version = self.version.max(kept.version());
        let oldest = if self.ring.len() >= keep {
            self.ring.pop_front()
        } else {
            None
        };
        if let Some(oldest) = &oldest {
            self.base_version = self.base_version.max(oldest.version());
        }
        self.ring.push_back(kept);
        oldest
    }

    /// Starts from a state that was stored.
    pub(crate) fn restore(&mut self, version: u64, outbox: VecDeque<Message>, last_message: u64) {
        self.version = version;
        self.base_version = version;
        self.outbox = outbox;
        self.last_message = last_message;
    }

    pub(crate) fn last_message(&self) -> u64 {
        self.last_message
    }

    /// The newest change sets up to a version, oldest first.
    pub(crate) fn history(&self, count: usize, newest: u64) -> Vec<Arc<ChangeSet>> {
        let end = self.ring.partition_point(|kept| kept.version() <= newest);
        let start = end.saturating_sub(count);
        self.ring.range(start..end).map(Kept::set).collect()
    }

    pub(crate) fn change_set(&self, version: u64) -> Option<Arc<ChangeSet>> {
        let at = self.ring.binary_search_by_key(&version, Kept::version).ok()?;
        self.ring.get(at).map(Kept::set)
    }

    fn within(&self, version: u64, newest: u64) -> Result<()> {
        let newest = newest.min(self.version);
        if (self.base_version..=newest).contains(&version) {
            return Ok(());
        }
        Err(Error::NoSuchVersion {
            version,
            oldest: self.base_version,
            newest,
        })
    }

    fn between(&self, after: u64, up_to: u64) -> impl Iterator<Item = Arc<ChangeSet>> {
        let start = self.ring.partition_point(|kept| kept.version() <= after);
        let range = self.ring.range(start..);
        range
            .take_while(move |kept| kept.version() <= up_to)
            .map(Kept::set)
    }

    /// What is different at `to` from `from`, by what was recorded. Neither may be beyond `newest`.
    pub(crate) fn diff(&self, from: u64, to: u64, newest: u64) -> Result<Vec<Change>> {
        self.within(from, newest)?;
        self.within(to, newest)?;
        if from <= to {
            return Ok(merge(self.between(from, to)));
        }
        let mut changes = merge(self.between(to, from));
        for change in &mut changes {
            std::mem::swap(&mut change.old, &mut change.new);
        }
        Ok(changes)
    }

    /// The change sets after a version, newest first: what to undo to get back to it.
    pub(crate) fn since(&self, version: u64, newest: u64) -> Result<Vec<Arc<ChangeSet>>> {
        self.within(version, newest)?;
        let newer = self.ring.iter().rev().take_while(|kept| kept.version() > version);
        Ok(newer.map(Kept::set).collect())
    }

    /// Registers a snapshot and answers its version. From then on every cell keeps what it needs. O(log snapshots).
    pub(crate) fn open_snapshot(&mut self, domain: &Domain, needed: &Needed) -> u64 {
        // First the mark, then the tick: a writer whose version will be beyond the snapshot's sees the mark.
        let oldest = self.snapshots.keys().next().copied().unwrap_or(u64::MAX);
        needed.set(oldest.min(domain.now() + 1), u64::MAX);
        let version = domain.tick_to(domain.now() + 1);
        *self.snapshots.entry(version).or_default() += 1;
        self.mark(needed);
        version
    }

    pub(crate) fn close_snapshot(&mut self, version: u64, needed: &Needed) {
        if let Some(count) = self.snapshots.get_mut(&version) {
            *count -= 1;
            if *count == 0 {
                self.snapshots.remove(&version);
            }
        }
        self.mark(needed);
    }

    fn mark(&self, needed: &Needed) {
        match (self.snapshots.keys().next(), self.snapshots.keys().next_back()) {
            (Some(oldest), Some(newest)) => needed.set(*oldest, *newest),
            _ => needed.set(u64::MAX, 0),
        }
    }
}

/// A journal that has been gathered, locked. What has left the history is dropped after the lock.
pub(super) struct Gathered<'a> {
    journal: MutexGuard<'a, Journal>,
    _evicted: Vec<Kept>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(journal: MutexGuard<'a, Journal>, evicted: Vec<Kept>) -> Self {
        Self {
            journal,
            _evicted: evicted,
        }
    }
}

impl Deref for Gathered<'_> {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.journal
    }
}

impl DerefMut for Gathered<'_> {
    fn deref_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }
}

/// Which versions living snapshots need, at least.
#[derive(Debug)]
pub(crate) struct Needed {
    /// `u64::MAX` = there is no snapshot.
    oldest: AtomicU64,
    newest: AtomicU64,
}

impl Needed {
    pub(crate) const fn new() -> Self {
        Self {
            oldest: AtomicU64::new(u64::MAX),
            newest: AtomicU64::new(0),
        }
    }

    fn set(&self, oldest: u64, newest: u64) {
        self.newest.store(newest, Ordering::SeqCst);
        self.oldest.store(oldest, Ordering::SeqCst);
    }

    /// The oldest and the newest version needed. To be asked after a committer has read the clock.
    #[inline]
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        let oldest = self.oldest.load(Ordering::SeqCst);
        (oldest != u64::MAX).then(|| (oldest, self.newest.load(Ordering::SeqCst)))
    }
}

/// Brings a state back to where it was before these changes.
pub(crate) fn undo(image: &mut Image, changes: &[Change]) {
    for change in changes {
        match &change.old {
            Some(value) => image.insert(change.path.clone(), value.clone()),
            None => image.remove(&change.path),
        };
    }
}

/// Brings a state to where these changes lead.
pub(crate) fn apply(image: &mut Image, changes: &[Change]) {
    for change in changes {
        match &change.new {
            Some(value) => image.insert(change.path.clone(), value.clone()),
            None => image.remove(&change.path),
        };
    }
}
