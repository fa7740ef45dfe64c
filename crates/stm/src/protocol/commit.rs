//! The commit: one protocol for typed variables, contexts and all isolation levels.
//!
//! 1. **Seal** every variable to be written, in address order, waiting for other commits in their write-back. A variable
//!    reserved by an aged transaction ends the attempt. Sealing in one order means that commits never wait in a circle.
//! 2. Read the **clock**; the commit's version is one more.
//! 3. **Validate**. Safe: every variable read bears the stamp it was read with, and no other commit has sealed it.
//!    Hybrid: the same, only for variables that are also written. Blind writes have nothing to validate.
//! 4. **Prepare**: compute merges on the values now sealed. The only step that runs code from outside; it may fail.
//! 5. **Record** (contexts): take a version of one's own, look once more at what was read and is not written, and enter the
//!    change set in history and log. The last step that may fail.
//! 6. **Apply** the values, publish the new stamps, wake sleepers.
//!
//! Until step 6 nothing can be seen and everything can be taken back, which [`Sealed`] does when dropped.
//!
//! # Why a safe transaction sees one moment
//! Let a reader have sampled the clock at `m` and accept a stamp of version `v <= m`. The committer of `v` read the
//! clock as at most `v - 1 < m`, so its read of the clock, and with it all its seals, precede the reader's sample in the
//! one total order of `SeqCst` operations. Hence for every commit with a version up to `m` the reader finds each variable
//! sealed (and waits) or written: all of it or none of it. A commit with a version beyond `m` is noticed by its stamp;
//! the reader then moves `m` on only if all it has read is unchanged and unsealed after the new sample.
//!
//! # Why safe transactions are serializable
//! At step 3 everything read is unchanged while everything to be written is sealed, so there is a point in time at
//! which the transaction's reads and its writes both hold. Two transactions that each read what the other writes cannot
//! both pass: the later of the two looks at a sealed word. A read-only transaction is true at its moment.
//!
//! # Why the versions of a context are such an order
//! Who reads or overwrites what a commit wrote seals after that commit published, and so takes a later version. Left is who
//! overwrites what a commit has only read. Between step 3 and the version there is time for that, so step 5 looks again
//! ([`ReadSet::still_hold`]), after it has taken the version: a word that is not sealed then is sealed later, and gets a later
//! version. Without this second look, history and snapshots could show a commit without one that comes before it.

use super::{
    domain::Domain,
    read_set::{Changed, Read, ReadSet},
    slot::{Reserved, Slot},
    stamp::{Stamp, Word},
};
use crate::Isolation;

/// A variable with a buffered write.
pub(crate) trait Pending {
    /// Why a value could not be computed.
    type Failure;

    fn slot(&self) -> &'static Slot;

    /// The stamp that the attempt first read the variable with, if it did.
    fn seen(&self) -> Option<Stamp>;

    /// Computes the value to be written from the one that is there. The slot is sealed.
    fn prepare(&mut self) -> Result<(), Self::Failure>;

    /// Stores the prepared value, which will bear this stamp. The slot is sealed, and this must neither fail nor drop a
    /// value of the user's.
    fn apply(&mut self, stamp: Stamp);

    /// Whether the slot belongs to another variable by now, so that nothing is to be written. The slot is sealed.
    fn is_stale(&self) -> bool;

    /// Where the protocol keeps the word it found when sealing.
    fn before(&mut self) -> &mut Option<Word>;
}

/// Why an attempt did not commit.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    /// Another transaction was first. Which variables is in [`ReadSet::rivals`].
    Conflict,
    /// A value could not be computed or recorded.
    Failed(E),
}

impl<E> From<Changed> for Refusal<E> {
    fn from(_: Changed) -> Self {
        Self::Conflict
    }
}

/// The variables sealed so far. Unseals them when dropped before [`publish`](Self::publish).
struct Sealed<'a, P: Pending> {
    pending: &'a mut [P],
    count: usize,
}

