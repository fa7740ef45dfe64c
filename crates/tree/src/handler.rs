//! [`TreeHandler`]: the one writer. It gathers the writes of a batch over one snapshot and commits them in one transaction.
//!
//! Invariants: a message works on a layer of its own, which joins the batch's only when it succeeded; nothing reaches the
//! disk, a reader or a watcher before `commit`; sequence numbers of a failed batch are given again, for nobody saw them.
//! Run by core's `BatchController`.

use crate::{
    Config, Path, TreeError, TreeMessage, TreeReply, View, Write, Written, edit,
    guard::{ReadAccess, WriteAccess},
    index::Indexes,
    inner::Inner,
    message::Reindex,
    prepare::prepare,
    store::{
        Rows, SEQ_MARK, Stage,
        lmdb::Snapshot,
        overlay::{Layered, Overlay},
    },
};
use quintet_core::{Clock, Commit, ErrorKind, MessageHandler, Result, Seq};
use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
};

/// The writer's state.
pub struct TreeHandler {
    inner: Arc<Inner>,
    /// What the batch is over; taken with its first write, given up at its commit.
    base: Option<Snapshot>,
    batch: Overlay,
    /// The size of what the batch sets, and of all rows below it.
    set_bytes: u64,
    live_bytes: u64,
    /// What the batch's writes changed, in order.
    written: Vec<Publication>,
    /// Indexes to declare once the batch is committed.
    reindexes: Vec<Reindex>,
    committed: u64,
    poisoned: bool,
}

/// A write that watchers are told of.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) written: Written,
    /// Where an update was made; `None` for a set.
    pub(crate) update_at: Option<Path>,
    /// About how much memory it takes.
    pub(crate) bytes: u64,
}

impl TreeHandler {
    /// Opens the tree in `config.dir`, for a controller of the caller's own.
    ///
    /// # Errors
    /// As [`Tree::open`](crate::Tree::open).
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> std::result::Result<Self, TreeError> {
        let inner = Arc::new(Inner::open(config, clock)?);
        let committed = crate::store::read_mark(&inner.lmdb.snapshot()?, SEQ_MARK)?;
        inner.stats.last_seq.store(committed, Ordering::Relaxed);
        Ok(Self {
            inner,
            base: None,
            batch: Overlay::default(),
            set_bytes: 0,
            live_bytes: 0,
            written: Vec::new(),
            reindexes: Vec::new(),
            committed,
            poisoned: false,
        })
    }

    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// Makes the next commit fail with this kind, as if the disk had.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&mut self, kind: ErrorKind) {
        self.inner.fail_next_commit(kind);
    }

    /// Reads what is committed.
    pub(crate) fn committed<T>(
        &self,
        read: impl FnOnce(&View<'_>) -> std::result::Result<T, TreeError>,
    ) -> std::result::Result<T, TreeError> {
        self.inner.read(read)
    }

    /// Reads what is committed and what the batch has on top.
    pub(crate) fn staged<T>(
        &mut self,
        read: impl FnOnce(&View<'_>) -> std::result::Result<T, TreeError>,
    ) -> std::result::Result<T, TreeError> {
        let base = base(&mut self.base, &self.inner)?;
        let rows = Layered {
            base,
            top: &self.batch,
        };
        read(&View::new(&rows, &self.inner.config))
    }

    /// Carries out one write on top of the batch.
    pub(crate) fn write(&mut self, write: Write) -> std::result::Result<TreeReply, TreeError> {
        if self.poisoned {
            return Err(TreeError::Poisoned);
        }
        let Write {
            path,
            work,
            if_match,
            guard,
        } = write;
        let inner = &self.inner;
        let is_update = work.is_update();
        let targets = prepare(&inner.config, &path, work)?;
        let now_ms = inner.now_ms();
        let rows = Layered {
            base: base(&mut self.base, inner)?,
            top: &self.batch,
        };
        let before = View::new(&rows, &inner.config);
        if let Some(expected) = if_match {
            // The answer shows what is there, or that it has the tag: that is a read, whoever may write here.
            if let Some(guard) = &guard {
                let access = ReadAccess {
                    path: &path,
                    query: None,
                    now_ms,
                };
                guard.check_read(&access, &before)?;
            }
            let etag = before.etag(&path)?;
            if etag != expected {
                return Ok(TreeReply::Mismatch {
                    etag,
                    value: before.get(&path)?,
                });
            }
        }
        let mut stage = Stage::new(&rows);
        let changes = edit::apply(&mut stage, &inner.config, &inner.indexes(), now_ms, targets)?;
        if let Some(guard) = guard {
            let after_rows = stage.rows();
            // An update of nothing is a write where it was made: of what is there.
            let asked = if changes.is_empty() {
                Cow::Owned(vec![(path.clone(), before.get(&path)?)])
            } else {
                Cow::Borrowed(&changes)
            };
            let access = WriteAccess {
                changes: &asked,
                now_ms,
            };
            guard.check_write(&access, &before, &View::new(&after_rows, &inner.config))?;
        }
        let (changed, set_bytes) = (stage.changes, stage.set_bytes);
        if set_bytes > 0 {
            self.check_room(set_bytes)?;
        }
        self.set_bytes += set_bytes;
        self.batch.absorb(changed);
        let seq = Seq(self.committed + self.written.len() as u64 + 1);
        let written = Written {
            seq,
            changes: changes.into(),
        };
        self.written.push(Publication {
            written: written.clone(),
            update_at: is_update.then_some(path),
            bytes: 256 + 2 * set_bytes,
        });
        Ok(TreeReply::Written(written))
    }

    /// Refuses what might not fit, so that it alone fails and not the batch, and so that removing stays possible.
    fn check_room(&mut self, set_bytes: u64) -> std::result::Result<(), TreeError> {
        if self.set_bytes == 0
            && let Some(base) = &self.base
        {
            self.live_bytes = base.live_bytes()?;
        }
        // A row takes its own size, what is left over in its pages, and the way to it.
        let needed = self.live_bytes + (self.set_bytes + set_bytes) / 4 * 5 + (64 << 10);
        let limit = self.inner.lmdb.limit_bytes();
        if needed > limit {
            let fault = format!("{needed} bytes would be in use, the map has room for {limit}");
            return Err(TreeError::Lmdb { full: true, fault });
        }
        Ok(())
    }

    fn write_batch(&mut self) -> std::result::Result<(), TreeError> {
        #[cfg(feature = "testing")]
        if let Some(kind) = self.inner.told_to_fail() {
            return Err(TreeError::Core(quintet_core::Error::new(
                kind,
                "the commit was told to fail",
            )));
        }
        self.inner.lmdb.write(&self.batch)
    }

    fn give_up(&mut self) {
        self.base = None;
        self.set_bytes = 0;
        self.batch.clear();
        self.written.clear();
    }
}

/// The snapshot under the batch.
fn base<'a>(base: &'a mut Option<Snapshot>, inner: &Inner) -> std::result::Result<&'a dyn Rows, TreeError> {
    if base.is_none() {
        *base = Some(inner.lmdb.snapshot()?);
    }
    match base {
        Some(snapshot) => Ok(snapshot),
        None => Err(TreeError::Closed),
    }
}

