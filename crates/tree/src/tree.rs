//! [`Tree`]: the embedded interface, and the owner of the writer's thread.
//!
//! Reads run on the caller's thread. Writes go to the writer through one client, so that those which come while a commit is
//! going on share the next one. A write's future needs no runtime; the plain calls block on it.

use crate::{
    Config, ETag, Index, Path, Pool, Priority, Query, Reader, Task, TreeError, TreeHandler, TreeMessage,
    TreeReply, Write, Written,
    block_on::block_on,
    import::{self, Imported},
    index::Indexes,
    inner::Inner,
    message::{Reindex, Room, Waiting, Work},
    prepare::prepare,
    push_id::PushIds,
    query::Answer,
    watch::hub::Hub,
};
use quintet_core::{
    BatchConfig, BatchController, Client, Clock, Connector, Deadline, Error, Parker, Result, Seq,
    SystemClock, rtrb_queue::RtrbQueue,
};
use serde_json::Value;
use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

/// A durable JSON tree. All methods take `&self` and may be called from many threads.
///
/// ```
/// use quintet_tree::{Config, Path, Tree};
/// use serde_json::json;
///
/// let dir = tempfile::tempdir()?;
/// let tree = Tree::open(Config::new(dir.path()))?;
/// let ada: Path = "users/ada".parse()?;
/// tree.set(&ada, json!({"name": "Ada", "born": 1815}))?;
/// assert_eq!(tree.get(&ada.child("born")?)?, json!(1815));
/// tree.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tree {
    pub(crate) inner: Arc<Inner>,
    reader: Reader,
    client: Client<TreeMessage>,
    connector: Connector<TreeMessage>,
    push_ids: PushIds,
    waiting_bytes: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<Result<()>>>>,
    pub(crate) watching: Watching,
    pool: Pool,
}

/// The hub and its thread, which ends with this.
pub(crate) struct Watching {
    pub(crate) hub: Arc<Hub>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watching {
    fn end(&self) {
        self.hub.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It calls wakers, which may panic; the watches are closed or gone then.
            let _ended = thread.join();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took place.
    Written(Written),
    /// The document has another tag; nothing was written.
    Mismatch {
        /// The tag it has.
        etag: ETag,
        /// The document.
        value: Value,
    },
}

impl Tree {
    /// Opens or creates the tree in `config.dir` and starts its writer. Nothing is replayed: that takes the same short
    /// time for every size, unless an index was newly declared, which reads what it is of.
    ///
    /// # Errors
    /// [`TreeError::Config`]; [`TreeError::Locked`] when another tree has the directory; [`TreeError::Version`]; what LMDB
    /// or the system answers.
    pub fn open(config: Config) -> Result<Self, TreeError> {
        Self::open_with(config, Arc::new(SystemClock))
    }

    /// As [`open`](Self::open), with a clock of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(config: Config, clock: Arc<dyn Clock>) -> Result<Self, TreeError> {
        let handler = TreeHandler::open(config, Arc::clone(&clock))?;
        let inner = handler.inner();
        let pool = Pool::start(inner.config.pool, Arc::clone(&clock))?;
        let (hub, watching) = Hub::start(&inner.config, Seq(inner.stats.last_seq.load(Ordering::Relaxed)))?;
        // The cell is fresh.
        let _fresh = inner.hub.set(Arc::clone(&hub));
        let watching = Watching {
            hub,
            thread: Mutex::new(Some(watching)),
        };
        let batch = BatchConfig {
            commit_spacing: inner.config.commit_spacing,
            // Clients that were answered together ask again together.
            gather_divisor: 8,
            ..BatchConfig::default()
        };
        let (tell, told) = mpsc::sync_channel(1);
        let writer = thread::Builder::new()
            .name("tree".into())
            .spawn(move || {
                let parker = writers_parker();
                let mut controller = BatchController::new(handler, clock, parker.doorbell(), batch);
                // The opener waits for this; if it is gone there is nobody to serve.
                let _told = tell.send(controller.connector());
                controller.run(&parker)
            })
            .map_err(|error| TreeError::io("starting the writer's thread", error))?;
        let connector = told.recv().map_err(|_| TreeError::Closed)?;
        let credits = NonZeroUsize::new(inner.config.credits).unwrap_or(NonZeroUsize::MIN);
        let client = Client::connect::<RtrbQueue>(&connector, credits).map_err(|_| TreeError::Closed)?;
        Ok(Self {
            reader: Reader::new(Arc::clone(&inner)),
            inner,
            client,
            connector,
            push_ids: PushIds::default(),
            waiting_bytes: Arc::default(),
            writer: Mutex::new(Some(writer)),
            watching,
            pool,
        })
    }

    /// What reads, for threads of the caller's own.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The settings that the tree was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The workers that read for callers who must not block.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs reads on the pool: the future answers what `read` does. Dropping it cancels what was not begun.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub fn read<T: Send + 'static>(
        &self,
        priority: Priority,
        deadline: Option<Deadline>,
        read: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Result<Task<T>, TreeError> {
        let reader = self.reader.clone();
        self.pool.run(priority, deadline, move || read(&reader))
    }

    /// The document at `path`; null when there is nothing.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn get(&self, path: &Path) -> Result<Value> {
        Ok(self.reader.get(path)?)
    }

