//! The completion backend: one io_uring per worker, made on its thread.
//!
//! A turn is one entry into the kernel, which submits everything the last turn queued and sleeps until something is
//! complete. Accepts and receives are multishot; received bytes come in buffers of a shared ring and go back within the
//! turn; a send owns its bytes until its completion. No error of one connection ends the loop.
//!
//! | file | what it holds |
//! |---|---|
//! | `accept`, `traffic` | the loop's reaction to completions, without `unsafe` |
//! | `kernel` | the ring and the memory lent to it, behind a safe interface |
//! | `ring`, `buffers`, `flight`, `pages`, `token` | its parts |

mod accept;
mod buffers;
mod flight;
mod kernel;
mod pages;
mod ring;
mod token;
mod traffic;

use self::{
    accept::Accepting,
    kernel::Kernel,
    ring::{Completion, Ring},
    token::Token,
    traffic::open_socket,
};
use crate::{
    ConnectionId, Listener, LoopConfig, LoopContext, Protocol,
    event_loop::{waker::Bell, worker::Worker},
};
use quintet_core::{Clock, Error, ErrorKind, Result};
use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Whether the kernel has, and the system permits, what this backend needs.
///
/// On a thread of its own: the kernel takes a ring apart in the background and interrupts the thread that used it for
/// that, which the caller would see as a blocking call that fails with `EINTR`.
///
/// # Errors
/// What is missing or refused.
pub(crate) fn available() -> Result<()> {
    let probe = thread::Builder::new()
        .name("uring-probe".to_owned())
        .spawn(|| Ring::new(8, 16)?.probe())?;
    let panicked = |_| Err(Error::new(ErrorKind::Unsupported, "io_uring: the probe panicked"));
    probe.join().unwrap_or_else(panicked)
}

/// A connection's socket and the requests that are under way on it.
struct Socket {
    id: ConnectionId,
    stream: OwnedFd,
    /// A receive is armed.
    receiving: bool,
    /// Its cancellation is under way.
    cancelled: bool,
    /// A watch for the connection's end was armed; it fires once.
    watched: bool,
    sending: bool,
    /// The peer's end was received.
    ended: bool,
    end_told: bool,
    queued: bool,
    /// Received, but not wanted yet.
    held: Vec<u8>,
}

impl Socket {
    fn new(id: ConnectionId, stream: OwnedFd) -> Self {
        Self {
            id,
            stream,
            receiving: false,
            cancelled: false,
            watched: false,
            sending: false,
            ended: false,
            end_told: false,
            queued: false,
            held: Vec::new(),
        }
    }
}

/// A loop on io_uring.
pub(crate) struct UringLoop<P: Protocol> {
    pub(crate) worker: Worker<P>,
    kernel: Kernel,
    accepting: Accepting,
    sockets: Vec<Option<Socket>>,
    /// Connections that this turn's completions reached.
    ready: Vec<ConnectionId>,
    touched: Vec<ConnectionId>,
    completions: Vec<Completion>,
    bell_armed: bool,
}

impl<P: Protocol> UringLoop<P> {
    /// # Errors
    /// What `protocol` returns, or what the system refused.
    pub(crate) fn new(
        listener: Listener,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: impl FnOnce(&LoopContext) -> Result<P>,
    ) -> Result<Self> {
        let kernel = Kernel::new(config.receive_buffers)?;
        let worker = Worker::new(Bell::Ring(kernel.bell()), config, clock, protocol)?;
        let listener = listener.socket;
        // io_uring gives up at once on a socket that does not block.
        listener.set_nonblocking(false)?;
        // Accepted sockets inherit it. Without it small answers wait for the peer's delayed acknowledgements.
        socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
        Ok(Self {
            worker,
            kernel,
            accepting: Accepting::new(listener),
            sockets: Vec::new(),
            ready: Vec::new(),
            touched: Vec::new(),
            completions: Vec::new(),
            bell_armed: false,
        })
    }

    /// Runs until it is drained. Every connection is closed, to the peer and to the protocol, before this returns.
    ///
    /// # Errors
    /// When the kernel refuses the ring; connections are closed all the same.
    pub(crate) fn run(&mut self) -> Result<()> {
        let first = self.worker.now();
        self.arm_accept(first);
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
        self.kernel.quiesce();
        ended
    }

    /// One turn. Returns whether there is another.
    fn turn(&mut self) -> io::Result<bool> {
        self.wait()?;
        let now = self.worker.now();
        self.worker.stats.turns.add(1);
        self.react(now);
        self.settle_ready(now);
        self.worker.driver.expire(now);
        self.worker.driver.turn(now);
        self.settle_touched(now);
        self.arm_accept(now);
        if self.worker.must_stop_accepting() {
            self.stop_accepting(now);
            self.settle_ready(now);
            if self.accepting.listener.is_none() {
                self.worker.drain_if_asked(now);
            }
        }
        self.settle_touched(now);
        Ok(self.worker.goes_on(now))
    }

    /// Submits what the last turn queued and waits for completions, not at all when there is work, for ever when nothing
    /// is due.
    fn wait(&mut self) -> io::Result<()> {
        if !self.bell_armed {
            self.bell_armed = true;
            self.kernel.listen();
        }
        for _ in 0..self.worker.config.spin_polls {
            if self.worker.driver.protocol().has_work() {
                break;
            }
            self.kernel.enter(Some(Duration::ZERO))?;
            if self.kernel.has_completions() {
                return Ok(());
            }
        }
        self.worker.stats.ring_depth.set(self.kernel.depth() as u64);
        let busy = !self.ready.is_empty();
        let resumes = self.accepting.resumes;
        let timeout = self
            .worker
            .arm(busy, resumes.filter(|_| self.accepting.listener.is_some()));
        let entered = self.kernel.enter(timeout);
        self.worker.disarm();
        entered
    }

    /// Takes in this turn's completions.
    fn react(&mut self, now: Instant) {
        let mut completions = std::mem::take(&mut self.completions);
        self.kernel.reap(&mut completions);
        for completion in completions.drain(..) {
            match completion.token {
                Token::Bell => self.bell_armed = false,
                Token::Accept => self.accepted(completion, now),
                Token::Receive(id) => self.received(id, &completion, now),
                Token::Watch(id) => self.watched(id, &completion),
                Token::Send(_) => self.sent(&completion, now),
                Token::Quiet => {}
            }
        }
        self.completions = completions;
    }

    /// Has a connection settled in this turn.
    fn queue(&mut self, id: ConnectionId) {
        if let Some(socket) = open_socket(&mut self.sockets, id).filter(|socket| !socket.queued) {
            socket.queued = true;
            self.ready.push(id);
        }
    }

    fn settle_ready(&mut self, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        for id in ready.drain(..) {
            if let Some(socket) = open_socket(&mut self.sockets, id) {
                socket.queued = false;
                self.settle(id, now);
            }
        }
        self.ready = ready;
    }

    /// Settles the connections that a turn or a deadline reached.
    fn settle_touched(&mut self, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        self.worker.driver.take_touched(&mut touched);
        for id in touched.drain(..) {
            self.settle(id, now);
        }
        self.touched = touched;
    }
}