impl MessageHandler<TreeMessage> for TreeHandler {
    fn handle(&mut self, message: TreeMessage) -> Result<TreeReply> {
        match message {
            TreeMessage::Get { path } => Ok(TreeReply::Value(self.committed(|view| view.get(&path))?)),
            TreeMessage::Write(waiting) => Ok(self.write(*waiting.write)?),
            TreeMessage::Reindex(reindex) => {
                self.reindexes.push(reindex);
                Ok(TreeReply::Reindexed)
            }
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        let waiting = std::mem::take(&mut self.reindexes);
        self.commit_writes()?;
        for reindex in waiting {
            let outcome = self.reindex(&reindex.declared);
            // Whoever asked may be gone.
            let _told = reindex.outcome.try_send(outcome);
        }
        Ok(Commit::Done)
    }
}

impl TreeHandler {
    fn commit_writes(&mut self) -> Result<()> {
        if self.poisoned {
            self.give_up();
            return Err(TreeError::Poisoned.into());
        }
        if self.written.is_empty() {
            self.give_up();
            return Ok(());
        }
        // A snapshot would keep the pages from being used again.
        self.base = None;
        let seq = self.committed + self.written.len() as u64;
        self.batch
            .set(SEQ_MARK.to_vec(), Some(seq.to_be_bytes().to_vec()));
        if let Err(error) = self.write_batch() {
            self.give_up();
            self.note_failure(&error);
            return Err(error.into());
        }
        self.committed = seq;
        let stats = &self.inner.stats;
        stats.full.store(false, Ordering::Relaxed);
        stats.commits.fetch_add(1, Ordering::Relaxed);
        stats
            .writes
            .fetch_add(self.written.len() as u64, Ordering::Relaxed);
        self.set_bytes = 0;
        self.batch.clear();
        self.inner.publish(&mut self.written);
        Ok(())
    }

    fn reindex(&mut self, declared: &Indexes) -> std::result::Result<(), TreeError> {
        // Nothing is staged; a snapshot from before would not show what is built now.
        self.give_up();
        let done = self.inner.reindex(declared);
        if let Err(error) = &done
            && matches!(error.kind(), ErrorKind::Full | ErrorKind::Io)
        {
            self.note_failure(error);
        }
        done
    }

    /// After a transaction that failed.
    fn note_failure(&mut self, error: &TreeError) {
        // No room is no failure: nothing was written, and nothing is in doubt.
        self.poisoned = error.kind() != ErrorKind::Full || !self.inner.lmdb.can_write();
        let stats = &self.inner.stats;
        stats.poisoned.store(self.poisoned, Ordering::Relaxed);
        stats
            .full
            .store(error.kind() == ErrorKind::Full, Ordering::Relaxed);
    }
}
