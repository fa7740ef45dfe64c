//! The ring with all memory that it was lent, behind an interface that cannot be misused: everything a request names lives
//! here until its completion.
//!
//! Invariants: memory is freed only when no request is outstanding, and leaked if the kernel cannot be made to finish;
//! requests on a socket and its close are queued in that order, so a request never meets another file under its number.
#![expect(unsafe_code, reason = "requests name memory that lives here")]

use super::{
    buffers::ReceiveBuffers,
    flight::{Flight, Flights},
    pages::Pages,
    ring::{BUFFER_GROUP, Completion, Ring},
    token::Token,
};
use crate::{ConnectionId, backend::unavailable};
use io_uring::{
    opcode, squeue,
    types::{CancelBuilder, Fd},
};
use quintet_core::Result;
use rustix::event::{EventfdFlags, eventfd};
use std::{
    io,
    mem::ManuallyDrop,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

/// How often the end of all requests is waited for, and how long each time, before their memory is given up.
const LAST_WAITS: usize = 200;
const LAST_WAIT: Duration = Duration::from_millis(10);

/// What requests point into.
struct Lent {
    buffers: ReceiveBuffers,
    flights: Flights,
    bell_count: Pages,
}

pub(super) struct Kernel {
    ring: Ring,
    lent: ManuallyDrop<Lent>,
    bell: Arc<OwnedFd>,
}

impl Kernel {
    /// A ring for this thread, with its receive buffers and its wake-up eventfd.
    ///
    /// # Errors
    /// What the system refused.
    pub(super) fn new(receive_buffers: u16) -> Result<Self> {
        let ring = Ring::of_a_loop()?;
        ring.probe()?;
        // Blocking, because io_uring gives up at once on a file that is not.
        let bell = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| unavailable("eventfd", error.into()))?;
        let kernel = Self {
            ring,
            lent: ManuallyDrop::new(Lent {
                buffers: ReceiveBuffers::new(receive_buffers)?,
                flights: Flights::default(),
                bell_count: Pages::zeroed(size_of::<u64>())?,
            }),
            bell: Arc::new(bell),
        };
        // SAFETY: `lent` is freed by `drop` alone, and only when nothing is outstanding.
        unsafe { kernel.ring.register(&kernel.lent.buffers)? };
        Ok(kernel)
    }

    /// The eventfd that wakes this ring.
    pub(super) fn bell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.bell)
    }

    /// Reads the eventfd once: the next ring of the bell is a completion.
    pub(super) fn listen(&mut self) {
        let into = self.lent.bell_count.start().as_ptr();
        let entry = opcode::Read::new(Fd(self.bell.as_raw_fd()), into, size_of::<u64>() as u32).build();
        // SAFETY: `bell_count` is at least 8 bytes, is read by nobody, and lives until nothing is outstanding.
        unsafe { self.ring.push(entry, Token::Bell) }
    }

    /// A request without memory of its own. Receives write into buffers of the registered group only.
    fn push_plain(&mut self, entry: squeue::Entry, token: Token) {
        // SAFETY: called in this file only, with requests that name no memory, or the registered buffers, which live
        // until nothing is outstanding and are read only while they are not the kernel's.
        unsafe { self.ring.push(entry, token) }
    }

    /// Accepts until [`cancel_accept`](Self::cancel_accept) or an error.
    pub(super) fn accept(&mut self, listener: BorrowedFd<'_>) {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push_plain(entry, Token::Accept);
    }

    pub(super) fn cancel_accept(&mut self) {
        let entry = opcode::AsyncCancel::new(Token::Accept.encode()).build();
        self.push_plain(entry, Token::Quiet);
    }

    /// The connection of a completed accept.
    ///
    /// # Errors
    /// What the accept failed with.
    pub(super) fn accepted(accept: Completion) -> io::Result<OwnedFd> {
        if accept.token != Token::Accept || accept.result < 0 {
            return Err(io::Error::from_raw_os_error(accept.result.saturating_neg()));
        }
        // SAFETY: the result of a successful accept is a new descriptor, and a completion is reaped once and consumed
        // here, so nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(accept.result) })
    }

    /// Receives into the shared buffers until cancelled, the end of input, an error, or want of buffers.
    pub(super) fn receive(&mut self, id: ConnectionId, socket: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), BUFFER_GROUP).build();
        self.push_plain(entry, Token::Receive(id));
    }

    pub(super) fn cancel_receive(&mut self, id: ConnectionId) {
        let entry = opcode::AsyncCancel::new(Token::Receive(id).encode()).build();
        self.push_plain(entry, Token::Quiet);
    }

    /// Completes once, when the connection breaks or the peer closes its half.
    pub(super) fn watch(&mut self, id: ConnectionId, socket: BorrowedFd<'_>) {
        // Errors and hang-ups are always reported.
        let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), 0).build();
        self.push_plain(entry, Token::Watch(id));
    }

    /// Notes that the buffers of this completion are ours now, and gives what they received; `None` = it has none.
    pub(super) fn received(&mut self, completion: &Completion) -> Option<&[u8]> {
        let (first, len) = (completion.buffer?, usize::try_from(completion.result).ok()?);
        self.lent.buffers.took(first, completion.buffers);
        Some(self.lent.buffers.bytes(first, completion.buffers, len))
    }

    /// Puts them back for later receives, from the next [`enter`](Self::enter) on.
    pub(super) fn give_back(&mut self, completion: &Completion) {
        if let Some(first) = completion.buffer {
            (first..first.saturating_add(completion.buffers))
                .for_each(|buffer| self.lent.buffers.give(buffer));
        }
    }

    /// A flight whose batch is to be filled and [launched](Self::launch), or [recycled](Self::recycle).
    pub(super) fn flight(&mut self, id: ConnectionId, socket: BorrowedFd<'_>) -> Box<Flight> {
        self.lent.flights.take(id, socket.as_raw_fd())
    }

    /// Sends what is left of a flight's batch. Its socket must be open.
    pub(super) fn launch(&mut self, flight: Box<Flight>) {
        if let Some((number, entry)) = self.lent.flights.launch(flight) {
            // SAFETY: the entry points into the flight, which is boxed in the table until `land`, and into the batch's
            // bytes, which do not move until it is cleared. `land` is called for reaped completions only.
            unsafe { self.ring.push(entry, Token::Send(number)) }
        }
    }

    /// The flight of a completed send.
    pub(super) fn land(&mut self, send: &Completion) -> Option<Box<Flight>> {
        match send.token {
            Token::Send(number) => self.lent.flights.land(number),
            _ => None,
        }
    }

    /// Takes back a flight whose batch is empty.
    pub(super) fn recycle(&mut self, flight: Box<Flight>) {
        self.lent.flights.recycle(flight);
    }

    /// Cancels everything on a socket, then closes it.
    pub(super) fn close(&mut self, socket: OwnedFd) {
        let descriptor = Fd(socket.into_raw_fd());
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::fd(descriptor).all()).build();
        self.push_plain(cancel, Token::Quiet);
        self.push_plain(opcode::Close::new(descriptor).build(), Token::Quiet);
    }

    /// Submits everything queued and sleeps until something completes, at most for `timeout`.
    ///
    /// # Errors
    /// When the kernel refuses the ring.
    pub(super) fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.lent.buffers.publish();
        self.ring.enter(timeout)
    }

    pub(super) fn reap(&mut self, into: &mut Vec<Completion>) {
        self.ring.reap(into);
    }

    pub(super) fn has_completions(&mut self) -> bool {
        self.ring.has_completions()
    }

    /// Requests that are queued or with the kernel.
    pub(super) fn depth(&self) -> usize {
        self.ring.outstanding()
    }

    /// Cancels every request and waits until the kernel holds nothing of ours. Returns whether that is so. Late
    /// connections are closed; flights end with their batches.
    pub(super) fn quiesce(&mut self) -> bool {
        if self.ring.outstanding() > 0 {
            let all = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
            self.push_plain(all, Token::Quiet);
        }
        let mut completions = Vec::new();
        for _ in 0..LAST_WAITS {
            let wait = if self.ring.outstanding() > 0 {
                LAST_WAIT
            } else {
                Duration::ZERO
            };
            // What was queued is submitted even when nothing is waited for: closes are among it.
            let entered = self.enter(Some(wait));
            self.reap(&mut completions);
            for completion in completions.drain(..) {
                match completion.token {
                    Token::Accept => drop(Self::accepted(completion)),
                    Token::Send(_) => drop(self.land(&completion)),
                    _ => {}
                }
            }
            if entered.is_err() || self.ring.outstanding() == 0 {
                break;
            }
        }
        self.ring.outstanding() == 0
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if self.quiesce() {
            // SAFETY: dropped here only, and not used after; nothing is outstanding, so the kernel uses none of it.
            unsafe { ManuallyDrop::drop(&mut self.lent) }
        }
    }
}
