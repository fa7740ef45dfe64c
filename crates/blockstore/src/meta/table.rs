//! [`Table`], the writer's handle.
//!
//! Invariants: an operation is in exactly one of staged, pending and durable; groups become durable in commit order, whole;
//! readers see durable operations only; what LMDB holds is a prefix of the log, named by its watermark.

mod checkpoints;

use super::{
    Recovered, TableConfig, TableReader, batch,
    checkpoint::{Checkpointer, Durable},
    lmdb::{Lmdb, MAX_KEY_BYTES, Value},
    memtable::Memtable,
    overlay::Overlay,
    replay::Replay,
};
use crate::BlockError;
use quintet_core::{Clock, Commit, Durability, Error, ErrorKind, Seq};
use quintet_log::{Alarm, Directory, Log, LogStats};
use std::{path::Path, sync::Arc, task::Waker, time::Instant};

/// The one writer's handle on a table.
pub struct Table {
    config: TableConfig,
    clock: Arc<dyn Clock>,
    log: Log,
    durable: Arc<Durable>,
    overlay: Overlay,
    staged_bytes: usize,
    /// The last record whose operations are in the memtable or beyond.
    settled: Seq,
    poisoned: bool,
    /// Replayed entries name bytes of companions that nobody has looked for yet. Until [`proven`](Self::proven) no
    /// checkpoint may hold them, and no record may say that they are safe: this is how far the log was known to be synced.
    doubted_after: Option<Seq>,
    #[cfg(feature = "testing")]
    fail_next_commit: Option<ErrorKind>,
    record: Vec<u8>,
    checkpointer: Checkpointer,
    /// When the oldest change was committed, or replayed, that no checkpoint has begun to write.
    oldest: Option<Instant>,
}

impl Table {
    /// Opens or creates a table: LMDB in `lmdb_dir`, which must exist, the log in `directory`. Replays what the
    /// checkpoint lacks; blocks for that long.
    ///
    /// # Errors
    /// A configuration out of range; a damaged log or checkpoint; what the system answers.
    pub fn open(
        lmdb_dir: &Path,
        directory: Arc<dyn Directory>,
        config: TableConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovered), BlockError> {
        config.validate()?;
        let lmdb = Lmdb::open(
            lmdb_dir,
            config.map_bytes,
            config.max_map_bytes,
            config.max_readers,
        )?;
        let memtable = Memtable::new();
        let watermark = lmdb.watermark()?;
        let mut replay = Replay::after(watermark);
        let (log, _) = Log::open(
            directory,
            config.log.clone(),
            Arc::clone(&clock),
            watermark,
            &mut |seq, record| replay.record(&memtable, seq, record).map_err(Error::from),
        )?;
        let durable = Arc::new(Durable { memtable, lmdb });
        let checkpointer = Checkpointer::spawn(Arc::clone(&durable), log.clone())?;
        let (settled, recovered) = replay.finish();
        let names_bytes = !config.log.companions.is_empty();
        let oldest = (recovered.replayed_records > 0).then(|| clock.now());
        let doubted_after = (names_bytes && !recovered.unproven.is_empty()).then_some(recovered.floor);
        let mut table = Self {
            config,
            clock,
            log,
            durable,
            overlay: Overlay::default(),
            staged_bytes: 0,
            settled,
            poisoned: false,
            doubted_after,
            #[cfg(feature = "testing")]
            fail_next_commit: None,
            record: Vec::new(),
            checkpointer,
            oldest,
        };
        // What was replayed may be as much as may wait for a checkpoint, and the first write must find room.
        table.checkpoint_if_due();
        Ok((table, recovered))
    }

    /// A handle for readers of durable state.
    #[must_use]
    pub fn reader(&self) -> TableReader {
        TableReader::new(Arc::clone(&self.durable), self.log.source())
    }

