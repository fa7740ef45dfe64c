//! [`ShardEngine`]: starts the shards, connects to them, restarts one, drains them all.

use super::{
    AtomicU64, Caller, ClientPort, EngineConfig, Inner, Router, Seat, ShardId, ShardState, ShardStats, State,
    Table,
    stats::Gauges,
    thread::{self, Factory},
};
use crate::{ShardError, manifest::Manifest};
use quintet_core::{Clock, Connector, Doorbell, Error, Message, MessageHandler, Parker, Result};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, sync_channel},
    },
    task::Waker,
    thread::{Builder, JoinHandle},
};

/// S shards, each a thread that owns its handler.
///
/// The engine is `Send` and `Sync` whatever the handler is, because no handler ever leaves its thread:
///
/// ```compile_fail
/// use quintet_shard::{EngineConfig, MapConfig, MapHandler, ShardEngine};
/// use quintet_core::SystemClock;
/// use std::{rc::Rc, sync::Arc};
/// // State that is made here would have to travel to the shards' threads.
/// let outside = Rc::new(1);
/// let engine = ShardEngine::open(EngineConfig::default(), Arc::new(SystemClock), move |_| {
///     let _travels = Rc::clone(&outside);
///     Ok(MapHandler::new(MapConfig::default()))
/// });
/// ```
pub struct ShardEngine<M: Message, H: MessageHandler<M> + 'static> {
    inner: Arc<Inner<M>>,
    factory: Arc<Factory<H>>,
}

impl<M: Message, H: MessageHandler<M> + 'static> ShardEngine<M, H> {
    /// Starts every shard; each calls `factory` on its own thread, now and at each restart. Returns when all serve.
    ///
    /// # Errors
    /// A setting out of range, a thread that cannot be started or pinned, what `factory` answers, or
    /// [`ShardError::Panicked`]. The shards that did start are shut down again.
    pub fn open(
        config: EngineConfig,
        clock: Arc<dyn Clock>,
        factory: impl Fn(ShardId) -> Result<H> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::open_with_waker(config, clock, move |shard, _waker| factory(shard))
    }

    /// As [`open`](Self::open), for handlers whose commits are pending: the waker makes the shard's thread look at
    /// [`MessageHandler::durable`], so it belongs to the log's progress.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_waker(
        config: EngineConfig,
        clock: Arc<dyn Clock>,
        factory: impl Fn(ShardId, Waker) -> Result<H> + Send + Sync + 'static,
    ) -> Result<Self> {
        config.validate()?;
        let shards = config.shards.get();
        let engine = Self {
            inner: Arc::new(Inner::new(config, clock)),
            factory: Arc::new(factory),
        };
        // All at once: recoveries run side by side. On an error, dropping the engine stops those that serve.
        let starting: Vec<_> = (0..shards).map(|shard| engine.spawn(ShardId(shard))).collect();
        starting
            .into_iter()
            .map(|started| started.and_then(|started| wait_for(&started)))
            .fold(Ok(()), Result::and)?;
        Ok(engine)
    }

    fn spawn(&self, shard: ShardId) -> Result<Receiver<Result<()>>> {
        let (tell, started) = sync_channel(1);
        let (inner, factory) = (Arc::clone(&self.inner), Arc::clone(&self.factory));
        let thread = Builder::new()
            .name(format!("shard-{}", shard.0))
            .spawn(move || thread::body(&inner, shard, &*factory, &tell))
            .map_err(Error::from)?;
        self.inner
            .table
            .with(|table| table.seats[shard.0].thread = Some(thread));
        Ok(started)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> NonZeroUsize {
        self.inner.config.shards
    }

    /// A port that never blocks, with at most `credits` requests in flight to each shard. `bell` is rung when answers
    /// wait. May be taken at any time and from any thread; a shard that does not run is connected when it does. Who sleeps
    /// until that bell does so best on a [`Parker`] that [gives way](Parker::giving_way), as a [`caller`](Self::caller) does.
    ///
    /// # Errors
    /// [`ShardError::Stopped`] after a shutdown.
    pub fn port<R: Router<M>>(
        &self,
        credits: NonZeroUsize,
        router: R,
        bell: Doorbell,
    ) -> Result<ClientPort<M, R>> {
        if self.inner.table.with(|table| table.closed) {
            return Err(ShardError::Stopped.into());
        }
        Ok(ClientPort::new(Arc::clone(&self.inner), credits, router, bell))
    }

    /// A port for a thread that waits for its answers.
    ///
    /// # Errors
    /// As [`port`](Self::port).
    pub fn caller<R: Router<M>>(&self, credits: NonZeroUsize, router: R) -> Result<Caller<M, R>> {
        let parker = Parker::new().giving_way();
        let port = self.port(credits, router, parker.doorbell())?;
        Ok(Caller::new(port, parker, Arc::clone(&self.inner.clock)))
    }

    /// What each shard has done since its last start, in order.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        let now = self.inner.clock.now();
        self.inner.table.with(|table| {
            let seats = table.seats.iter().enumerate();
            seats
                .map(|(shard, seat)| {
                    seat.gauges
                        .read(ShardId(shard), seat.state.shown(), seat.run, now)
                })
                .collect()
        })
    }

    /// Builds a shard's handler anew, on a new thread: it recovers from its files what was durable, and ports connect to
    /// it by themselves. A shard that still serves is drained first. Blocks until it serves again.
    ///
    /// # Errors
    /// [`ShardError::NoSuchShard`], [`ShardError::Restarting`], [`ShardError::Stopped`], or as [`open`](Self::open);
    /// the shard then stays down, and may be restarted again.
    pub fn restart(&self, shard: ShardId) -> Result<()> {
        let shards = self.shards().get();
        let (connector, thread) = self.inner.table.with(|table| {
            if table.closed {
                return Err(Error::from(ShardError::Stopped));
            }
            let Some(seat) = table.seats.get_mut(shard.0) else {
                return Err(ShardError::NoSuchShard { shard, shards }.into());
            };
            if seat.restarting {
                return Err(ShardError::Restarting { shard }.into());
            }
            seat.restarting = true;
            Ok((seat.connector.take(), seat.thread.take()))
        })?;
        if let Some(connector) = connector {
            connector.stop();
        }
        if let Some(thread) = thread {
            // It contains its own panics.
            let _ended = thread.join();
        }
        self.inner
            .table
            .with(|table| table.seats[shard.0].state = State::Starting);
        let started = self.spawn(shard).and_then(|started| wait_for(&started));
        let closed = self.inner.table.with(|table| {
            let seat = &mut table.seats[shard.0];
            seat.restarting = false;
            if let Err(error) = &started {
                seat.state = State::Failed(error.clone());
            }
            table.closed
        });
        if closed {
            // A shutdown came in between and could not see the new thread.
            return self.shutdown();
        }
        started
    }

    /// Answers what is queued at every shard, commits, closes the ports and ends the threads. Blocks. Calling it again
    /// does nothing.
    ///
    /// # Errors
    /// The first shard's error that ended badly: [`ShardError::Panicked`], or a last commit that failed.
    pub fn shutdown(&self) -> Result<()> {
        let running = self.inner.stop();
        let mut ended = Ok(());
        for (shard, thread) in running.into_iter().enumerate() {
            let Some(thread) = thread else { continue };
            let _contained = thread.join();
            let end = self.inner.table.with(|table| match &table.seats[shard].state {
                State::Failed(error) => Err(error.clone()),
                _ => Ok(()),
            });
            ended = ended.and(end);
        }
        ended
    }
}