    /// The document and its tag, of the same moment.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn get_with_etag(&self, path: &Path) -> Result<(Value, ETag)> {
        Ok(self.reader.get_with_etag(path)?)
    }

    /// The children of `path` that `query` asks for.
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub fn query(&self, path: &Path, query: &Query) -> Result<Answer> {
        Ok(self.reader.query(path, query)?)
    }

    /// Replaces what is at `path`; null removes it, and parents that become empty. Returns when it is on stable storage.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn set(&self, path: &Path, value: Value) -> Result<Written> {
        self.write_now(Write::set(path.clone(), value))
    }

    /// Removes what is at `path`, if there is something.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn delete(&self, path: &Path) -> Result<Written> {
        self.write_now(Write::delete(path.clone()))
    }

    /// Replaces what is at each of these places, counted from `path`; all or none.
    ///
    /// # Errors
    /// [`TreeError::Overlap`] when one lies within another; as [`write`](Self::write).
    pub fn update(&self, path: &Path, changes: Vec<(Path, Value)>) -> Result<Written> {
        self.write_now(Write::update(path.clone(), changes))
    }

    /// Adds a child with a new name, and answers the name: 20 characters that sort by time.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn push(&self, path: &Path, value: Value) -> Result<String> {
        let name = self.next_push_id();
        self.set(&path.child(&name)?, value)?;
        Ok(name)
    }

    /// A new name for a child, as [`push`](Self::push) makes them.
    pub fn next_push_id(&self) -> String {
        self.push_ids.next(self.inner.now_ms())
    }

    /// Replaces what is at `path` if it has this tag now.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn set_if(&self, path: &Path, value: Value, tag: ETag) -> Result<Outcome> {
        self.write_blocking(Write::set(path.clone(), value).if_match(tag))
    }

    /// Replaces what is at `path` by the document in `text`, as [`Reader::export`] writes it. A document that is too large for
    /// one write takes several, the first of which removes what was there: then a crash can leave a part.
    ///
    /// # Errors
    /// [`TreeError::Json`] with line and column, nothing is changed then; as [`write`](Self::write).
    pub fn import(&self, path: &Path, text: &[u8]) -> Result<Imported> {
        let value = crate::parse_json(text)?;
        import::import(self, path, value)
    }

    /// As [`write`](Self::write), and waits for the outcome.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_blocking(&self, write: Write) -> Result<Outcome> {
        block_on(self.write(write))
    }

    fn write_now(&self, write: Write) -> Result<Written> {
        match self.write_blocking(write)? {
            Outcome::Written(written) => Ok(written),
            // Only a write with a condition can miss it.
            Outcome::Mismatch { .. } => Err(TreeError::Closed.into()),
        }
    }

    /// Does about a write what can be done before its turn: checks it, and brings its documents to the form in which they are
    /// stored. [`write`](Self::write) does it too, on the thread that calls it; this is for whoever calls that on a thread
    /// that must not be held up, and has a large document. Costs about a microsecond for each leaf, and memory for it until the
    /// write is done.
    ///
    /// # Errors
    /// `InvalidInput` and `TooLarge`, as `write`.
    pub fn prepare(&self, mut write: Write) -> Result<Write, TreeError> {
        let is_update = write.work.is_update();
        let work = std::mem::replace(&mut write.work, Work::NONE);
        let targets = prepare(&self.inner.config, &write.path, work)?;
        write.work = Work::Ready { targets, is_update };
        Ok(write)
    }

    /// Prepares a write at once, and sends it when first polled; answers when it is on stable storage. Dropping the future
    /// gives up the answer, not the write.
    ///
    /// # Errors
    /// `InvalidInput` for names, values and paths that cannot be stored; `TooLarge`; `Unavailable` when too many writes
    /// wait, or too large ones; `Full` when the disk or the map is; `Poisoned` after a commit failed; `Closed`; what the
    /// write's guard answers. After any of these nothing of the write is there, but for `Poisoned` and `Closed`, when the
    /// outcome is unknown.
    pub fn write(&self, write: Write) -> impl Future<Output = Result<Outcome>> + Send + use<> {
        let prepared = self.prepare(write).map(|write| {
            let max = self.inner.config.max_waiting_bytes;
            let room = Room::take(&self.waiting_bytes, write.bytes(), max);
            (write, room)
        });
        let client = self.client.clone();
        async move {
            let (write, room) = prepared?;
            let Some(room) = room else {
                return Err(TreeError::Busy {
                    what: "too many bytes wait for the writer",
                }
                .into());
            };
            let waiting = Waiting {
                write: Box::new(write),
                _room: Some(room),
            };
            match client.call(TreeMessage::Write(waiting)).await? {
                TreeReply::Written(written) => Ok(Outcome::Written(written)),
                TreeReply::Mismatch { etag, value } => Ok(Outcome::Mismatch { etag, value }),
                TreeReply::Value(_) | TreeReply::Reindexed => Err(Error::from(TreeError::Closed)),
            }
        }
    }

    /// Declares other indexes instead of those there are: builds what is new, removes what is gone. Blocks until it is done;
    /// writes wait meanwhile, reads go on and use what is whole. The next [`open`](Self::open) goes by its own settings.
    ///
    /// # Errors
    /// `InvalidInput` when [`Config::indexes`] may not be so, nothing is changed then; `Full` when they do not fit, and
    /// what LMDB answers: those that were whole before and are still declared serve on; `Poisoned`; `Closed`.
    pub fn reindex(&self, indexes: &[Index]) -> Result<()> {
        let config = Config {
            indexes: indexes.to_vec(),
            ..self.inner.config.clone()
        };
        config.validate()?;
        let (outcome, told) = mpsc::sync_channel(1);
        let reindex = Reindex {
            declared: Indexes::prepare(indexes)?,
            outcome,
        };
        block_on(self.client.call(TreeMessage::Reindex(reindex)))?;
        Ok(told.recv().map_err(|_| TreeError::Closed)??)
    }

    /// Makes the next commit fail with this kind, as if the disk had: all its writes answer that. After any kind but
    /// [`ErrorKind::Full`](quintet_core::ErrorKind::Full) the tree refuses writes until it is reopened.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&self, kind: quintet_core::ErrorKind) {
        self.inner.fail_next_commit(kind);
    }

    /// Commits what is queued and ends the writer, then every watch; later writes answer `Closed`, reads go on. Closing
    /// twice is allowed.
    /// Dropping the tree does the same but cannot say how it went.
    ///
    /// # Errors
    /// When the last commit failed.
    pub fn close(&self) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else {
            return Ok(());
        };
        self.connector.stop();
        let ended = writer.join().unwrap_or_else(|_| Err(TreeError::Closed.into()));
        self.watching.end();
        ended
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _closed = self.close();
    }
}

/// Where there is one core, who looks for work again and again keeps away those that would bring it.
fn writers_parker() -> Parker {
    match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => Parker::new(),
        _ => Parker::new().with_spins(0),
    }
}