    /// The value as the writer sees it: staged and pending operations included.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, BlockError> {
        match self.overlay.get(key) {
            Some(unsettled) => Ok(unsettled),
            None => self.durable.get(key),
        }
    }

    /// Stages a value.
    ///
    /// # Errors
    /// [`BlockError::EmptyKey`] or [`BlockError::TooLarge`]; [`BlockError::Busy`] when a limit on memory is reached;
    /// [`BlockError::Poisoned`]. Nothing is staged then.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), BlockError> {
        self.stage_all(&[(key, Some(value))])
    }

    /// Stages a deletion; deleting what is not there is allowed.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&mut self, key: &[u8]) -> Result<(), BlockError> {
        self.stage_all(&[(key, None)])
    }

    /// Stages several operations, all or none; `None` deletes.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn stage_all(&mut self, operations: &[(&[u8], Option<&[u8]>)]) -> Result<(), BlockError> {
        let mut bytes = 0;
        for (key, value) in operations {
            check_key(key)?;
            let value_bytes = value.map_or(0, <[u8]>::len);
            limit("a value", value_bytes, self.config.max_value_bytes)?;
            bytes += batch::op_bytes(key.len(), value_bytes);
        }
        if self.poisoned {
            return Err(BlockError::Poisoned);
        }
        // Half of it is room for the record's header and then some.
        if self.staged_bytes + bytes > self.config.max_batch_bytes - 64 {
            return Err(BlockError::Busy { what: "the batch" });
        }
        self.check_room()?;
        self.staged_bytes += bytes;
        for (key, value) in operations {
            self.overlay.stage(key, value.map(Value::from));
        }
        Ok(())
    }

    /// Refuses while the memtable is at its limit; says why if checkpoints fail.
    fn check_room(&mut self) -> Result<(), BlockError> {
        if !self.is_crowded() || self.doubted_after.is_some() {
            return Ok(());
        }
        self.checkpoint_if_due();
        if !self.is_crowded() {
            return Ok(());
        }
        match self.checkpointer.failure() {
            Some(error) => Err(error.into()),
            None => Err(BlockError::Busy {
                what: "the table of entries awaiting a checkpoint",
            }),
        }
    }

    /// Forgets what was staged since the last commit.
    pub fn rollback(&mut self) {
        self.overlay.rollback();
        self.staged_bytes = 0;
    }

    /// Commits what was staged as one log record: after a crash all of it is there or nothing. The contract is
    /// [`MessageHandler::commit`](quintet_core::MessageHandler::commit)'s. Blocks only when the log's buffer is full or,
    /// below full durability, for a write into the kernel.
    ///
    /// # Errors
    /// What the log answers; what was staged is forgotten.
    pub fn commit(&mut self) -> Result<Commit, Error> {
        if self.poisoned {
            self.rollback();
            return Err(BlockError::Poisoned.into());
        }
        if self.overlay.staged().is_empty() {
            return match self.overlay.last_pending() {
                Some(_) => self.durable().map(|_| self.outstanding()),
                None => Ok(Commit::Done),
            };
        }
        let result = self.write_record();
        self.staged_bytes = 0;
        match result {
            Ok(Commit::Pending(_)) => Ok(self.outstanding()),
            Ok(Commit::Done) => {
                self.settle(Seq::MAX);
                Ok(Commit::Done)
            }
            Err(error) => {
                self.overlay.rollback();
                Err(self.note(error))
            }
        }
    }

    /// Makes the next commit that has something to write fail with this kind, as if the log had refused it.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&mut self, kind: ErrorKind) {
        self.fail_next_commit = Some(kind);
    }

    fn write_record(&mut self) -> Result<Commit, Error> {
        #[cfg(feature = "testing")]
        if let Some(kind) = self.fail_next_commit.take() {
            return Err(Error::new(kind, "this commit was told to fail"));
        }
        let synced = self.doubted_after.unwrap_or_else(|| self.log.synced());
        let mut encoder = batch::Encoder::new(&mut self.record, synced);
        for (key, value) in self.overlay.staged() {
            encoder.push(key, value.as_deref());
        }
        let seq = self.log.append(encoder.finish())?;
        let commit = self.log.commit()?;
        self.overlay.commit(seq);
        self.oldest.get_or_insert_with(|| self.clock.now());
        Ok(commit)
    }

    fn outstanding(&self) -> Commit {
        self.overlay.last_pending().map_or(Commit::Done, Commit::Pending)
    }

    /// How far the log is durable. Shows readers what became so.
    ///
    /// # Errors
    /// When a flush failed; the table is poisoned from then on.
    pub fn durable(&mut self) -> Result<Seq, Error> {
        match self.log.durable() {
            Ok(seq) => {
                self.settle(seq);
                Ok(seq)
            }
            Err(error) => Err(self.note(error)),
        }
    }

    /// Remembers that the durable state is unknown.
    fn note(&mut self, error: Error) -> Error {
        self.poisoned |= error.kind() == ErrorKind::Poisoned;
        error
    }

    fn settle(&mut self, durable: Seq) {
        while let Some(group) = self.overlay.settle(durable) {
            for (key, value) in group.operations {
                self.durable.memtable.insert(key, value);
            }
            self.settled = group.seq;
        }
        self.checkpoint_if_due();
    }

    /// Blocks until everything committed is on stable storage, and shows it to readers.
    ///
    /// # Errors
    /// When a flush failed; the table is poisoned from then on.
    pub fn sync(&mut self) -> Result<Seq, Error> {
        if let Err(error) = self.log.sync() {
            return Err(self.note(error));
        }
        self.durable()
    }

    /// Asks for what [`sync`](Self::sync) does, without waiting for it: the log's own thread does it next. No effect at
    /// level full, where every commit asks.
    pub fn request_sync(&self) {
        self.log.request_sync();
    }

    /// How far the log is on stable storage, whatever the durability level.
    #[must_use]
    pub fn synced(&self) -> Seq {
        self.log.synced()
    }

    /// Every operation up to this position is visible to readers.
    #[must_use]
    pub fn visible(&self) -> Seq {
        self.settled
    }

    /// What an acknowledged commit survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.config.log.durability
    }

    /// The position of the last commit.
    #[must_use]
    pub fn last_commit(&self) -> Seq {
        self.overlay.last_pending().unwrap_or(self.settled)
    }

    /// Whether writes are refused because a flush failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Calls `waker` whenever [`durable`](Self::durable) may have advanced.
    ///
    /// # Errors
    /// What the log answers.
    pub fn on_progress(&self, waker: &Waker) -> Result<(), Error> {
        self.log.on_progress(waker)
    }

    /// Poisons the table when a write to the bytes that it names fails.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        self.log.alarm()
    }

    /// The log's counters.
    #[must_use]
    pub fn log_stats(&self) -> LogStats {
        self.log.stats()
    }

    /// Flushes, checkpoints and closes, so that the next open has nothing to replay. What is staged is forgotten.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn close(&mut self) -> Result<(), Error> {
        self.rollback();
        let checkpointed = if self.poisoned {
            Err(BlockError::Poisoned.into())
        } else {
            self.checkpoint()
        };
        checkpointed.and(self.log.close())
    }
}

pub(super) fn check_key(key: &[u8]) -> Result<(), BlockError> {
    if key.is_empty() {
        return Err(BlockError::EmptyKey);
    }
    limit("a key", key.len(), MAX_KEY_BYTES)
}

fn limit(what: &'static str, len: usize, max: usize) -> Result<(), BlockError> {
    if len > max {
        return Err(BlockError::TooLarge {
            what,
            len_bytes: len as u64,
            max_bytes: max as u64,
        });
    }
    Ok(())
}
