//! One connection as the protocol sees it: an id that never means another one, and a [`Link`] to write and steer with.
//!
//! The table of connections, `Entry` by `Entry`, belongs to the [`Driver`](crate::Driver); the backend keeps the sockets
//! at the same indices.

use crate::outbox::{Outbox, Payload};
use slab::Slab;
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Names one connection of one loop. The index is used again after the connection died, the generation is not (within
/// four billion connections), so a late answer never reaches a stranger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}.{}", self.index, self.generation)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How far a connection is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Ends when everything is sent; with `linger`, input is discarded for a while then.
    Flush {
        linger: bool,
    },
    /// Everything is sent and the sending side is shut down; input is discarded.
    Linger,
    Dead,
}

/// What the protocol decided about a connection.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) phase: Phase,
    pub(crate) deadline: Option<Instant>,
    pub(crate) paused: bool,
    pub(crate) requests: u64,
    pub(crate) timed_out: bool,
}

/// How long pending output has been moving too slowly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteGuard {
    pub(crate) deadline: Instant,
    pub(crate) sent_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Entry<C> {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) carry: Vec<u8>,
    /// The last call left input because the connection was paused or backlogged.
    pub(crate) blocked: bool,
    pub(crate) input_ended: bool,
    pub(crate) finish_told: bool,
    pub(crate) touched: bool,
    pub(crate) lingered_bytes: u64,
    pub(crate) linger_until: Option<Instant>,
    pub(crate) guard: Option<WriteGuard>,
    /// The earliest entry of this connection in the timer heap.
    pub(crate) armed: Option<Instant>,
    pub(crate) out: Outbox,
    pub(crate) control: Control,
    pub(crate) state: C,
}

impl<C> Entry<C> {
    /// The two halves that a call of the protocol needs.
    pub(crate) fn parts(&mut self, now: Instant, backlog_bytes: u64) -> (Link<'_>, &mut C) {
        let link = Link {
            id: self.id,
            peer: self.peer,
            now,
            backlog_bytes,
            control: &mut self.control,
            out: &mut self.out,
        };
        (link, &mut self.state)
    }

    pub(crate) fn is_backlogged(&self, backlog_bytes: u64) -> bool {
        self.out.pending_bytes() > backlog_bytes
    }

    /// The next moment at which this connection wants to be looked at.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.control.phase == Phase::Dead {
            return None;
        }
        let guard = self.guard.map(|guard| guard.deadline);
        let own = match self.control.phase {
            Phase::Linger => self.linger_until,
            Phase::Open | Phase::Flush { .. } => self.control.deadline,
            Phase::Dead => None,
        };
        match (guard, own) {
            (Some(guard), Some(own)) => Some(guard.min(own)),
            (guard, own) => guard.or(own),
        }
    }
}

/// The way from a protocol to one of its connections, lent for one call. Nothing here blocks or fails: what is written
/// is queued, and the loop sends it after the call.
#[derive(Debug)]
pub struct Link<'a> {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) now: Instant,
    pub(crate) backlog_bytes: u64,
    pub(crate) control: &'a mut Control,
    pub(crate) out: &'a mut Outbox,
}

impl Link<'_> {
    /// Which connection this is.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The peer's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The time of this turn, from the loop's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Queues a copy of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) {
        self.out.gather(|buffer| buffer.extend_from_slice(bytes));
    }

    /// Queues what `write` appends to the buffer it is given, which may hold earlier output: append only.
    pub fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.gather(write);
    }

    /// Queues a payload. Above 4 KiB its memory is sent from where it lies.
    pub fn push(&mut self, payload: Payload) {
        self.out.push(payload);
    }

    /// Bytes queued and not yet taken by the kernel; streams count whole.
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.out.pending_bytes()
    }

    /// Whether the peer owes the connection some reading. A protocol should then leave further requests unused; it is
    /// called again when enough was sent.
    #[must_use]
    pub fn is_backlogged(&self) -> bool {
        self.out.pending_bytes() > self.backlog_bytes
    }

    /// Stops delivery of input until [`resume`](Self::resume). What was not used is kept, at most
    /// [`LoopConfig::carry_bytes`](crate::LoopConfig::carry_bytes) of it; then the socket is no longer read.
    pub fn pause(&mut self) {
        self.control.paused = true;
    }

    /// Ends a pause; kept input is given again after this turn.
    pub fn resume(&mut self) {
        self.control.paused = false;
    }

    /// When [`Protocol::expire`](crate::Protocol::expire) is to be called; `None` = never. Costs one store; only a
    /// deadline that moves earlier costs more.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.control.deadline = deadline;
    }

    /// Sets the deadline this long from now.
    pub fn set_deadline_in(&mut self, delay: Duration) {
        self.control.deadline = Some(self.now + delay);
    }

    /// Ends the connection once everything queued is sent. No more input is delivered. With `linger` the loop then shuts
    /// down its sending side and discards input for a while, so that a peer that is still sending can read the last
    /// answer instead of a reset.
    pub fn close(&mut self, linger: bool) {
        match self.control.phase {
            Phase::Open => self.control.phase = Phase::Flush { linger },
            Phase::Flush { linger: false } if linger => self.control.phase = Phase::Flush { linger },
            _ => {}
        }
    }

    /// Ends the connection at once, unsent output included.
    pub fn abort(&mut self) {
        self.control.phase = Phase::Dead;
    }

    /// Whether the connection is ending.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.control.phase != Phase::Open
    }

    /// Counts one request in the loop's statistics.
    pub fn count_request(&mut self) {
        self.control.requests += 1;
    }

    /// Counts a connection that is ended because of a deadline.
    pub(crate) fn count_timeout(&mut self) {
        self.control.timed_out = true;
    }
}

/// All connections of a loop, for the turn in which a protocol answers what other threads completed.
#[derive(Debug)]
pub struct Links<'a, C> {
    pub(crate) table: &'a mut Slab<Entry<C>>,
    pub(crate) touched: &'a mut Vec<ConnectionId>,
    pub(crate) now: Instant,
    pub(crate) backlog_bytes: u64,
}

impl<C> Links<'_, C> {
    /// The connection with this id and its state, or `None` when it is gone. The loop flushes it after the turn.
    pub fn get(&mut self, id: ConnectionId) -> Option<(Link<'_>, &mut C)> {
        let entry = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)?;
        if entry.control.phase == Phase::Dead {
            return None;
        }
        if !entry.touched {
            entry.touched = true;
            self.touched.push(id);
        }
        Some(entry.parts(self.now, self.backlog_bytes))
    }

    /// The time of this turn, from the loop's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many connections are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
