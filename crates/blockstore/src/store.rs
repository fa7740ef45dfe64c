//! [`BlockStore`]: the embedded, blocking interface, and the owner of the controller's thread.
//!
//! Calls borrow a [seat](crate::seat) for as long as they run, so many threads share a few connections and their commits
//! are grouped. Ports connect workers of their own with [`BlockStore::connect`].

use crate::{
    BlockError, BlockWorker, Config, ControllerStats, Digest, Engine, Lock, Opened, Stats, Workers,
    home::Home,
    message::BlockMessage,
    meter::{Meter, Metered},
    seat::Seats,
};
use quintet_core::{
    BatchConfig, BatchController, Clock, Connector, Doorbell, Parker, Result, SystemClock,
    rtrb_queue::RtrbQueue,
};
use quintet_log::{Directory, OsDirectory};
use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    task::Waker,
    thread::{self, JoinHandle},
};

/// Content-addressed blocks of 1 byte to 512 KiB.
///
/// All methods take `&self` and may be called from many threads; each blocks until its outcome is known.
///
/// ```
/// use quintet_blockstore::{BlockStore, Config};
///
/// let dir = tempfile::tempdir()?;
/// let store = BlockStore::open(Config::new(dir.path()))?;
/// let digest = store.put(b"hello")?;
/// assert_eq!(store.get(&digest)?.as_deref(), Some(&b"hello"[..]));
/// store.delete(&digest)?;
/// assert!(!store.contains(&digest)?);
/// store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BlockStore {
    pub(crate) seats: Mutex<Seats>,
    pub(crate) freed: Condvar,
    connector: Connector<BlockMessage>,
    pub(crate) workers: Workers,
    pub(crate) clock: Arc<dyn Clock>,
    opened: Opened,
    config: Config,
    meter: Arc<Meter>,
    controller: Mutex<Option<JoinHandle<Result<()>>>>,
    /// After the controller's thread has ended: fields drop in order.
    _home: Option<Home>,
}

impl BlockStore {
    /// Opens or creates the store in `config.dir` and starts its controller. Blocks for the replay of the log and one
    /// pass over all records: a million take about a second.
    ///
    /// # Errors
    /// [`BlockError::Config`]; [`BlockError::Locked`] when another store has the directory; [`BlockError::Version`];
    /// [`BlockError::Corrupted`] with what is damaged (see [`fsck()`](crate::fsck())); what the system answers.
    pub fn open(config: Config) -> Result<Self, BlockError> {
        config.validate()?;
        let home = Home::take(&config.dir)?;
        let directory = Arc::new(OsDirectory::open(&config.dir)?);
        let meta_dir = home.meta_dir();
        Self::start(directory, &meta_dir, config, Arc::new(SystemClock), Some(home))
    }

    /// Opens a store whose data file and log are in any [`Directory`]; only the checkpoint is in a real one. For tests:
    /// the caller sees to it that there is one store at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(
        directory: Arc<dyn Directory>,
        meta_dir: &Path,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BlockError> {
        Self::start(directory, meta_dir, config, clock, None)
    }

    fn start(
        directory: Arc<dyn Directory>,
        meta_dir: &Path,
        config: Config,
        clock: Arc<dyn Clock>,
        home: Option<Home>,
    ) -> Result<Self, BlockError> {
        let Engine {
            handler,
            workers,
            opened,
        } = Engine::open(directory, meta_dir, &config, Arc::clone(&clock))?;
        let told_clock = Arc::clone(&clock);
        let (meter, metered) = Metered::new(handler, Arc::clone(&clock));
        let (tell, told) = mpsc::sync_channel(1);
        let controller = thread::Builder::new()
            .name("blocks".into())
            .spawn(move || {
                let parker = Parker::new().with_spins(looks_before_sleep());
                metered
                    .inner()
                    .table()
                    .on_progress(&Waker::from(parker.doorbell()))?;
                let mut controller =
                    BatchController::new(metered, clock, parker.doorbell(), BatchConfig::default());
                // The opener waits for this; if it is gone there is nobody to serve.
                let _told = tell.send(controller.connector());
                let ended = controller.run(&parker);
                ended.and(controller.handler_mut().inner_mut().close())
            })
            .map_err(|error| BlockError::io("starting the controller's thread", error))?;
        let Ok(connector) = told.recv() else {
            // It ended before it could serve: what it ended with says why.
            let ended = controller
                .join()
                .unwrap_or_else(|_| Err(BlockError::Closed.into()));
            return Err(ended.err().map_or(BlockError::Closed, BlockError::Core));
        };
        let (seats, freed) = Default::default();
        let controller = Mutex::new(Some(controller));
        Ok(Self {
            seats,
            freed,
            connector,
            workers,
            clock: told_clock,
            opened,
            config,
            meter,
            controller,
            _home: home,
        })
    }

    /// A worker of the caller's own, for a port or a loop that must not block. `doorbell` is rung when its
    /// [`poll`](BlockWorker::poll) has something to do.
    ///
    /// # Errors
    /// `Closed` after [`close`](Self::close); `Unavailable` when there are `max_workers` already.
    pub fn connect(&self, doorbell: Doorbell) -> Result<BlockWorker> {
        let credits = NonZeroUsize::new(self.config.credits).ok_or(BlockError::Closed)?;
        let link = self.connector.connect::<RtrbQueue>(credits, doorbell)?;
        self.workers.worker(Box::new(link))
    }

