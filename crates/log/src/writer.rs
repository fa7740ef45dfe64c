//! Group commit: appended records collect in a buffer; one write and one sync make the whole group durable, while the
//! next group collects.
//!
//! Locks, always taken in this order: `turn` (who syncs; one sync at a time, so that a failed one can never be followed
//! by one that seems to succeed), `writer` (who writes to the active segment), `state` (the collecting group). `append`
//! takes `state` only. Room is reserved at append: a group that was accepted always has a place to go, so that a full
//! disk is met before a record gets its position, never after. The first failed write or sync poisons the log for good.
//!
//! When companions are synced is [`Companions`]' matter: before a group is written, or with it.

use crate::{
    Directory, LogConfig, LogError,
    companions::Companions,
    frame,
    recovery::{Opened, Sealed},
    segment::{FIRST_FRAME, Identity, Segment},
    stats::Counters,
};
use quintet_core::{Clock, Durability, Error, Result};
use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

/// Locks, and goes on if another thread panicked in between: every critical section leaves its data whole at each step.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next segment, made ahead of need.
pub(crate) enum Spare {
    Absent,
    Ready(Segment),
    /// The last attempt met a full disk.
    Failed(Error),
}

/// The collecting group and what the flusher is asked for.
pub(crate) struct State {
    /// Frames; room for the mark comes first as soon as there is one.
    pub(crate) group: Vec<u8>,
    /// The last position given out.
    pub(crate) last: u64,
    /// Bytes left in the active segment behind everything that was taken from `group`.
    pub(crate) room_bytes: u64,
    pub(crate) spare: Spare,
    /// Counts failed preparations, so that a waiter can tell a new failure from an old one.
    pub(crate) failures: u64,
    /// A truncated segment whose space the next preparation takes over.
    pub(crate) recyclable: Option<u64>,
    /// Someone needs a spare now.
    pub(crate) spare_wanted: bool,
    /// The position up to which a flush was asked for.
    pub(crate) requested: u64,
    /// When the interval's next sync is due.
    pub(crate) sync_due: Option<Instant>,
    /// The flusher waits on `work`.
    pub(crate) flusher_sleeps: bool,
    pub(crate) stopping: bool,
}

/// Where groups go. Behind its own lock, so that appends go on while a group is written.
pub(crate) struct Writer {
    pub(crate) active: Segment,
    offset: u64,
    /// The first position in the active segment.
    base: u64,
    /// The group on its way to the kernel; its memory is used again.
    in_flight: Vec<u8>,
    pub(crate) sealed: Vec<Sealed>,
    /// How many copies are being made: until there are none, `sealed` keeps what it has.
    pub(crate) holds: usize,
}

impl Writer {
    /// Where the active segment's frames end.
    pub(crate) const fn end(&self) -> u64 {
        self.offset
    }
}

/// Everything that the handles and the flusher share.
pub(crate) struct Shared {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) config: LogConfig,
    pub(crate) clock: Arc<dyn Clock>,
    companions: Companions,
    /// The identity of the segment that this opening began with; later ones differ in the number.
    pub(crate) identity: Identity,
    pub(crate) turn: Mutex<()>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) state: Mutex<State>,
    /// For the flusher.
    pub(crate) work: Condvar,
    /// For those who wait for durability, room or a spare.
    pub(crate) progress: Condvar,
    pub(crate) wakers: Mutex<Vec<Waker>>,
    /// The last position in the kernel.
    written: AtomicU64,
    /// The last position on stable storage.
    synced: AtomicU64,
    poison: OnceLock<Error>,
    pub(crate) counters: Counters,
}

/// A group cannot be written without the turn, because the segment must be changed first.
struct TurnNeeded;