impl<M: Message, H: MessageHandler<M> + 'static> Drop for ShardEngine<M, H> {
    /// Shuts down; how it went is not told.
    fn drop(&mut self) {
        let _untold = self.shutdown();
    }
}

fn wait_for(started: &Receiver<Result<()>>) -> Result<()> {
    // The thread tells before it ends, whatever happens.
    started.recv().unwrap_or_else(|_| Err(ShardError::Stopped.into()))
}

impl<M: Message> Inner<M> {
    /// No shard runs yet.
    pub(super) fn new(config: EngineConfig, clock: Arc<dyn Clock>) -> Self {
        let shards = config.shards.get();
        let seats = (0..shards).map(|_| Seat {
            state: State::Starting,
            connector: None,
            thread: None,
            gauges: Arc::new(Gauges::new(&*clock)),
            run: 0,
            restarting: false,
        });
        let table = Table {
            seats: seats.collect(),
            closed: false,
        };
        Self {
            table: Manifest::new(table),
            runs: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            clock,
            config,
        }
    }

    /// Nothing starts any more, and every shard is told to end; answers their threads, which are to be waited for.
    pub(super) fn stop(&self) -> Vec<Option<JoinHandle<()>>> {
        let running: Vec<_> = self.table.with(|table| {
            table.closed = true;
            let seats = table.seats.iter_mut();
            seats
                .map(|seat| (seat.connector.take(), seat.thread.take()))
                .collect()
        });
        // All are told before any is waited for.
        let stop = |(connector, thread): (Option<Connector<M>>, _)| {
            if let Some(connector) = connector {
                connector.stop();
            }
            thread
        };
        running.into_iter().map(stop).collect()
    }

    /// The shard no longer serves.
    pub(super) fn end(&self, shard: ShardId, state: State) {
        self.table.with(|table| {
            let seat = &mut table.seats[shard.0];
            seat.state = state;
            seat.connector = None;
            self.runs[shard.0].store(0, Ordering::Release);
        });
    }

    /// Why nothing can be sent to this shard.
    pub(super) fn why_down(&self, shard: ShardId) -> Error {
        let shards = self.config.shards.get();
        self.table.with(|table| match table.seats.get(shard.0) {
            None => ShardError::NoSuchShard { shard, shards }.into(),
            Some(_) if table.closed => ShardError::Stopped.into(),
            Some(Seat {
                state: State::Failed(cause),
                ..
            }) => {
                let cause = cause.clone();
                ShardError::Down { shard, cause }.into()
            }
            Some(_) => ShardError::Restarting { shard }.into(),
        })
    }
}

impl State {
    fn shown(&self) -> ShardState {
        match self {
            Self::Starting => ShardState::Starting,
            Self::Running => ShardState::Running,
            Self::Failed(error) => ShardState::Failed(error.clone()),
            Self::Stopped => ShardState::Stopped,
        }
    }
}
