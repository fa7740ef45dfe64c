//! The readiness backend: mio's epoll, edge-triggered, every socket registered once for both directions.
//!
//! A turn is bounded: so many events, so many accepts, so many bytes a connection; what is left stays in the ready list
//! and is taken up in the next turn, which then does not sleep. An edge is remembered until a read or write says
//! `WouldBlock` or moves less than was offered, so a quiet request costs one read, one write and a share of one wait.
//! No error of one connection ends the loop.

mod accept;

use crate::{
    ConnectionId, Driver, Listener, LoopConfig, LoopContext, LoopStats, Protocol, Step,
    buffer::BufferPool,
    event_loop::{
        control::{Control, Orders},
        waker::LoopWaker,
    },
};
use mio::{Events, Interest, Poll, Token, net::TcpListener, net::TcpStream};
use quintet_core::{AlignedBuffer, Clock, Doorbell, Result};
use std::{
    fmt,
    io::{self, Read, Write},
    net::Shutdown,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
const EVENTS_PER_TURN: usize = 256;
/// Reads of one connection per turn, 64 KiB each, before others have theirs.
const READS_PER_TURN: usize = 4;
/// Bytes written to one connection per turn, before others have theirs.
const WRITE_BYTES_PER_TURN: usize = 1024 * 1024;

/// A connection's socket and what is known of its readiness.
#[derive(Debug)]
struct Socket {
    id: ConnectionId,
    stream: TcpStream,
    readable: bool,
    writable: bool,
    /// The peer's end was seen: read on to the end of the stream.
    read_closed: bool,
    queued: bool,
}

/// One worker's loop. Make it with [`new`](Self::new) on the thread that runs it, or use [`spawn`](Self::spawn).
pub struct EventLoop<P: Protocol> {
    poll: Poll,
    events: Events,
    listener: Option<TcpListener>,
    acceptable: bool,
    /// Accepting pauses until then: the process is out of descriptors.
    accept_resumes: Option<Instant>,
    driver: Driver<P>,
    sockets: Vec<Option<Socket>>,
    ready: Vec<ConnectionId>,
    /// The other ready list, so that neither is allocated anew.
    current: Vec<ConnectionId>,
    buffer: AlignedBuffer,
    config: LoopConfig,
    clock: Arc<dyn Clock>,
    waker: Arc<LoopWaker>,
    doorbell: Doorbell,
    orders: Arc<Orders>,
    stats: Arc<LoopStats>,
    draining: bool,
}

impl<P: Protocol> fmt::Debug for EventLoop<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> EventLoop<P> {
    /// A loop that accepts from `listener`; `protocol` makes the service from the loop's waker.
    ///
    /// # Errors
    /// As [`LoopConfig::validate`], what `protocol` returns, or what the system refused.
    pub fn new(
        listener: Listener,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: impl FnOnce(&LoopContext) -> Result<P>,
    ) -> Result<Self> {
        config.validate()?;
        let poll = Poll::new()?;
        let waker = Arc::new(LoopWaker::new(mio::Waker::new(poll.registry(), WAKER)?));
        let context = LoopContext::new(Waker::from(Arc::clone(&waker)));
        let mut driver = Driver::new(protocol(&context)?, config)?;
        let mut listener = TcpListener::from_std(listener.socket);
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let stats = Arc::<LoopStats>::default();
        driver.set_stats(Arc::clone(&stats));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            listener: Some(listener),
            acceptable: true,
            accept_resumes: None,
            driver,
            sockets: Vec::new(),
            ready: Vec::new(),
            current: Vec::new(),
            buffer: AlignedBuffer::zeroed(BufferPool::BUFFER_BYTES),
            config,
            clock,
            orders: Arc::new(Orders::new(Arc::clone(&waker))),
            waker,
            doorbell: context.doorbell(),
            stats,
            draining: false,
        })
    }

    /// Steers this loop from another thread.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.orders))
    }

    /// The loop's counters.
    #[must_use]
    pub fn stats(&self) -> Arc<LoopStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until it is drained. Every connection is closed to the protocol before this returns.
    ///
    /// # Errors
    /// When the system's poll itself fails; connections are closed all the same.
    pub fn run(&mut self) -> Result<()> {
        let ended = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        for id in self.driver.ids() {
            self.remove(id);
        }
        ended
    }

    /// One turn. Returns whether there is another.
    fn turn(&mut self) -> io::Result<bool> {
        self.wait()?;
        let now = self.clock.now();
        self.stats.turns.add(1);
        self.collect();
        let mut current = std::mem::replace(&mut self.ready, std::mem::take(&mut self.current));
        for id in current.drain(..) {
            self.serve(id, now);
        }
        self.driver.expire(now);
        self.driver.turn(now);
        self.settle_touched(&mut current, now);
        self.accept(now);
        self.obey(now);
        self.settle_touched(&mut current, now);
        self.current = current;
        Ok(self.goes_on(now))
    }

    /// Flushes the connections that a turn or a deadline reached.
    fn settle_touched(&mut self, list: &mut Vec<ConnectionId>, now: Instant) {
        self.driver.take_touched(list);
        for id in list.drain(..) {
            self.settle(id, now);
        }
    }

    /// Waits for events, not at all when there is work, for ever when nothing is due.
    fn wait(&mut self) -> io::Result<()> {
        for _ in 0..self.config.spin_polls {
            if self.has_work() {
                break;
            }
            self.poll_for(Some(Duration::ZERO))?;
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        let mut timeout = Some(Duration::ZERO);
        let rung = self.waker.arm();
        self.doorbell.arm();
        if !rung && !self.has_work() {
            timeout = self
                .next_deadline()
                .map(|at| at.saturating_duration_since(self.clock.now()));
        }
        if timeout != Some(Duration::ZERO) {
            self.stats.sleeps.add(1);
        }
        let polled = self.poll_for(timeout);
        self.doorbell.disarm();
        self.waker.disarm();
        self.waker.take_rung();
        polled
    }

    fn poll_for(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// Whether a turn would find something without waiting for the kernel.
    fn has_work(&self) -> bool {
        let accepting = self.acceptable && self.accept_resumes.is_none() && self.listener.is_some();
        !self.ready.is_empty() || accepting || self.driver.protocol().has_work()
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let drain = if self.draining {
            self.orders.drain_until()
        } else {
            None
        };
        let accept = self.accept_resumes.filter(|_| self.acceptable);
        [self.driver.next_deadline(), drain, accept]
            .into_iter()
            .flatten()
            .min()
    }

    /// Turns this turn's events into readiness.
    fn collect(&mut self) {
        for event in &self.events {
            match event.token() {
                WAKER => {}
                LISTENER => self.acceptable = true,
                Token(index) => {
                    let Some(Some(socket)) = self.sockets.get_mut(index) else {
                        continue;
                    };
                    socket.readable |= event.is_readable() || event.is_read_closed();
                    socket.read_closed |= event.is_read_closed();
                    socket.writable |= event.is_writable();
                    if event.is_error() || event.is_write_closed() {
                        self.driver.failed(socket.id);
                    }
                    if !socket.queued {
                        socket.queued = true;
                        self.ready.push(socket.id);
                    }
                }
            }
        }
    }

    /// Reads what a ready connection may be read, then sends what that led to.
    fn serve(&mut self, id: ConnectionId, now: Instant) {
        let Some(Some(socket)) = self
            .sockets
            .get_mut(id.index as usize)
            .filter(|slot| holds(slot, id))
        else {
            return;
        };
        socket.queued = false;
        for _ in 0..READS_PER_TURN {
            if !socket.readable || !self.driver.wants_read(id) {
                break;
            }
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => {
                    socket.readable = false;
                    self.driver.finished(id, now);
                }
                Ok(count) => {
                    // Less than asked for means that the socket is empty, and more brings a new edge.
                    socket.readable = count == self.buffer.len() || socket.read_closed;
                    self.driver.received(id, &self.buffer[..count], now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.driver.failed(id);
                    break;
                }
            }
        }
        self.settle(id, now);
    }

    /// Sends, uses kept input, ends or queues a connection for more.
    fn settle(&mut self, id: ConnectionId, now: Instant) {
        let Some(Some(socket)) = self
            .sockets
            .get_mut(id.index as usize)
            .filter(|slot| holds(slot, id))
        else {
            return;
        };
        let mut budget_bytes = WRITE_BYTES_PER_TURN;
        loop {
            if socket.writable {
                let mut sent = 0;
                let full = self.driver.flush(id, now, budget_bytes, |slices| {
                    let count = match slices {
                        [one] => socket.stream.write(one),
                        many => socket.stream.write_vectored(many),
                    }?;
                    sent += count;
                    Ok(count)
                });
                socket.writable = !full;
                budget_bytes = budget_bytes.saturating_sub(sent);
            }
            match self.driver.step(id, now) {
                Step::Flush if budget_bytes > 0 && socket.writable => {}
                Step::Keep | Step::Flush => break,
                Step::Shutdown => {
                    if socket.stream.shutdown(Shutdown::Write).is_err() {
                        self.driver.failed(id);
                    }
                }
                Step::Remove => return self.remove(id),
            }
        }
        let more_to_send = socket.writable && budget_bytes == 0 && self.driver.has_output(id);
        let more_to_read = socket.readable && self.driver.wants_read(id);
        if (more_to_send || more_to_read) && !socket.queued {
            socket.queued = true;
            self.ready.push(id);
        }
    }

    fn remove(&mut self, id: ConnectionId) {
        if let Some(slot) = self
            .sockets
            .get_mut(id.index as usize)
            .filter(|slot| holds(slot, id))
        {
            // Closing the descriptor also takes it out of the epoll set.
            *slot = None;
            self.driver.remove(id);
            self.accept_resumes = None;
        }
    }

    /// Does what other threads asked for.
    fn obey(&mut self, now: Instant) {
        if !self.orders.stop_accepting() {
            return;
        }
        if self.listener.is_some() && (!self.acceptable || self.accept_resumes.is_some()) {
            self.listener = None;
        }
        if self.listener.is_none() && !self.draining && self.orders.drain_until().is_some() {
            self.draining = true;
            self.driver.drain(now);
        }
    }

    /// Whether there is another turn. Asked last, so that a turn which ended the last connection ends the loop too.
    fn goes_on(&self, now: Instant) -> bool {
        self.orders
            .drain_until()
            .is_none_or(|until| now < until && (!self.draining || self.driver.connections() > 0))
    }
}

fn holds(slot: &Option<Socket>, id: ConnectionId) -> bool {
    slot.as_ref().is_some_and(|socket| socket.id == id)
}