impl Shared {
    pub(crate) fn new(
        directory: Arc<dyn Directory>,
        config: LogConfig,
        clock: Arc<dyn Clock>,
        opened: Opened,
    ) -> Result<Self> {
        let companions = Companions::of(&config)?;
        let offset = FIRST_FRAME + frame::MARK_BYTES as u64;
        let state = State {
            group: Vec::new(),
            last: opened.last,
            room_bytes: config.segment_bytes - offset,
            spare: Spare::Absent,
            failures: 0,
            recyclable: None,
            spare_wanted: false,
            requested: opened.last,
            sync_due: None,
            flusher_sleeps: false,
            stopping: false,
        };
        let writer = Writer {
            active: opened.active,
            offset,
            base: opened.last + 1,
            in_flight: Vec::new(),
            sealed: opened.sealed,
            holds: 0,
        };
        let counters = Counters::default();
        counters.segments.store(1, Ordering::Relaxed);
        Ok(Self {
            directory,
            config,
            clock,
            companions,
            identity: opened.identity,
            turn: Mutex::new(()),
            writer: Mutex::new(writer),
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
            wakers: Mutex::default(),
            written: AtomicU64::new(opened.last),
            synced: AtomicU64::new(opened.last),
            poison: OnceLock::new(),
            counters,
        })
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// The last position in the kernel.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// The last position that is as durable as the configuration asks.
    pub(crate) fn acknowledged(&self) -> u64 {
        match self.config.durability {
            Durability::Full => self.synced(),
            Durability::Interval | Durability::Relaxed => self.written.load(Ordering::Acquire),
        }
    }

    /// # Errors
    /// When the log is poisoned.
    pub(crate) fn check(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned { cause: cause.clone() }.into()),
        }
    }

    /// Refuses everything from now on, tells everybody, and hands back the error to answer.
    pub(crate) fn poison(&self, cause: Error) -> Error {
        let cause = self.poison.get_or_init(|| cause).clone();
        self.announce();
        LogError::Poisoned { cause }.into()
    }

    /// Wakes everyone who waits for progress.
    pub(crate) fn announce(&self) {
        // Through the lock, so that a waiter between its check and its wait does not miss it.
        drop(lock(&self.state));
        self.progress.notify_all();
        for waker in lock(&self.wakers).iter() {
            waker.wake_by_ref();
        }
    }

    /// Wakes the flusher if it sleeps.
    pub(crate) fn wake_flusher(&self, state: &mut State) {
        if mem::take(&mut state.flusher_sleeps) {
            self.work.notify_one();
        }
    }

    /// Writes the group to the kernel.
    pub(crate) fn write_group(&self) -> Result<()> {
        self.check()?;
        if self.try_write_group(None)?.is_err() {
            let turn = lock(&self.turn);
            self.write_group_in(&turn)?;
        }
        Ok(())
    }

    /// The same for the holder of the turn.
    fn write_group_in(&self, turn: &MutexGuard<'_, ()>) -> Result<()> {
        // With the turn it never answers that it needs it.
        self.try_write_group(Some(turn)).map(|_| ())
    }

    fn try_write_group(&self, turn: Option<&MutexGuard<'_, ()>>) -> Result<Result<(), TurnNeeded>> {
        let mut writer = lock(&self.writer);
        self.check()?;
        let mut state = lock(&self.state);
        if state.group.is_empty() {
            return Ok(Ok(()));
        }
        let first = self.written.load(Ordering::Relaxed) + 1;
        let group_bytes = state.group.len() as u64;
        let mut fresh = None;
        if group_bytes > state.room_bytes {
            if turn.is_none() {
                return Ok(Err(TurnNeeded));
            }
            if let Spare::Ready(segment) = mem::replace(&mut state.spare, Spare::Absent) {
                fresh = Some(segment);
                state.room_bytes = self.config.segment_bytes - FIRST_FRAME;
            }
        }
        let Some(room_bytes) = state.room_bytes.checked_sub(group_bytes) else {
            drop(state);
            let text = "a group was accepted that has no place in a segment";
            return Err(self.poison(Error::new(quintet_core::ErrorKind::Io, text)));
        };
        state.room_bytes = room_bytes;
        let last = state.last;
        mem::swap(&mut state.group, &mut writer.in_flight);
        if self.wants_spare(&state) {
            self.wake_flusher(&mut state);
        }
        drop(state);
        self.progress.notify_all(); // There is room in the group again.
        self.write_in_flight(&mut writer, fresh, first, last)
            .map_err(|error| self.poison(error))?;
        Ok(Ok(()))
    }

    /// Writes the group that was taken, into a fresh segment if there is one.
    fn write_in_flight(
        &self,
        writer: &mut Writer,
        fresh: Option<Segment>,
        first: u64,
        last: u64,
    ) -> Result<()> {
        if let Some(segment) = fresh {
            // All that lies before a segment is durable before its first byte is written.
            self.sync_file(&*writer.active.file, first - 1)?;
            let number = writer.active.number;
            writer.sealed.push(Sealed {
                number,
                last: first - 1,
            });
            writer.active = segment;
            writer.offset = FIRST_FRAME;
            writer.base = first;
            self.counters.segments.fetch_add(1, Ordering::Relaxed);
        }
        // Before the write, not merely before the sync: what is in the kernel may reach the disk at any moment.
        self.companions.before_write()?;
        let mark = frame::mark(self.identity.salt(), first, self.synced());
        writer.in_flight[..frame::MARK_BYTES].copy_from_slice(&mark);
        writer.active.file.write_at(&writer.in_flight, writer.offset)?;
        let group_bytes = writer.in_flight.len() as u64;
        writer.offset += group_bytes;
        writer.in_flight.clear();
        self.counters.group(group_bytes);
        self.written.store(last, Ordering::Release);
        Ok(())
    }

    /// The file and its companions; then everything up to `position` counts as durable. Needs the turn.
    fn sync_file(&self, file: &dyn crate::File, position: u64) -> Result<()> {
        if position <= self.synced() {
            return Ok(());
        }
        let begun = self.clock.now();
        self.companions.sync_with(file)?;
        let took = self.clock.now().saturating_duration_since(begun);
        self.counters
            .synced(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.synced.store(position, Ordering::Release);
        Ok(())
    }

    /// Writes what has collected and syncs it. Answers what is durable now.
    pub(crate) fn flush(&self) -> Result<u64> {
        let turn = lock(&self.turn);
        self.flush_in(&turn)
    }

    /// The same for the holder of the turn.
    pub(crate) fn flush_in(&self, turn: &MutexGuard<'_, ()>) -> Result<u64> {
        self.check()?;
        self.write_group_in(turn)?;
        let (file, written) = {
            let writer = lock(&self.writer);
            (writer.active.file.clone(), self.written.load(Ordering::Acquire))
        };
        let before = self.synced();
        self.sync_file(&*file, written)
            .map_err(|error| self.poison(error))?;
        self.check()?;
        if written > before {
            self.announce();
        }
        Ok(written)
    }

    /// Whether the next segment should be made now: half of the active one is used, or someone waits for it.
    pub(crate) fn wants_spare(&self, state: &State) -> bool {
        match state.spare {
            Spare::Ready(_) => false,
            Spare::Absent => state.spare_wanted || state.room_bytes < self.config.segment_bytes / 2,
            Spare::Failed(_) => state.spare_wanted,
        }
    }

    /// Takes the segments out of the list that hold nothing after `up_to`, once what follows them is durable.
    pub(crate) fn take_truncated(&self, up_to: u64) -> Result<Vec<Sealed>> {
        self.check()?;
        // The active segment's first mark carries the position on when all before it are gone.
        let base = lock(&self.writer).base;
        if self.synced() < base - 1 || lock(&self.writer).sealed.is_empty() {
            self.flush()?;
        }
        let mut writer = lock(&self.writer);
        if writer.holds > 0 {
            return Ok(Vec::new());
        }
        let taken = writer
            .sealed
            .iter()
            .take_while(|sealed| sealed.last <= up_to)
            .count();
        Ok(writer.sealed.drain(..taken).collect())
    }

    /// The active file and where its frames end, for the last trim.
    pub(crate) fn active_end(&self) -> (Arc<dyn crate::File>, u64) {
        let writer = lock(&self.writer);
        (writer.active.file.clone(), writer.offset)
    }
}
