//! All of a loop that needs no socket: the table of connections, kept input, back-pressure, deadlines, endings.
//!
//! A backend reports what the kernel did ([`open`](Driver::open), [`received`](Driver::received), …) and asks what to do
//! ([`wants_read`](Driver::wants_read), [`step`](Driver::step)). Tests and fuzz targets take the backend's place and drive
//! a protocol from plain bytes. Invariant: every connection opened is closed to the protocol exactly once.

mod deadlines;
#[cfg(all(feature = "uring", target_os = "linux"))]
mod lending;
mod sending;

use crate::{
    LoopConfig, LoopStats,
    buffer::BufferPool,
    connection::{ConnectionId, Control, Entry, Link, Links, Phase},
    outbox::Outbox,
    protocol::Protocol,
    timer::Timers,
};
use slab::Slab;
use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

/// What a backend has to do with a connection after it sent what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Kept input led to new output: send again.
    Flush,
    /// Shut down the sending side, and go on reading: the input is discarded.
    Shutdown,
    /// Close the socket and [`remove`](Driver::remove) the connection.
    Remove,
}

/// Runs a [`Protocol`] over connections that somebody else moves the bytes of.
///
/// ```
/// # use quintet_net::{ConnectionId, Driver, Link, LoopConfig, Protocol};
/// # struct Echo;
/// # impl Protocol for Echo {
/// #     type Connection = ();
/// #     fn open(&mut self, _: &mut Link<'_>) {}
/// #     fn receive(&mut self, link: &mut Link<'_>, (): &mut (), input: &[u8]) -> usize {
/// #         link.write(input);
/// #         input.len()
/// #     }
/// #     fn close(&mut self, _: ConnectionId, (): ()) {}
/// # }
/// let now = std::time::Instant::now();
/// let mut driver = Driver::new(Echo, LoopConfig::default()).unwrap();
/// let id = driver.open("127.0.0.1:9".parse().unwrap(), now).unwrap();
/// driver.received(id, b"hello", now);
/// assert_eq!(driver.take_output(id, 100, now), b"hello");
/// ```
pub struct Driver<P: Protocol> {
    protocol: P,
    config: LoopConfig,
    table: Slab<Entry<P::Connection>>,
    generation: u32,
    touched: Vec<ConnectionId>,
    timers: Timers,
    pool: BufferPool,
    stats: Arc<LoopStats>,
    draining: bool,
}

