//! All of a loop that needs no socket: the table of connections, kept input, back-pressure, deadlines, endings.
//!
//! A backend reports what the kernel did ([`open`](Driver::open), [`received`](Driver::received), …) and asks what to do
//! ([`wants_read`](Driver::wants_read), [`step`](Driver::step)). Tests and fuzz targets take the backend's place and drive
//! a protocol from plain bytes. Invariant: every connection opened is closed to the protocol exactly once.

use crate::{
    LoopConfig, LoopStats,
    buffer::BufferPool,
    connection::{ConnectionId, Control, Entry, Link, Links, Phase, WriteGuard},
    outbox::{MAX_SLICES, Outbox},
    protocol::Protocol,
    timer::Timers,
};
use slab::Slab;
use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

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

    /// Writes pending output through `write` until it takes no more or `budget_bytes` have gone. Returns whether output
    /// is left that `write` would not take.
    pub(crate) fn flush(
        &mut self,
        id: ConnectionId,
        now: Instant,
        budget_bytes: usize,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> bool {
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return false;
        };
        let (mut total, mut full) = (0, false);
        while !entry.out.is_empty() && total < budget_bytes && entry.control.phase != Phase::Dead {
            if entry.out.prepare(&mut self.pool).is_err() {
                entry.control.phase = Phase::Dead;
                break;
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = entry.out.slices(&mut slices);
            if count == 0 {
                break;
            }
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            match write(&slices[..count]) {
                Ok(sent) => {
                    entry.out.advance(sent, &mut self.pool);
                    total += sent;
                    full = sent < offered;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => full = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => entry.control.phase = Phase::Dead,
            }
            if full {
                break;
            }
        }
        self.stats.bytes_out.add(total as u64);
        self.guard_writes(id, total as u64, full, now);
        full
    }

    /// Starts, credits or ends the watch over a peer that does not take its output.
    fn guard_writes(&mut self, id: ConnectionId, sent_bytes: u64, full: bool, now: Instant) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        if entry.out.is_empty() || !full {
            entry.guard = None;
            return;
        }
        match &mut entry.guard {
            Some(guard) => guard.sent_bytes += sent_bytes,
            None => {
                let deadline = now + self.config.write_progress;
                entry.guard = Some(WriteGuard {
                    deadline,
                    sent_bytes: 0,
                });
                self.rearm(id);
            }
        }
    }

    /// Whether there is output that could be written now or later.
    #[must_use]
    pub fn has_output(&self, id: ConnectionId) -> bool {
        self.entry(id).is_some_and(|entry| !entry.out.is_empty())
    }

    /// Takes up to `max_bytes` of pending output as if a socket with that much room had: the backend's place in a test.
    pub fn take_output(&mut self, id: ConnectionId, max_bytes: usize, now: Instant) -> Vec<u8> {
        let mut taken = Vec::new();
        self.flush(id, now, usize::MAX, |slices| {
            let mut count = 0;
            for slice in slices {
                let part = slice.len().min(max_bytes - taken.len());
                taken.extend_from_slice(&slice[..part]);
                count += part;
            }
            if count == 0 {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(count)
            }
        });
        taken
    }

    /// After a flush: uses input that was kept back, and says what is to be done with the connection.
    pub fn step(&mut self, id: ConnectionId, now: Instant) -> Step {
        let backlog_bytes = self.config.backlog_bytes;
        let Some(entry) = self
            .table
            .get_mut(id.index as usize)
            .filter(|entry| entry.id == id)
        else {
            return Step::Keep;
        };
        let pending = entry.out.pending_bytes();
        if entry.blocked && !entry.control.paused && !entry.is_backlogged(backlog_bytes) {
            entry.blocked = false;
            self.pump(id, now);
        }
        self.tell_finish(id, now);
        let linger = self.config.linger;
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return Step::Keep;
        };
        if std::mem::take(&mut entry.control.timed_out) {
            self.stats.timeouts.add(1);
        }
        match entry.control.phase {
            Phase::Dead => Step::Remove,
            Phase::Flush { linger: false } if entry.out.is_empty() => Step::Remove,
            Phase::Flush { linger: true } if entry.out.is_empty() => {
                entry.control.phase = Phase::Linger;
                entry.linger_until = Some(now + linger);
                self.rearm(id);
                Step::Shutdown
            }
            _ if entry.out.pending_bytes() > pending => Step::Flush,
            _ => Step::Keep,
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

    /// When [`expire`](Self::expire) or [`turn`](Self::turn) must run although nothing happened. `None` = never.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let table = &self.table;
        let own = self.timers.earliest(|at, id| {
            table
                .get(id.index as usize)
                .is_some_and(|entry| entry.id == id && entry.armed == Some(at))
        });
        match (own, self.protocol.next_deadline()) {
            (Some(own), Some(asked)) => Some(own.min(asked)),
            (own, asked) => own.or(asked),
        }
    }

    /// Makes sure that the heap has an entry no later than this connection's next deadline.
    fn rearm(&mut self, id: ConnectionId) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        let Some(due) = entry.due() else { return };
        if entry.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        entry.armed = Some(due);
        self.timers.push(due, id);
        if self.timers.len() > 64 + 4 * self.table.len() {
            let table = &self.table;
            self.timers.retain(|at, id| {
                table
                    .get(id.index as usize)
                    .is_some_and(|entry| entry.id == id && entry.armed == Some(at))
            });
        }
    }

    /// Acts on every deadline that has passed. The connections concerned are among the next
    /// [`touched`](Self::take_touched).
    pub fn expire(&mut self, now: Instant) {
        // Bounded by what was there: a protocol that sets a deadline in the past gets a turn, not the whole loop.
        for _ in 0..self.timers.len() {
            let Some((at, id)) = self.timers.pop_due(now) else {
                return;
            };
            let Some(entry) = self
                .table
                .get_mut(id.index as usize)
                .filter(|entry| entry.id == id)
            else {
                continue;
            };
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            if entry.due().is_some_and(|due| due <= now) {
                self.expire_one(id, now);
            }
            self.rearm(id);
        }
    }

    fn expire_one(&mut self, id: ConnectionId, now: Instant) {
        let Some(entry) = self.table.get_mut(id.index as usize) else {
            return;
        };
        if !entry.touched {
            entry.touched = true;
            self.touched.push(id);
        }
        if entry.control.phase == Phase::Linger {
            entry.control.phase = Phase::Dead;
            return;
        }
        if let Some(guard) = entry.guard.as_mut().filter(|guard| guard.deadline <= now) {
            if guard.sent_bytes < self.config.write_progress_bytes {
                entry.control.phase = Phase::Dead;
                entry.control.timed_out = true;
                return;
            }
            *guard = WriteGuard {
                deadline: now + self.config.write_progress,
                sent_bytes: 0,
            };
        }
        if entry.control.deadline.is_some_and(|deadline| deadline <= now) {
            entry.control.deadline = None;
            let (mut link, state) = entry.parts(now, self.config.backlog_bytes);
            self.protocol.expire(&mut link, state);
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
