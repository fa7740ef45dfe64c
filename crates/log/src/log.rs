//! The handle that engines hold: append, commit, durable, truncate, close. Clones share one log.

use crate::{
    Alarm, Directory, LogConfig, LogError, LogStats, Recovery, flusher, recovery, segment,
    writer::{Shared, lock},
};
use quintet_core::{Clock, Commit, Deadline, Durability, Error, Result, Seq};
use std::{
    sync::{Arc, Mutex, PoisonError, TryLockError},
    task::Waker,
    thread::{self, JoinHandle},
};

/// How many wakers a log keeps.
const MAX_WAKERS: usize = 64;

/// A durable sequence of records.
///
/// One log per directory, one open `Log` per log at a time: the caller sees to that (the server holds a lock file). All
/// methods take `&self`; clones are cheap and share the log, which closes when the last one is dropped.
///
/// An appended record cannot be withdrawn. It is on its way when [`commit`](Self::commit) was called, by whatever thread.
///
/// After a failed write or sync, its own or one of a [companion](crate::Alarm), the log is *poisoned*: every call answers
/// [`Poisoned`](quintet_core::ErrorKind::Poisoned) with the cause as source, nothing is retried, and whether what was in
/// flight is stored shows when the log is opened again.
#[derive(Clone)]
pub struct Log {
    owner: Arc<Owner>,
}

/// Closes the log when the last handle goes.
struct Owner {
    shared: Arc<Shared>,
    flusher: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens or creates the log in a directory and hands every record after `after` to `replay`, oldest first.
    ///
    /// `after` is the caller's watermark: the position that its snapshot covers, or [`Seq::ZERO`]. Positions go on after
    /// the larger of it and the last record. The torn end of the last write is left out and never comes back; see
    /// [`Recovery`]. A `replay` that answers [`LogError::BytesMissing`] ends the log before that record
    /// too, unless the record is known to have been durable: see
    /// [`companions`](LogConfig::companions). Blocks: reads what is replayed, writes and syncs one new segment, starts the flusher's thread.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) for a setting out of range;
    /// [`Corrupted`](quintet_core::ErrorKind::Corrupted) with file and offset for damage that is not a torn end, or when records after
    /// `after` are missing; [`Unsupported`](quintet_core::ErrorKind::Unsupported) for a newer format; what the directory or `replay`
    /// answers.
    pub fn open(
        directory: Arc<dyn Directory>,
        config: LogConfig,
        clock: Arc<dyn Clock>,
        after: Seq,
        replay: &mut dyn FnMut(Seq, &[u8]) -> Result<()>,
    ) -> Result<(Self, Recovery)> {
        config.validate()?;
        let opened = recovery::recover(&*directory, &config, &*clock, after, replay)?;
        let recovery = opened.recovery;
        let shared = Arc::new(Shared::new(directory, config, clock, opened)?);
        let for_flusher = shared.clone();
        let flusher = thread::Builder::new()
            .name("log-flusher".to_owned())
            .spawn(move || flusher::run(&for_flusher))
            .map_err(Error::from)?;
        let owner = Owner {
            shared,
            flusher: Mutex::new(Some(flusher)),
        };
        Ok((
            Self {
                owner: Arc::new(owner),
            },
            recovery,
        ))
    }

    fn shared(&self) -> &Shared {
        &self.owner.shared
    }

    pub(crate) fn shared_handle(&self) -> Arc<Shared> {
        Arc::clone(&self.owner.shared)
    }

