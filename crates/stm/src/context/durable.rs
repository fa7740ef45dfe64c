//! A context on a log: opening it, making commits durable, checkpoints.
//!
//! Every recorded commit is one record; see [`record`](super::record) for the bytes. A checkpoint is a snapshot file with
//! the whole state at a log position, after which older records are given back. Heavy values live in memory only.

use super::{
    Context, ContextConfig, Snapshot,
    cell::Cell,
    change::{ChangeSet, Message},
    journal::{Image, Journal, apply},
    kept::Kept,
    record::{self, Record},
};
use crate::{Error, Result, primitive::lock};
use quintet_core::{Clock, Seq};
use quintet_log::{Claim, ClaimGuard, Directory, Log, LogConfig, Recovery, snapshot};
use std::{collections::VecDeque, sync::Arc};

/// The checkpoint's file name.
const CHECKPOINT: &str = "context.snapshot";

/// The directory of a durable context.
pub(super) struct Home {
    directory: Arc<dyn Directory>,
    /// Held until the context is gone.
    _claim: ClaimGuard,
}

/// The state as it is read back.
#[derive(Default)]
struct Replayed {
    image: Image,
    version: u64,
    last_message: u64,
    outbox: VecDeque<Message>,
    /// The change sets since the checkpoint, for the history.
    sets: VecDeque<ChangeSet>,
    /// The version before the first of them.
    base_version: u64,
    keep: usize,
}

impl Replayed {
    fn take(&mut self, bytes: &[u8]) -> quintet_core::Result<()> {
        let version = self.version;
        let corrupted = |reason| quintet_core::Error::from(Error::Corrupted { version, reason });
        match record::decode(bytes).map_err(corrupted)? {
            Record::Head {
                version,
                last_message,
            } => {
                self.version = version;
                self.base_version = version;
                self.last_message = last_message;
            }
            Record::Value(path, value) => {
                self.image.insert(path, value);
            }
            Record::Message(message) => self.outbox.push_back(message),
            Record::Delivered(id) => self.outbox.retain(|message| message.id > id),
            Record::Changes(set) => self.redo(set).map_err(corrupted)?,
        }
        Ok(())
    }

    fn redo(&mut self, mut set: ChangeSet) -> std::result::Result<(), String> {
        if set.version <= self.version {
            return Err(format!("followed by version {}", set.version));
        }
        for change in &mut set.changes {
            change.old = self.image.get(&change.path).cloned();
        }
        apply(&mut self.image, &set.changes);
        self.version = set.version;
        self.outbox.extend(set.messages.iter().cloned());
        self.last_message = set
            .messages
            .last()
            .map_or(self.last_message, |message| message.id);
        self.sets.push_back(set);
        if self.sets.len() > self.keep
            && let Some(oldest) = self.sets.pop_front()
        {
            self.base_version = oldest.version;
        }
        Ok(())
    }

    fn into_journal(self) -> Journal {
        let mut journal = Journal::default();
        for (path, value) in &self.image {
            let cell = Arc::new(Cell::new(path.clone()));
            cell.restore(self.version, value.clone());
            journal.structure.insert(path.clone(), cell);
        }
        journal.restore(self.base_version, self.outbox, self.last_message);
        for set in self.sets {
            journal.push(Kept::Whole(Arc::new(set)), self.keep);
        }
        journal
    }
}

