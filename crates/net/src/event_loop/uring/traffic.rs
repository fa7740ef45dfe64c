//! One connection's bytes: what completions bring, what is sent, and when receiving stops and starts.
//!
//! A receive goes on by itself, so bytes still come after a protocol has had enough. They are held, the receive is
//! cancelled with the first of them, and it is armed again once they are used: a connection holds at most what one entry
//! into the kernel delivered, and never a shared buffer. A connection that is not received from is watched for its end.

use super::{Socket, UringLoop, buffers::ReceiveBuffers, ring::Completion};
use crate::{ConnectionId, Protocol, Step};
use socket2::SockRef;
use std::{net::Shutdown, os::fd::AsFd, time::Instant};

impl<P: Protocol> UringLoop<P> {
    /// A receive brought bytes, the end of input, or its own end.
    pub(super) fn received(&mut self, id: ConnectionId, completion: &Completion, now: Instant) {
        let socket = open_socket(&mut self.sockets, id);
        if let Some(bytes) = self.kernel.received(completion) {
            if let Some(socket) = socket.as_ref()
                && !bytes.is_empty()
                && socket.held.is_empty()
                && self.worker.driver.wants_read(id)
            {
                self.worker.driver.received(id, bytes, now);
            } else if let Some(Socket { held, .. }) = open_socket(&mut self.sockets, id) {
                held.extend_from_slice(bytes);
            }
            self.kernel.give_back(completion);
        }
        let Some(socket) = open_socket(&mut self.sockets, id) else {
            return;
        };
        socket.receiving = completion.more;
        socket.cancelled &= completion.more;
        match completion.result {
            0 => socket.ended = true,
            1.. => {
                if socket.receiving && !socket.cancelled && !socket.held.is_empty() {
                    socket.cancelled = true;
                    self.kernel.cancel_receive(id);
                }
            }
            error => match -error {
                // Want of buffers passes: those of this turn are back before the next.
                libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                _ => self.worker.driver.failed(id),
            },
        }
        self.queue(id);
    }

    /// A watched connection broke, or its peer closed one half of it.
    pub(super) fn watched(&mut self, id: ConnectionId, completion: &Completion) {
        let broken = i32::from(libc::POLLERR | libc::POLLHUP);
        // A half-close is always reported too. It stays, so a second watch would only fire at once: none is armed again,
        // and the next send or deadline finds out about such a connection.
        if completion.result > 0 && completion.result & broken != 0 {
            self.worker.driver.failed(id);
            self.queue(id);
        }
    }

    /// A send ended: the rest is sent, or its memory comes back.
    pub(super) fn sent(&mut self, completion: &Completion, now: Instant) {
        let Some(mut flight) = self.kernel.land(completion) else {
            return;
        };
        let id = flight.id;
        let is_open = open_socket(&mut self.sockets, id).is_some();
        let goes_on = match usize::try_from(completion.result) {
            Ok(count) => {
                flight.batch.advance(count);
                self.worker.driver.sent(id, count, now);
                count > 0
            }
            Err(_) => matches!(-completion.result, libc::EINTR | libc::EAGAIN),
        };
        if is_open && goes_on && !flight.batch.is_empty() {
            self.kernel.launch(flight);
        } else {
            if !flight.batch.is_empty() {
                self.worker.driver.failed(id);
            }
            self.worker.driver.repaid(id, &mut flight.batch, now);
            self.kernel.recycle(flight);
            if let Some(socket) = open_socket(&mut self.sockets, id) {
                socket.sending = false;
            }
        }
        self.queue(id);
    }

    /// Sends, uses held input, ends the connection, or receives on.
    pub(super) fn settle(&mut self, id: ConnectionId, now: Instant) {
        loop {
            self.send(id, now);
            let Some(socket) = open_socket(&mut self.sockets, id) else {
                return;
            };
            match self.worker.driver.step(id, now) {
                Step::Flush if !socket.sending => continue,
                Step::Keep | Step::Flush => {}
                Step::Shutdown => {
                    if SockRef::from(&socket.stream).shutdown(Shutdown::Write).is_err() {
                        self.worker.driver.failed(id);
                    }
                    continue;
                }
                Step::Remove => return self.remove(id),
            }
            if !self.deliver(id, now) {
                return self.receive(id);
            }
        }
    }

    /// Sends what is pending, unless a send is on its way.
    fn send(&mut self, id: ConnectionId, now: Instant) {
        let Some(socket) = open_socket(&mut self.sockets, id).filter(|socket| !socket.sending) else {
            return;
        };
        if !self.worker.driver.has_output(id) {
            return;
        }
        let mut flight = self.kernel.flight(id, socket.stream.as_fd());
        self.worker.driver.lend(id, now, &mut flight.batch);
        if flight.batch.is_empty() {
            self.kernel.recycle(flight);
        } else {
            socket.sending = true;
            self.kernel.launch(flight);
        }
    }

    /// Gives held input, a part at a time, and then the end of it. Returns whether something was given.
    fn deliver(&mut self, id: ConnectionId, now: Instant) -> bool {
        let Some(socket) = open_socket(&mut self.sockets, id) else {
            return false;
        };
        if socket.held.is_empty() {
            let tell = socket.ended && !socket.end_told;
            if tell {
                socket.end_told = true;
                self.worker.driver.finished(id, now);
            }
            return tell;
        }
        let mut used = 0;
        while used < socket.held.len() && self.worker.driver.wants_read(id) {
            let end = socket.held.len().min(used + ReceiveBuffers::BUFFER_BYTES);
            self.worker.driver.received(id, &socket.held[used..end], now);
            used = end;
        }
        if used == socket.held.len() {
            socket.held = Vec::new();
        } else {
            socket.held.drain(..used);
        }
        used > 0
    }

    /// Receives if input is wanted and none is held, or watches for the connection's end.
    fn receive(&mut self, id: ConnectionId) {
        let Some(socket) = open_socket(&mut self.sockets, id).filter(|socket| !socket.receiving) else {
            return;
        };
        if socket.held.is_empty() && !socket.ended && self.worker.driver.wants_read(id) {
            socket.receiving = true;
            self.kernel.receive(id, socket.stream.as_fd());
        } else if !socket.watched {
            socket.watched = true;
            self.kernel.watch(id, socket.stream.as_fd());
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        let slot = self.sockets.get_mut(id.index as usize);
        if let Some(socket) = slot.and_then(|slot| slot.take_if(|socket| socket.id == id)) {
            self.kernel.close(socket.stream);
            self.worker.driver.remove(id);
            self.accepting.resumes = None;
        }
    }
}

/// The socket of a connection that is still there.
pub(super) fn open_socket(sockets: &mut [Option<Socket>], id: ConnectionId) -> Option<&mut Socket> {
    sockets
        .get_mut(id.index as usize)?
        .as_mut()
        .filter(|socket| socket.id == id)
}