impl<P: Pending> Drop for Sealed<'_, P> {
    fn drop(&mut self) {
        self.unseal();
    }
}

impl<P: Pending> Sealed<'_, P> {
    fn unseal(&mut self) {
        let count = std::mem::take(&mut self.count);
        for entry in &mut self.pending[..count] {
            if let Some(word) = entry.before().take() {
                entry.slot().unseal(word);
            }
        }
    }

    /// The word of `slot` before this commit sealed it, if it did. `pending` is in address order.
    fn before(&mut self, slot: &Slot) -> Option<Word> {
        let at = self
            .pending
            .binary_search_by_key(&slot.address(), |entry| entry.slot().address())
            .ok()?;
        *self.pending[at].before()
    }

    fn publish(mut self, domain: &Domain, version: u64, label: u32) -> u64 {
        let count = std::mem::take(&mut self.count);
        for entry in &mut self.pending[..count] {
            if let Some(word) = *entry.before()
                && !entry.is_stale()
            {
                entry.apply(word.stamp().next(version));
            }
        }
        let mut latest = version;
        for entry in &mut self.pending[..count] {
            let Some(word) = entry.before().take() else {
                continue;
            };
            let slot = entry.slot();
            if entry.is_stale() {
                slot.unseal(word);
                continue;
            }
            let stamp = word.stamp().next(version);
            if stamp.version() > version {
                // A sub-version was full. No stamp may be further than one beyond the clock when it is published.
                domain.tick_to(version);
                latest = latest.max(stamp.version());
            }
            slot.set_writer(label);
            slot.publish(stamp);
            if word.has(Word::WATCHED) {
                domain.waiters.wake(slot);
            }
        }
        latest
    }
}

/// Commits what is buffered and answers the version at which it is true. `record` is step 5: it is given the version
/// taken from the clock and answers the one to use, which must not be lower; if it takes one of its own, it asks the reads
/// whether they [still hold](ReadSet::still_hold) before it does anything that cannot be taken back.
///
/// # Errors
/// Nothing was written then.
#[inline]
pub(crate) fn commit<P: Pending>(
    domain: &Domain,
    isolation: Isolation,
    reads: &mut ReadSet,
    pending: &mut [P],
    label: u32,
    record: impl FnOnce(&mut [P], &mut ReadSet, u64) -> Result<u64, P::Failure>,
) -> Result<u64, Refusal<P::Failure>> {
    if pending.is_empty() {
        return Ok(domain.now());
    }
    if pending.len() > 1 {
        pending.sort_unstable_by_key(|entry| entry.slot().address());
    }
    let mut sealed = Sealed { pending, count: 0 };
    seal(domain, isolation, reads, &mut sealed)?;
    let version = domain.now() + 1;
    if isolation == Isolation::Safe {
        validate(reads, &mut sealed)?;
    }
    for entry in sealed.pending.iter_mut() {
        entry.prepare().map_err(Refusal::Failed)?;
    }
    let version = record(sealed.pending, reads, version).map_err(Refusal::Failed)?;
    Ok(sealed.publish(domain, version, label))
}