impl Context {
    /// Opens or creates a durable context in a directory: the last checkpoint, and every record after it. The version is
    /// that of the last durable record. Durability is the log's setting.
    ///
    /// The directory is this context's alone until the last handle goes: another process, or another context of this one,
    /// is refused. Blocks: reads the checkpoint and the log, writes one log segment.
    ///
    /// # Errors
    /// A limit out of its range; [`Error::Log`] of kind [`Unavailable`](quintet_core::ErrorKind::Unavailable) when the
    /// directory is in use, else as [`Log::open`]; [`Error::Corrupted`] inside it for a record that cannot
    /// be understood.
    pub fn open(
        name: &str,
        directory: Arc<dyn Directory>,
        config: ContextConfig,
        log: LogConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery)> {
        config.validate()?;
        let claim = directory.claim(Claim::Alone).map_err(Error::Log)?;
        let mut replayed = Replayed {
            keep: config.history,
            ..Replayed::default()
        };
        let watermark =
            snapshot::read(&*directory, CHECKPOINT, &mut |item| replayed.take(item)).map_err(Error::Log)?;
        let (log, recovery) = Log::open(
            directory.clone(),
            log,
            clock,
            watermark.unwrap_or(Seq::ZERO),
            &mut |_, bytes| replayed.take(bytes),
        )
        .map_err(Error::Log)?;
        let context = Self::assemble(name, config, replayed.into_journal(), Some(log));
        *lock(&context.shared.checkpoint) = Some(Home {
            directory,
            _claim: claim,
        });
        Ok((context, recovery))
    }

    /// Writes the whole state beside the log and gives back the log before it. Others go on meanwhile. Does nothing in a
    /// context without a log.
    ///
    /// Blocks: O(values), syncs.
    ///
    /// # Errors
    /// [`Error::Log`]: the former checkpoint stays.
    pub fn checkpoint(&self) -> Result<()> {
        let home = lock(&self.shared.checkpoint);
        let Some(Home { directory, .. }) = home.as_ref() else {
            return Ok(());
        };
        let (view, log, seq, head, messages) = {
            let Some(log) = &self.shared.log else {
                return Ok(());
            };
            // One moment of state, log position and outbox: commits enter under this lock.
            let mut journal = lock(&self.shared.journal);
            let view = Snapshot::take_locked(&self.shared, &mut journal);
            let head = record::encode_head(journal.version, journal.last_message());
            (view, log, log.last(), head, journal.outbox.clone())
        };
        let write = || -> quintet_core::Result<()> {
            log.sync()?;
            snapshot::write(&**directory, CHECKPOINT, seq, |sink| {
                sink.put(&head)?;
                for (path, value) in view.all().filter(|(path, _)| record::is_durable(path)) {
                    sink.put(&record::encode_value(path, &value))?;
                }
                messages
                    .iter()
                    .try_for_each(|message| sink.put(&record::encode_message(message)))
            })?;
            log.truncate(seq)
        };
        write().map_err(Error::Log)
    }

    /// Copies the context into an empty directory, which opens like the original, while others go on: every commit that was
    /// answered before the call is in it, and none without those before it. `each` is told the bytes of each piece and may
    /// end the copying with an error. Answers the log's last position in the copy.
    ///
    /// Blocks until the copy is on stable storage.
    ///
    /// # Errors
    /// [`Error::Log`]: of kind [`Unsupported`](quintet_core::ErrorKind::Unsupported) for a context in memory, else what
    /// either directory or `each` answers; the copy is of no use then.
    pub fn backup(
        &self,
        to: &dyn Directory,
        each: &mut dyn FnMut(u64) -> quintet_core::Result<()>,
    ) -> Result<Seq> {
        let Some(log) = &self.shared.log else {
            let why = "a context without a log has nothing to copy";
            let kind = quintet_core::ErrorKind::Unsupported;
            return Err(Error::Log(quintet_core::Error::new(kind, why)));
        };
        log.source().copy(CHECKPOINT, to, each).map_err(Error::Log)
    }

    /// Whether commits are taken, as far as is known without making one.
    ///
    /// # Errors
    /// [`Error::Log`] when the log has failed.
    pub fn health(&self) -> Result<()> {
        let log = self.shared.log.as_ref();
        log.map_or(Ok(()), |log| log.durable().map(drop).map_err(Error::Log))
    }

    /// What the log has done since it was opened; `None` in memory.
    #[must_use]
    pub fn log_stats(&self) -> Option<quintet_log::LogStats> {
        self.shared.log.as_ref().map(Log::stats)
    }

    /// Makes everything committed durable and ends the log. Later commits are refused.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn close(&self) -> Result<()> {
        match &self.shared.log {
            Some(log) => log.close().map_err(Error::Log),
            None => Ok(()),
        }
    }
}
