//! [`BlockStore`]: the embedded, blocking interface, and the owner of the controller's thread.
//!
//! Calls borrow a *seat* (a worker, its parker and an aligned buffer) for as long as they run, so many threads share a few
//! connections and their commits are grouped. Ports connect workers of their own with [`BlockStore::connect`].

use crate::{
    BlockError, BlockWorker, Config, ControllerStats, Digest, Done, Engine, Extent, Get, Opened, Outcome,
    Polled, Put, Stats, Ticket, Workers,
    home::Home,
    message::BlockMessage,
    meter::{Meter, Metered},
};
use quintet_core::{
    AlignedBuffer, BatchConfig, BatchController, Clock, Connector, Doorbell, Error, Parker, Result,
    SizeClass, SystemClock, rtrb_queue::RtrbQueue,
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
    seats: Mutex<Seats>,
    freed: Condvar,
    connector: Connector<BlockMessage>,
    workers: Workers,
    opened: Opened,
    config: Config,
    meter: Arc<Meter>,
    controller: Mutex<Option<JoinHandle<Result<()>>>>,
    /// After the controller's thread has ended: fields drop in order.
    _home: Option<Home>,
}

#[derive(Default)]
struct Seats {
    free: Vec<Seat>,
    made: usize,
    closed: bool,
}

/// What one call needs.
struct Seat {
    worker: BlockWorker,
    parker: Parker,
    buffer: AlignedBuffer,
    done: Vec<Done>,
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
        let (meter, metered) = Metered::new(handler, Arc::clone(&clock));
        let (tell, told) = mpsc::sync_channel(1);
        let controller = thread::Builder::new()
            .name("blocks".into())
            .spawn(move || {
                let parker = Parker::new();
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
    /// `Corrupted` for a damaged record, or content when `verify_reads` is set; what the system answers.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.with_seat(2 * self.config.workers, |seat| {
            let Some(extent) = seat.find(digest)? else {
                return Ok(None);
            };
            // Through an aligned buffer: with the copy that is still faster than reading into an unaligned one.
            let len = extent.read_at(0, &mut seat.buffer)?;
            if self.config.verify_reads {
                extent.verify(&seat.buffer[..len])?;
            }
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
    /// `NotFound`; `Poisoned` after a failed flush.
    pub fn delete(&self, digest: &Digest) -> Result<()> {
        self.with_seat(self.config.workers, |seat| {
            let ticket = seat.worker.delete(digest)?;
            seat.wait(ticket).map(|_| ())
        })
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

    /// Runs a call on a seat while fewer than `seats` are taken; waits for that otherwise.
    fn with_seat<T>(&self, seats: usize, call: impl FnOnce(&mut Seat) -> Result<T>) -> Result<T> {
        let mut taken = Taken {
            seat: Some(self.take_seat(seats)?),
            store: self,
        };
        match taken.seat.as_mut() {
            Some(seat) => call(seat),
            None => Err(BlockError::Closed.into()),
        }
    }

    fn take_seat(&self, limit: usize) -> Result<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if seats.closed {
                return Err(BlockError::Closed.into());
            }
            if seats.made - seats.free.len() < limit {
                if let Some(seat) = seats.free.pop() {
                    return Ok(seat);
                }
                let seat = self.new_seat()?;
                seats.made += 1;
                return Ok(seat);
            }
            seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn new_seat(&self) -> Result<Seat> {
        let parker = Parker::new();
        let worker = self.connect(parker.doorbell())?;
        let buffer = AlignedBuffer::zeroed(SizeClass::LARGEST.size_bytes() as usize);
        Ok(Seat {
            worker,
            parker,
            buffer,
            done: Vec::new(),
        })
    }
}

impl Drop for BlockStore {
    fn drop(&mut self) {
        let _closed = self.close();
    }
}

/// A seat on loan: it goes back also when the call panics.
struct Taken<'a> {
    seat: Option<Seat>,
    store: &'a BlockStore,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat.come_to_rest();
        }
        let mut seats = self.store.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.free.extend(self.seat.take());
        drop(seats);
        // `close` waits for all, a call for one.
        self.store.freed.notify_all();
    }
}

impl Seat {
    fn begin_put(&mut self, len_bytes: u64) -> Result<Put> {
        loop {
            if let Some(put) = self.worker.begin_put(len_bytes)? {
                return Ok(put);
            }
            self.poll_until(|polled| polled.retry_puts)?;
        }
    }

    fn find(&mut self, digest: &Digest) -> Result<Option<Extent>> {
        let ticket = match self.worker.get(digest)? {
            Get::Found(extent) => return Ok(Some(extent)),
            Get::Missing => return Ok(None),
            Get::Asked(ticket) => ticket,
        };
        match self.wait(ticket) {
            Ok(Outcome::Found(extent)) => Ok(Some(extent)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == quintet_core::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn wait(&mut self, ticket: Ticket) -> Result<Outcome> {
        loop {
            if let Some(at) = self.done.iter().position(|done| done.ticket == ticket) {
                return self.done.swap_remove(at).outcome;
            }
            self.poll_until(|polled| polled.done > 0)?;
        }
    }

    /// Waits for blocks that were asked for and have not come: on a seat that nobody sits on, nobody would take them in.
    fn come_to_rest(&mut self) {
        while self.worker.in_flight() > 0 {
            let before = self.worker.in_flight();
            let Self {
                worker, parker, done, ..
            } = self;
            parker.wait(|| worker.poll(done).is_err() || worker.in_flight() < before, None);
            if worker.poll(done).is_err() {
                break;
            }
        }
        self.done.clear();
    }

    /// Polls, sleeping in between, until `enough`.
    fn poll_until(&mut self, enough: impl Fn(Polled) -> bool) -> Result<()> {
        let Self {
            worker, parker, done, ..
        } = self;
        let mut found = Ok(false);
        loop {
            let ready = parker.wait(
                || {
                    found = worker.poll(done).map(&enough).map_err(Error::from);
                    !matches!(found, Ok(false))
                },
                None,
            );
            if ready {
                return found.map(|_| ());
            }
        }
    }
}