/// The rest of the protocol for one raw write of one variable that the caller has sealed, and found with `word`. `write`
/// stores the value, which will bear the stamp; if it refuses or panics, nothing has happened.
#[inline]
pub(crate) fn commit_one<T, E>(
    domain: &Domain,
    slot: &'static Slot,
    word: Word,
    label: u32,
    write: impl FnOnce(Stamp) -> Result<T, E>,
) -> Result<T, E> {
    struct Unseal(&'static Slot, Word);

    impl Drop for Unseal {
        fn drop(&mut self) {
            self.0.unseal(self.1);
        }
    }

    let sealed = Unseal(slot, word);
    let version = domain.now() + 1;
    let stamp = word.stamp().next(version);
    let written = write(stamp)?;
    std::mem::forget(sealed);
    publish_one(domain, slot, word, (version, stamp), label);
    Ok(written)
}

/// As [`commit_one`], for a `write` that cannot panic. False = it did not write, and nothing has happened.
#[inline]
pub(crate) fn commit_plain(
    domain: &Domain,
    slot: &'static Slot,
    word: Word,
    label: u32,
    write: impl FnOnce() -> bool,
) -> bool {
    let version = domain.now() + 1;
    let done = write();
    if done {
        publish_one(domain, slot, word, (version, word.stamp().next(version)), label);
    } else {
        slot.unseal(word);
    }
    done
}

/// Step 6 for one variable.
#[inline]
fn publish_one(domain: &Domain, slot: &'static Slot, word: Word, (version, stamp): (u64, Stamp), label: u32) {
    if stamp.version() > version {
        domain.tick_to(version);
    }
    slot.set_writer(label);
    slot.publish(stamp);
    if word.has(Word::WATCHED) {
        domain.waiters.wake(slot);
    }
}

/// Steps 1 and, for what is both read and written, 3.
#[inline]
fn seal<P: Pending>(
    domain: &Domain,
    isolation: Isolation,
    reads: &mut ReadSet,
    sealed: &mut Sealed<'_, P>,
) -> Result<(), Changed> {
    let owns_reservations = reads.is_aged();
    match seal_each(sealed, owns_reservations) {
        Err(Met::Reservation(_)) if isolation == Isolation::Raw => seal_in_turn(domain, reads, sealed),
        met => met.map_err(|met| met.rival(reads)),
    }
}

/// Why not everything could be sealed.
enum Met {
    Change(&'static Slot),
    Reservation(&'static Slot),
}

impl Met {
    #[cold]
    fn rival(self, reads: &mut ReadSet) -> Changed {
        let (Self::Change(slot) | Self::Reservation(slot)) = self;
        reads.add_rival(slot);
        Changed
    }
}

#[inline]
fn seal_each<P: Pending>(sealed: &mut Sealed<'_, P>, owns_reservations: bool) -> Result<(), Met> {
    for at in 0..sealed.pending.len() {
        let entry = &mut sealed.pending[at];
        let slot = entry.slot();
        let word = slot
            .seal(owns_reservations)
            .map_err(|Reserved| Met::Reservation(slot))?;
        let seen = entry.seen();
        *entry.before() = Some(word);
        sealed.count = at + 1;
        if seen.is_some_and(|stamp| stamp != word.stamp()) {
            return Err(Met::Change(slot));
        }
    }
    Ok(())
}

/// A raw write cannot be tried again, so it waits for the aged transaction that has reserved a variable of its. It seals
/// nothing while it waits: that transaction may want the same ones.
#[cold]
fn seal_in_turn<P: Pending>(
    domain: &Domain,
    reads: &mut ReadSet,
    sealed: &mut Sealed<'_, P>,
) -> Result<(), Changed> {
    sealed.unseal();
    // Without a ticket it is this thread's own reservation that is in the way.
    let ticket = domain.tickets.take();
    seal_each(sealed, ticket.is_some()).map_err(|met| met.rival(reads))
}

/// Step 3 for safe transactions.
#[inline]
fn validate<P: Pending>(reads: &mut ReadSet, sealed: &mut Sealed<'_, P>) -> Result<(), Changed> {
    reads.validate_anew();
    for at in 0..reads.reads().len() {
        let Read { slot, stamp } = reads.reads()[at];
        let word = slot.word();
        let current = if word.has(Word::SEALED) {
            sealed.before(slot)
        } else {
            reads.is_read_only(at);
            Some(word)
        };
        if current.is_none_or(|word| word.stamp() != stamp) {
            reads.add_rival(slot);
        }
    }
    if reads.rivals().is_empty() {
        Ok(())
    } else {
        Err(Changed)
    }
}
