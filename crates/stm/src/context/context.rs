//! [`Context`]: the handle to a tree of named values. Clones share it.

use super::{
    Change, ChangeSet, ContextConfig, Image, Message, Path, Schema, Shared, Snapshot, Value,
    horizon::Horizon,
    index::Index,
    journal::{Journal, Needed, undo},
    lanes::Lanes,
    record,
    zone::Capability,
};
use crate::{Error, Isolation, Result, Stamp, Transaction, primitive::lock, protocol::domain::Domain};
use quintet_core::Commit;
use quintet_log::Log;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// A tree of named values, read and changed by transactions at any [level](Isolation). Clones are handles to the same
/// one, for any thread.
///
/// ```
/// use quintet_stm::{Context, Isolation};
///
/// let context = Context::new("shop");
/// context.run(Isolation::Safe, |tx| {
///     tx.set("stock.apples", 5_i64)?;
///     tx.append("LOG_events", "delivery")?;
///     tx.send("mail.customer", "apples are back")
/// }).unwrap();
/// assert_eq!(context.get("stock.apples").unwrap().unwrap().as_int(), Some(5));
/// assert_eq!(context.history(1)[0].changes.len(), 2);
/// ```
#[derive(Clone)]
pub struct Context {
    pub(super) shared: Arc<Shared>,
}

