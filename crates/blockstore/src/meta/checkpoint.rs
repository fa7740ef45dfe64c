//! The thread that moves frozen entries into LMDB and cuts the log behind them.
//!
//! It sleeps until the writer froze a generation and asked. Order: the log is synced up to the generation's last record,
//! the entries and the watermark are written in one synced LMDB transaction, readers are sent there by discarding the
//! generation, the log is cut. A crash between any two steps replays records that LMDB has already, which changes nothing.

use super::{lmdb::Lmdb, memtable::Memtable};
use crate::BlockError;
use quintet_core::{Error, Seq};
use quintet_log::Log;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The durable state that the writer, the readers and the checkpointer share.
pub(super) struct Durable {
    pub(super) memtable: Memtable,
    pub(super) lmdb: Lmdb,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Nothing is frozen.
    Idle,
    /// The frozen generation is to be written; it ends at this record.
    Wanted(Seq),
    /// It is being written.
    Writing,
    /// It could not be written and is still frozen.
    Failed(Seq, Error),
    /// The thread is to end.
    Stopped,
}

struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        let mut now = self.lock();
        if !matches!(*now, Phase::Stopped) {
            *now = phase;
        }
        drop(now);
        self.changed.notify_all();
    }
}

/// The writer's handle on the thread. Dropping it waits for a write in progress and ends the thread.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn spawn(durable: Arc<Durable>, log: Log) -> Result<Self, BlockError> {
        let shared = Arc::new(Shared {
            phase: Mutex::new(Phase::Idle),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&theirs, &durable, &log))
            .map_err(|error| BlockError::io("starting the checkpoint thread", error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether nothing is frozen, so that the next generation may be.
    pub(super) fn is_idle(&self) -> bool {
        matches!(*self.shared.lock(), Phase::Idle)
    }

    /// Asks for the frozen generation, which ends at `seq`, to be written.
    pub(super) fn request(&self, seq: Seq) {
        self.shared.set(Phase::Wanted(seq));
    }

    /// Why the last attempt failed, if it did.
    pub(super) fn failure(&self) -> Option<Error> {
        match &*self.shared.lock() {
            Phase::Failed(_, error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Tries a failed write again.
    pub(super) fn retry(&self) {
        let failed = match *self.shared.lock() {
            Phase::Failed(seq, _) => Some(seq),
            _ => None,
        };
        if let Some(seq) = failed {
            self.request(seq);
        }
    }

    /// Blocks until nothing is frozen, or the attempt failed.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let busy = |phase: &mut Phase| matches!(phase, Phase::Wanted(_) | Phase::Writing);
        let phase = self
            .shared
            .changed
            .wait_while(self.shared.lock(), busy)
            .unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::Failed(_, error) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        *self.shared.lock() = Phase::Stopped;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook; what it was writing is still in the log.
            let _ended = thread.join();
        }
    }
}

fn run(shared: &Shared, durable: &Durable, log: &Log) {
    loop {
        let idle = |phase: &mut Phase| !matches!(phase, Phase::Wanted(_) | Phase::Stopped);
        let mut phase = shared
            .changed
            .wait_while(shared.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let Phase::Wanted(seq) = *phase else {
            return;
        };
        *phase = Phase::Writing;
        drop(phase);
        let next = match write(durable, log, seq) {
            Ok(()) => Phase::Idle,
            Err(error) => Phase::Failed(seq, error),
        };
        shared.set(next);
    }
}

fn write(durable: &Durable, log: &Log, seq: Seq) -> Result<(), Error> {
    if log.synced() < seq {
        log.sync()?;
    }
    let generations = durable.memtable.frozen();
    let mut entries: Vec<(&[u8], Option<&[u8]>)> = generations
        .iter()
        .flat_map(|generation| generation.iter())
        .map(|(key, value)| (&**key, value.as_deref()))
        .collect();
    // In key order LMDB fills each leaf page once.
    entries.sort_unstable_by_key(|(key, _)| *key);
    durable.lmdb.write(&entries, seq)?;
    durable.memtable.discard_frozen();
    log.truncate(seq)?;
    Ok(())
}