    /// Adds a record to the collecting group and answers its position. An empty record is a record.
    ///
    /// Copies the bytes; no I/O in the usual case. Back-pressure: when the group is full it waits for the flush that is
    /// running (level full) or writes the group itself (other levels); when the next segment is needed and not ready, it
    /// waits for it.
    ///
    /// # Errors
    /// [`TooLarge`](quintet_core::ErrorKind::TooLarge) above the configured limit; [`Full`](quintet_core::ErrorKind::Full) when the disk has no room
    /// for the next segment: nothing was stored and the log goes on when there is room again;
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned); [`Closed`](quintet_core::ErrorKind::Closed).
    pub fn append(&self, record: &[u8]) -> Result<Seq> {
        self.shared().append(&[record]).map(Seq)
    }

    /// Adds several records, with consecutive positions unless it has to wait in between, and answers the last one's
    /// (the last position in use if there is no record). Cheaper than one by one.
    ///
    /// # Errors
    /// As [`append`](Self::append). `TooLarge` means that none was added; with any other error those before the refused
    /// one were.
    pub fn append_all(&self, records: &[&[u8]]) -> Result<Seq> {
        self.shared().append(records).map(Seq)
    }

    /// Sends everything appended so far on its way.
    ///
    /// At level full, the flusher is told and the answer is [`Commit::Pending`] with the position to wait for; no I/O on
    /// this thread. At the other levels the group is written to the kernel here and the answer is [`Commit::Done`].
    /// `Done` always means that nothing appended before is outstanding.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned), also when this write is what failed; [`Closed`](quintet_core::ErrorKind::Closed).
    pub fn commit(&self) -> Result<Commit> {
        let shared = self.shared();
        shared.check()?;
        if shared.config.durability != Durability::Full {
            shared.write_group()?;
            self.arm_interval()?;
            return Ok(Commit::Done);
        }
        let mut state = lock(&shared.state);
        let last = state.last;
        if last <= shared.synced() {
            return Ok(Commit::Done);
        }
        if state.stopping {
            return Err(LogError::Closed.into());
        }
        if state.requested < last {
            state.requested = last;
            shared.wake_flusher(&mut state);
        }
        Ok(Commit::Pending(Seq(last)))
    }

    /// Sees to it that what was written is synced in time; wakes the flusher when it is due already.
    fn arm_interval(&self) -> Result<()> {
        let shared = self.shared();
        if shared.config.durability != Durability::Interval || shared.acknowledged() <= shared.synced() {
            return Ok(());
        }
        let now = shared.clock.now();
        let mut state = lock(&shared.state);
        if state.stopping {
            return Err(LogError::Closed.into());
        }
        match state.sync_due {
            Some(due) if now < due => {}
            Some(_) => shared.wake_flusher(&mut state),
            None => {
                state.sync_due = Some(now + shared.config.interval);
                shared.wake_flusher(&mut state); // So that it sleeps with a timer now.
            }
        }
        Ok(())
    }

    /// The last position that is as durable as the configured level asks: on stable storage at level full, in the kernel
    /// at the others. Never goes back. Two atomic loads.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned).
    pub fn durable(&self) -> Result<Seq> {
        let acknowledged = self.shared().acknowledged();
        self.shared().check()?;
        Ok(Seq(acknowledged))
    }

    /// The same, and stays readable when the log is poisoned: what was acknowledged before is safe. Two atomic loads.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        Seq(self.shared().acknowledged())
    }

    /// The last position known to be on stable storage, whatever the level. Stays readable when the log is poisoned.
    #[must_use]
    pub fn synced(&self) -> Seq {
        Seq(self.shared().synced())
    }

    /// The last position given out.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(lock(&self.shared().state).last)
    }

    /// Writes and syncs everything appended so far, on this thread, and answers the position that is now on stable
    /// storage. For checkpoints and for whoever must be certain now. Does nothing when nothing is unsynced.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned), also when this sync is what failed.
    pub fn sync(&self) -> Result<Seq> {
        self.shared().flush().map(Seq)
    }

    /// Asks the log's thread to [`sync`](Self::sync) next, and does not wait for it; [`synced`](Self::synced) tells how far
    /// it is, [`on_progress`](Self::on_progress) when. At level full every commit asks for that anyway.
    pub fn request_sync(&self) {
        let shared = self.shared();
        if shared.config.durability == Durability::Full {
            return;
        }
        let mut state = lock(&shared.state);
        if state.last > shared.synced() && !state.stopping {
            state.sync_due = Some(shared.clock.now());
            shared.wake_flusher(&mut state);
        }
    }

    /// Blocks until `seq` is [durable](Self::durable). If no flush is running it does one on this thread, which saves
    /// the hand-off.
    ///
    /// # Errors
    /// [`TimedOut`](quintet_core::ErrorKind::TimedOut) when the deadline passed first (a flush on this thread is not cut short);
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) for a position that was never given out;
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned).
    pub fn wait_durable(&self, seq: Seq, deadline: Option<Deadline>) -> Result<()> {
        let shared = self.shared();
        let last = self.last();
        if seq > last {
            let (seq, last) = (seq.0, last.0);
            return Err(LogError::NotAppended { seq, last }.into());
        }
        loop {
            if self.durable()? >= seq {
                return Ok(());
            }
            if shared.config.durability != Durability::Full {
                self.commit()?;
                continue;
            }
            match shared.turn.try_lock() {
                Ok(turn) => drop(shared.flush_in(&turn)?),
                Err(TryLockError::Poisoned(turn)) => drop(shared.flush_in(&turn.into_inner())?),
                Err(TryLockError::WouldBlock) => self.wait_for_flush(seq, deadline)?,
            }
        }
    }

    /// Leaves the flush to the flusher, and waits for some progress.
    fn wait_for_flush(&self, seq: Seq, deadline: Option<Deadline>) -> Result<()> {
        let shared = self.shared();
        let mut state = lock(&shared.state);
        if shared.acknowledged() >= seq.0 {
            return Ok(());
        }
        shared.check()?;
        if state.requested < seq.0 {
            state.requested = seq.0;
            shared.wake_flusher(&mut state);
        }
        match deadline {
            None => drop(
                shared
                    .progress
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            Some(deadline) if deadline.is_due(&*shared.clock) => {
                return Err(LogError::TimedOut { seq: seq.0 }.into());
            }
            Some(Deadline(at)) => {
                let left = at.saturating_duration_since(shared.clock.now());
                let woken = shared.progress.wait_timeout(state, left);
                drop(woken.unwrap_or_else(PoisonError::into_inner));
            }
        }
        Ok(())
    }

    /// Has a waker called each time [`synced`](Self::synced) advances and when the log is poisoned, until it closes.
    /// Registering the same waker again does nothing. It is called on the thread that flushed: it must not block.
    ///
    /// # Errors
    /// [`Unavailable`](quintet_core::ErrorKind::Unavailable) above 64 wakers.
    pub fn on_progress(&self, waker: &Waker) -> Result<()> {
        let mut wakers = lock(&self.shared().wakers);
        if wakers.iter().any(|known| known.will_wake(waker)) {
            return Ok(());
        }
        if wakers.len() == MAX_WAKERS {
            return Err(LogError::TooManyWakers { limit: MAX_WAKERS }.into());
        }
        wakers.push(waker.clone());
        Ok(())
    }

    /// For whoever writes to the [companions](LogConfig::companions).
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        Alarm::new(Arc::downgrade(&self.owner.shared))
    }

    /// Gives back the segments that hold no record after `up_to`; one is kept for reuse. Call it when a snapshot with
    /// that watermark is durable, and open the log with at least that watermark from then on. While a
    /// [`Hold`](crate::copy::Hold) lives it gives nothing back. Blocks: may sync, unlinks.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned); what the directory answers to a removal, which leaves a file that the next
    /// open removes.
    pub fn truncate(&self, up_to: Seq) -> Result<()> {
        let shared = self.shared();
        for sealed in shared.take_truncated(up_to.0)? {
            let mut state = lock(&shared.state);
            if state.recyclable.is_none() && !state.stopping {
                state.recyclable = Some(sealed.number);
                continue;
            }
            drop(state);
            shared.directory.remove(&segment::name(sealed.number))?;
        }
        Ok(())
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.shared().counters.read()
    }

    /// Flushes, syncs, stops the flusher and cuts the unused end off the last segment. Later calls that would write
    /// answer [`Closed`](quintet_core::ErrorKind::Closed). Calling it again does nothing. Dropping the last handle does the same, but
    /// cannot say how it went.
    ///
    /// # Errors
    /// [`Poisoned`](quintet_core::ErrorKind::Poisoned) when something before or in this last flush failed; the flusher is stopped all
    /// the same.
    pub fn close(&self) -> Result<()> {
        self.owner.close()
    }
}

impl Owner {
    fn close(&self) -> Result<()> {
        let Some(flusher) = lock(&self.flusher).take() else {
            return Ok(());
        };
        {
            let mut state = lock(&self.shared.state);
            state.stopping = true;
            self.shared.wake_flusher(&mut state);
        }
        self.shared.progress.notify_all();
        // It catches its own errors; a panic there has nothing to add.
        let _ = flusher.join();
        self.shared.flush()?;
        let (file, end) = self.shared.active_end();
        file.set_len(end)?;
        file.sync_data()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
