//! The readiness backend: mio's epoll, edge-triggered, every socket registered once for both directions.
//!
//! A turn is bounded: so many events, so many accepts, so many bytes a connection; what is left stays in the ready list
//! and is taken up in the next turn, which then does not sleep. An edge is remembered until a read or write says
//! `WouldBlock` or moves less than was offered, so a quiet request costs one read, one write and a share of one wait.
//! No error of one connection ends the loop.

mod accept;

use crate::{
    ConnectionId, Listener, LoopConfig, LoopContext, Protocol, Step,
    buffer::BufferPool,
    event_loop::{waker::Bell, worker::Worker},
};
use mio::{Events, Interest, Poll, Token, net::TcpListener, net::TcpStream};
use quintet_core::{AlignedBuffer, Clock, Result};
use std::{
    io::{self, Read, Write},
    net::Shutdown,
    sync::Arc,
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

/// A loop on epoll.
pub(crate) struct EpollLoop<P: Protocol> {
    poll: Poll,
    events: Events,
    listener: Option<TcpListener>,
    acceptable: bool,
    /// Accepting pauses until then: the process is out of descriptors.
    accept_resumes: Option<Instant>,
    pub(crate) worker: Worker<P>,
    sockets: Vec<Option<Socket>>,
    ready: Vec<ConnectionId>,
    /// The other ready list, so that neither is allocated anew.
    current: Vec<ConnectionId>,
    buffer: AlignedBuffer,
}

impl<P: Protocol> EpollLoop<P> {
    /// # Errors
    /// What `protocol` returns, or what the system refused.
    pub(crate) fn new(
        listener: Listener,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: impl FnOnce(&LoopContext) -> Result<P>,
    ) -> Result<Self> {
        let poll = Poll::new()?;
        let bell = Bell::Epoll(mio::Waker::new(poll.registry(), WAKER)?);
        let worker = Worker::new(bell, config, clock, protocol)?;
        let mut listener = TcpListener::from_std(listener.socket);
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            listener: Some(listener),
            acceptable: true,
            accept_resumes: None,
            worker,
            sockets: Vec::new(),
            ready: Vec::new(),
            current: Vec::new(),
            buffer: AlignedBuffer::zeroed(BufferPool::BUFFER_BYTES),
        })
    }

    /// Runs until it is drained. Every connection is closed to the protocol before this returns.
    ///
    /// # Errors
    /// When the system's poll itself fails; connections are closed all the same.
    pub(crate) fn run(&mut self) -> Result<()> {
        let ended = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        for id in self.worker.driver.ids() {
            self.remove(id);
        }
        ended
    }

    /// One turn. Returns whether there is another.
    fn turn(&mut self) -> io::Result<bool> {
        self.wait()?;
        let now = self.worker.now();
        self.worker.stats.turns.add(1);
        self.collect();
        let mut current = std::mem::replace(&mut self.ready, std::mem::take(&mut self.current));
        for id in current.drain(..) {
            self.serve(id, now);
        }
        self.worker.driver.expire(now);
        self.worker.driver.turn(now);
        self.settle_touched(&mut current, now);
        self.accept(now);
        self.obey(now);
        self.settle_touched(&mut current, now);
        self.current = current;
        Ok(self.worker.goes_on(now))
    }

    /// Flushes the connections that a turn or a deadline reached.
    fn settle_touched(&mut self, list: &mut Vec<ConnectionId>, now: Instant) {
        self.worker.driver.take_touched(list);
        for id in list.drain(..) {
            self.settle(id, now);
        }
    }

    /// Waits for events, not at all when there is work, for ever when nothing is due.
    fn wait(&mut self) -> io::Result<()> {
        for _ in 0..self.worker.config.spin_polls {
            if self.is_busy() || self.worker.driver.protocol().has_work() {
                break;
            }
            self.poll_for(Some(Duration::ZERO))?;
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        let resumes = self.accept_resumes.filter(|_| self.acceptable);
        let timeout = self.worker.arm(self.is_busy(), resumes);
        let polled = self.poll_for(timeout);
        self.worker.disarm();
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

    /// Whether a turn would find something without waiting for the kernel or another thread.
    fn is_busy(&self) -> bool {
        let accepting = self.acceptable && self.accept_resumes.is_none() && self.listener.is_some();
        !self.ready.is_empty() || accepting
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
                        self.worker.driver.failed(socket.id);
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
            if !socket.readable || !self.worker.driver.wants_read(id) {
                break;
            }
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => {
                    socket.readable = false;
                    self.worker.driver.finished(id, now);
                }
                Ok(count) => {
                    // Less than asked for means that the socket is empty, and more brings a new edge.
                    socket.readable = count == self.buffer.len() || socket.read_closed;
                    self.worker.driver.received(id, &self.buffer[..count], now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.worker.driver.failed(id);
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
                let full = self.worker.driver.flush(id, now, budget_bytes, |slices| {
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
            match self.worker.driver.step(id, now) {
                Step::Flush if budget_bytes > 0 && socket.writable => {}
                Step::Keep | Step::Flush => break,
                Step::Shutdown => {
                    if socket.stream.shutdown(Shutdown::Write).is_err() {
                        self.worker.driver.failed(id);
                    }
                }
                Step::Remove => return self.remove(id),
            }
        }
        let more_to_send = socket.writable && budget_bytes == 0 && self.worker.driver.has_output(id);
        let more_to_read = socket.readable && self.worker.driver.wants_read(id);
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
            self.worker.driver.remove(id);
            self.accept_resumes = None;
        }
    }

    /// Does what other threads asked for.
    fn obey(&mut self, now: Instant) {
        if !self.worker.must_stop_accepting() {
            return;
        }
        if self.listener.is_some() && (!self.acceptable || self.accept_resumes.is_some()) {
            self.listener = None;
        }
        if self.listener.is_none() {
            self.worker.drain_if_asked(now);
        }
    }
}

fn holds(slot: &Option<Socket>, id: ConnectionId) -> bool {
    slot.as_ref().is_some_and(|socket| socket.id == id)
}