impl Context {
    /// An empty context in memory, with default limits. The name is for logs.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::assemble(name, ContextConfig::default(), Journal::default(), None)
    }

    /// An empty context in memory.
    ///
    /// # Errors
    /// A limit out of its range.
    pub fn with_config(name: &str, config: ContextConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self::assemble(name, config, Journal::default(), None))
    }

    pub(super) fn assemble(name: &str, config: ContextConfig, journal: Journal, log: Option<Log>) -> Self {
        let index = Index::new();
        let history = config.history;
        journal
            .structure
            .values()
            .for_each(|cell| index.insert(Arc::clone(cell)));
        Self {
            shared: Arc::new(Shared {
                name: Arc::from(name),
                config,
                domain: Domain::new(journal.version),
                horizon: Horizon::new(journal.version, log.is_some()),
                log,
                index,
                journal: Mutex::new(journal),
                lanes: Lanes::new(history),
                needed: Needed::new(),
                schema: RwLock::default(),
                has_schema: AtomicBool::new(false),
                checkpoint: Mutex::default(),
                delivery: Mutex::default(),
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The version that the last recorded commit made; in a durable context the last one that is as durable as its
    /// level asks. Takes a lock.
    #[must_use]
    pub fn version(&self) -> u64 {
        let newest = self.shared.gathered().version;
        newest.min(self.shared.reportable())
    }

    /// How many values there are in memory now, durable or not: for limits and gauges.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.journal).structure.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The latest committed value at a path, outside any transaction.
    ///
    /// In a durable context this waits for the write of it to be as durable as the log's level asks, if it is not yet:
    /// no reply reports what a power cut can take back.
    ///
    /// # Errors
    /// A bad path; a zone that forbids reading; [`Error::Log`] when the write of the value has failed to become durable.
    pub fn get(&self, path: &str) -> Result<Option<Value>> {
        self.get_stamped(path).map(|(value, _)| value)
    }

    /// The latest committed value at a path and its stamp, for a later [`Request`](super::Request) that depends on it.
    /// Of a path without a value the stamp is that of its absence.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_stamped(&self, path: &str) -> Result<(Option<Value>, Stamp)> {
        // The usual case at one look: a value that is there, that may be read, and that no commit is writing.
        let seen = self.shared.index.with(path, |cell| cell.glance()).flatten();
        if let Some((value, stamp)) = seen {
            self.shared.settle(stamp.version())?;
            return Ok((Some(value), stamp));
        }
        let path = Path::new(path)?;
        super::Zone::of(&path).demand(&path, &[Capability::Read])?;
        loop {
            // Not inside the index's lock: a commit that has sealed the cell may need that lock to go on.
            if let Some(cell) = self.shared.index.get(path.as_str())
                && let (Some(value), stamp) = cell.read()
            {
                self.shared.settle(stamp.version())?;
                return Ok((Some(value), stamp));
            }
            let gap = self.shared.index.gap(path.as_str());
            let stamp = gap.word().stamp();
            if self.shared.index.with(path.as_str(), |_| ()).is_none() && gap.word().stamp() == stamp {
                self.shared.settle(stamp.version())?;
                return Ok((None, stamp));
            }
            std::thread::yield_now();
        }
    }

    /// A frozen view of everything. O(1) in the number of values. In a durable context it waits until all that it shows
    /// is as durable as the log's level asks.
    ///
    /// # Errors
    /// [`Error::Log`] when something that it would show has failed to become durable.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let (snapshot, version) = {
            let mut journal = lock(&self.shared.journal);
            (Snapshot::take_locked(&self.shared, &mut journal), journal.version)
        };
        self.shared.settle(version)?;
        Ok(snapshot)
    }

    /// The newest `count` change sets, oldest first; at most as many as are kept. None that is not as durable as the
    /// log's level asks.
    #[must_use]
    pub fn history(&self, count: usize) -> Vec<Arc<ChangeSet>> {
        self.shared.gathered().history(count, self.shared.reportable())
    }

    /// The change set that made a version, if it is still kept, and as durable as the log's level asks.
    #[must_use]
    pub fn change_set(&self, version: u64) -> Option<Arc<ChangeSet>> {
        let mine = self.shared.lanes.find(version).map(|kept| kept.set());
        let set = mine.or_else(|| self.shared.gathered().change_set(version));
        set.filter(|_| version <= self.shared.reportable())
    }

    /// What is different at version `to` from version `from`, by what was recorded; either may be the newer.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] when one is not kept.
    pub fn diff(&self, from: u64, to: u64) -> Result<Vec<Change>> {
        self.shared.gathered().diff(from, to, self.shared.reportable())
    }

    /// The state at a version: the present one with what was recorded since taken back. Raw writes that were not recorded
    /// are part of the present. O(values).
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] when it is not kept.
    pub fn replay(&self, to: u64) -> Result<Image> {
        let mut journal = lock(&self.shared.journal);
        let present = Snapshot::take_locked(&self.shared, &mut journal);
        // After the snapshot, so that every commit that it shows is among them. Undoing one that came later leads to what the
        // snapshot shows already.
        let evicted = journal.gather(&self.shared);
        let newer = journal.since(to, self.shared.reportable());
        // Before the snapshot goes, which locks it too.
        drop(journal);
        drop(evicted);
        let newer = newer?;
        let mut image = present.image();
        for set in newer {
            undo(&mut image, &set.changes);
        }
        Ok(image)
    }

    /// Sets what must hold from now on. Values that are missing and have a default are set in the same transaction.
    ///
    /// # Errors
    /// When the present state breaks it: the former schema stays.
    pub fn set_schema(&self, schema: Schema) -> Result<()> {
        let swap = |schema| {
            let mut held = self.shared.schema.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, schema)
        };
        // Before anything is looked at below: a commit that has sealed a value and does not see this is seen there.
        self.shared.has_schema.store(true, Ordering::SeqCst);
        // From here on commits keep to it; what was there before is checked below.
        let former = swap(schema.clone());
        let checked = self.transact(&Transaction::new(Isolation::Safe).label("schema").admin(), |tx| {
            for (path, value) in schema.defaults() {
                if tx.get(path.as_str())?.is_none() {
                    tx.set(path.as_str(), value.clone())?;
                }
            }
            for path in schema.fields.keys() {
                let value = tx.get(path.as_str())?;
                schema.check(path, value.as_ref())?;
            }
            Ok(())
        });
        if let Err(error) = checked {
            swap(former);
            return Err(error);
        }
        Ok(())
    }

    /// Messages that wait for delivery, also those of commits that are not durable yet.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        lock(&self.shared.journal).outbox.len()
    }

    /// Hands the oldest waiting messages to `receive`, in order, until there is none or it refuses one, and answers how
    /// many it took. A message leaves the outbox only after `receive` took it; after a crash in between it is handed
    /// over again, with the same id.
    ///
    /// # Errors
    /// The log's, when that a message was taken cannot be recorded.
    pub fn deliver(&self, mut receive: impl FnMut(&Message) -> std::result::Result<(), ()>) -> Result<usize> {
        let _one_at_a_time = lock(&self.shared.delivery);
        let mut count = 0;
        let mut settled = 0;
        let result = loop {
            let (message, last, version) = {
                let journal = lock(&self.shared.journal);
                let Some(message) = journal.outbox.front().cloned() else {
                    break Ok(());
                };
                (message, journal.last_message(), journal.version)
            };
            if message.id > settled {
                // Of what may still be undone nobody is told.
                if let Err(error) = self.shared.settle(version) {
                    break Err(error);
                }
                settled = last;
            }
            if receive(&message).is_err() {
                break Ok(());
            }
            let mut journal = lock(&self.shared.journal);
            if let Some(log) = &self.shared.log
                && let Err(error) = log.append(&record::encode_delivered(message.id))
            {
                break Err(Error::Log(error));
            }
            journal.outbox.pop_front();
            count += 1;
        };
        if let Some(log) = self.shared.log.as_ref().filter(|_| count > 0) {
            let committed = log.commit().and_then(|commit| match commit {
                Commit::Done => Ok(()),
                Commit::Pending(seq) => log.wait_durable(seq, None),
            });
            committed.map_err(Error::Log)?;
        }
        result.map(|()| count)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.shared.name)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