impl<P: Protocol> fmt::Debug for Driver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("connections", &self.table.len())
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Driver<P> {
    /// A driver without connections.
    ///
    /// # Errors
    /// As [`LoopConfig::validate`].
    pub fn new(protocol: P, config: LoopConfig) -> quintet_core::Result<Self> {
        config.validate()?;
        Ok(Self {
            protocol,
            config,
            table: Slab::new(),
            generation: 0,
            touched: Vec::new(),
            timers: Timers::default(),
            pool: BufferPool::new(config.stream_buffers_kept),
            stats: Arc::default(),
            draining: false,
        })
    }

    /// Counts into `stats` from now on.
    pub(crate) fn set_stats(&mut self, stats: Arc<LoopStats>) {
        self.stats = stats;
    }

    /// The protocol, to look at in tests.
    #[must_use]
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The protocol, to change.
    pub fn protocol_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// The number of bytes of input that are kept for this connection.
    #[must_use]
    pub fn kept_bytes(&self, id: ConnectionId) -> usize {
        self.entry(id).map_or(0, |entry| entry.carry.len())
    }

    fn entry(&self, id: ConnectionId) -> Option<&Entry<P::Connection>> {
        self.table.get(id.index as usize).filter(|entry| entry.id == id)
    }

    /// Takes a new connection. `None` = the limit is reached, or the loop drains.
    pub fn open(&mut self, peer: SocketAddr, now: Instant) -> Option<ConnectionId> {
        if self.table.len() >= self.config.max_connections || self.draining {
            return None;
        }
        let slot = self.table.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        let id = ConnectionId {
            index: u32::try_from(slot.key()).ok()?,
            generation: self.generation,
        };
        let mut control = Control {
            phase: Phase::Open,
            deadline: None,
            paused: false,
            requests: 0,
            timed_out: false,
        };
        let mut out = Outbox::default();
        let backlog_bytes = self.config.backlog_bytes;
        let state = self.protocol.open(&mut Link {
            id,
            peer,
            now,
            backlog_bytes,
            control: &mut control,
            out: &mut out,
        });
        slot.insert(Entry {
            id,
            peer,
            carry: Vec::new(),
            blocked: false,
            input_ended: false,
            finish_told: false,
            touched: false,
            lingered_bytes: 0,
            linger_until: None,
            guard: None,
            armed: None,
            out,
            control,
            state,
        });
        self.stats.accepted.add(1);
        self.stats.open.set(self.table.len() as u64);
        self.rearm(id);
        Some(id)
    }

    /// Whether the backend should read from this connection now.
    #[must_use]
    pub fn wants_read(&self, id: ConnectionId) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        if entry.input_ended {
            return false;
        }
        match entry.control.phase {
            Phase::Open => {
                !entry.control.paused
                    && !entry.blocked
                    && !entry.is_backlogged(self.config.backlog_bytes)
                    && entry.carry.len() <= self.config.carry_bytes
            }
            Phase::Linger => true,
            Phase::Flush { linger } => linger && entry.lingered_bytes <= self.config.linger_bytes,
            Phase::Dead => false,
        }
    }

    /// Hands over bytes that the peer sent.
    pub fn received(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        self.stats.bytes_in.add(bytes.len() as u64);
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        if entry.control.phase != Phase::Open {
            entry.lingered_bytes += bytes.len() as u64;
            if entry.control.phase == Phase::Linger && entry.lingered_bytes > self.config.linger_bytes {
                entry.control.phase = Phase::Dead;
            }
            return;
        }
        if entry.carry.is_empty() {
            let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
            let used = self.protocol.receive(&mut link, state, bytes).min(bytes.len());
            entry.carry.extend_from_slice(&bytes[used..]);
            self.after_receive(id);
        } else {
            entry.carry.extend_from_slice(bytes);
            self.pump(id, now);
        }
    }

    /// Offers kept input again.
    fn pump(&mut self, id: ConnectionId, now: Instant) {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        if entry.control.paused || entry.control.phase != Phase::Open {
            return;
        }
        let mut carry = std::mem::take(&mut entry.carry);
        let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
        let used = self.protocol.receive(&mut link, state, &carry).min(carry.len());
        if used < carry.len() {
            carry.drain(..used);
            entry.carry = carry;
        }
        self.after_receive(id);
    }

    /// Notes why input was left, and cuts a connection whose protocol keeps more than it may.
    fn after_receive(&mut self, id: ConnectionId) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        self.stats
            .requests
            .add(std::mem::take(&mut entry.control.requests));
        entry.blocked = !entry.carry.is_empty()
            && (entry.control.paused || entry.is_backlogged(self.config.backlog_bytes));
        match entry.control.phase {
            Phase::Open if !entry.blocked && entry.carry.len() > self.config.carry_bytes => {
                entry.control.phase = Phase::Dead;
            }
            // A peer that sent more than was wanted would get a reset instead of the last answer.
            Phase::Flush { linger: false } if !entry.carry.is_empty() => {
                entry.control.phase = Phase::Flush { linger: true };
            }
            _ => {}
        }
        if entry.control.phase != Phase::Open {
            entry.carry = Vec::new();
            entry.blocked = false;
        }
        self.rearm(id);
    }

    /// The peer shut down its sending side: no more bytes will come.
    pub fn finished(&mut self, id: ConnectionId, now: Instant) {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        entry.input_ended = true;
        match entry.control.phase {
            Phase::Open => self.tell_finish(id, now),
            Phase::Flush { .. } => entry.control.phase = Phase::Flush { linger: false },
            Phase::Linger | Phase::Dead => entry.control.phase = Phase::Dead,
        }
    }

    /// Tells the protocol of the end of input, once all input before it was delivered.
    fn tell_finish(&mut self, id: ConnectionId, now: Instant) {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return;
        };
        let told = entry.finish_told || !entry.input_ended || entry.control.phase != Phase::Open;
        if told || entry.blocked || entry.control.paused {
            return;
        }
        entry.finish_told = true;
        entry.carry = Vec::new();
        let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
        self.protocol.finish(&mut link, state);
        self.rearm(id);
    }

    /// The connection broke: nothing can be sent or received any more.
    pub fn failed(&mut self, id: ConnectionId) {
        if let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        {
            entry.control.phase = Phase::Dead;
        }
    }

    /// Forgets a connection and tells the protocol. Does nothing when it is gone already.
    pub fn remove(&mut self, id: ConnectionId) {
        if self.entry(id).is_some() {
            let entry = self.table.remove(id.index as usize);
            self.stats.requests.add(entry.control.requests);
            self.protocol.close(id, entry.state);
            self.stats.open.set(self.table.len() as u64);
            if self.table.is_empty() {
                self.timers.clear();
            }
        }
    }

    /// Runs the protocol's own turn.
    pub fn turn(&mut self, now: Instant) {
        let mut links = Links {
            table: &mut self.table,
            touched: &mut self.touched,
            now,
            backlog_bytes: self.config.backlog_bytes,
        };
        self.protocol.turn(&mut links);
    }

    /// The connections that a turn, a deadline or a drain reached: flush each and ask for its [`step`](Self::step).
    pub fn take_touched(&mut self, into: &mut Vec<ConnectionId>) {
        for id in self.touched.drain(..) {
            if let Some(entry) = self
                .table
                .get_mut(id.index as usize)
                .filter(|entry| entry.id == id)
            {
                entry.touched = false;
                into.push(id);
            }
        }
        for id in into.iter() {
            self.rearm(*id);
        }
    }

    /// Begins the end: no connection is taken any more, and each is told to finish what it has begun.
    pub fn drain(&mut self, now: Instant) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        for (_, entry) in &mut self.table {
            if !entry.touched {
                entry.touched = true;
                self.touched.push(entry.id);
            }
            let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
            if !link.is_closing() {
                self.protocol.drain(&mut link, state);
            }
        }
    }

    /// Ids of all connections, for a backend that ends.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.table.iter().map(|(_, entry)| entry.id).collect()
    }
}