    /// Stores a body and answers its name. The same body again costs a hash and a look-up.
    ///
    /// # Errors
    /// `InvalidInput` for an empty body, `TooLarge` above 512 KiB, `Full` when there is no room, `Poisoned` after a
    /// failed flush, what the system answers.
    pub fn put(&self, body: &[u8]) -> Result<Digest> {
        let digest = Digest::of(body);
        self.with_seat(self.config.workers, |seat| {
            if seat.worker.contains(&digest)? {
                return Ok(digest);
            }
            let mut put = seat.begin_put(body.len() as u64)?;
            put.write_unhashed(body)?;
            let ticket = seat
                .worker
                .finish_put_as(put, digest)
                .map_err(|refused| refused.error)?;
            seat.wait(ticket).map(|_| digest)
        })
    }

    /// The body of this name; `None` = there is none.
    ///
    /// # Errors
    /// `Corrupted` for a damaged record, or content where [`Verify`](crate::Verify) has it checked; what the system answers.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.with_seat(2 * self.config.workers, |seat| {
            let Some(extent) = seat.find(digest)? else {
                return Ok(None);
            };
            // Through an aligned buffer: with the copy that is still faster than reading into an unaligned one.
            let len = extent.read_at(0, &mut seat.buffer)?;
            extent.check(&seat.buffer[..len])?;
            Ok(Some(seat.buffer[..len].to_vec()))
        })
    }

    /// Whether there is a block of this name: one look-up, whatever else is going on.
    ///
    /// # Errors
    /// What the record table answers.
    pub fn contains(&self, digest: &Digest) -> Result<bool> {
        self.workers.contains(digest)
    }

    /// Deletes the block of this name.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while it is [locked](Self::lock); `Poisoned` after a failed flush.
    pub fn delete(&self, digest: &Digest) -> Result<()> {
        self.with_seat(self.config.workers, |seat| {
            let ticket = seat.worker.delete(digest)?;
            seat.wait(ticket).map(|_| ())
        })
    }

    /// Keeps the block of this name from being deleted, for the holder named `resource`, together with some bytes of the
    /// holder's. The same holder's earlier lock is replaced.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for an empty resource, `TooLarge` for one above [`MAX_RESOURCE_BYTES`] or a body above
    /// [`MAX_LOCK_BYTES`]; `Conflict` when the block has [`MAX_LOCKS`] locks; `Poisoned` after a failed flush.
    ///
    /// [`MAX_RESOURCE_BYTES`]: crate::MAX_RESOURCE_BYTES
    /// [`MAX_LOCK_BYTES`]: crate::MAX_LOCK_BYTES
    /// [`MAX_LOCKS`]: crate::MAX_LOCKS
    pub fn lock(&self, digest: &Digest, resource: &[u8], body: &[u8]) -> Result<()> {
        self.with_seat(self.config.workers, |seat| {
            let ticket = seat.worker.lock(digest, resource, body)?;
            seat.wait(ticket).map(|_| ())
        })
    }

    /// Ends a lock.
    ///
    /// # Errors
    /// `NotFound` when there is no such block or no such lock; `Poisoned` after a failed flush.
    pub fn unlock(&self, digest: &Digest, resource: &[u8]) -> Result<()> {
        self.with_seat(self.config.workers, |seat| {
            let ticket = seat.worker.unlock(digest, resource)?;
            seat.wait(ticket).map(|_| ())
        })
    }

    /// The durable locks of the block of this name, in the order of their resources; `None` = there is no such block.
    ///
    /// # Errors
    /// `Corrupted` for a damaged entry; what the record table answers.
    pub fn locks(&self, digest: &Digest) -> Result<Option<Vec<Lock>>> {
        self.workers.locks(digest)
    }

    /// What the store held at its last commit. Never blocks.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.workers.stats()
    }

    /// What the controller has done since the start. Never blocks.
    #[must_use]
    pub fn controller_stats(&self) -> ControllerStats {
        self.meter.read()
    }

    /// The settings that the store was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What opening the store found.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Waits for calls in progress, commits what is queued, checkpoints, and ends the controller. Later puts, gets and
    /// deletes answer `Closed`. Closing twice is allowed. Dropping the store does the same but cannot say how it went.
    ///
    /// # Errors
    /// When the last flush or the checkpoint failed; what was acknowledged is in the log all the same.
    pub fn close(&self) -> Result<()> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.closed = true;
        while seats.free.len() < seats.made {
            seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner);
        }
        seats.made = 0;
        drop(std::mem::take(&mut seats.free));
        drop(seats);
        self.freed.notify_all();
        let Some(controller) = self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return Ok(());
        };
        self.connector.stop();
        controller
            .join()
            .unwrap_or_else(|_| Err(BlockError::Closed.into()))
    }
}

impl Drop for BlockStore {
    fn drop(&mut self) {
        let _closed = self.close();
    }
}

/// How often the controller looks for work before it sleeps. A look asks queues and log, some 100 ns, so this is about
/// 10 µs; none where the process has one core, because there whoever is awaited cannot run meanwhile.
fn looks_before_sleep() -> u32 {
    match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => 100,
        _ => 0,
    }
}
