//! Taking connections: a bounded number a turn, none while the process is out of descriptors, and a word to those that
//! are one too many.

use super::{EpollLoop, Socket};
use crate::{Protocol, listener::is_of_one_connection};
use mio::{Interest, Token, net::TcpStream};
use std::{
    io::{self, Write},
    net::{Shutdown, SocketAddr},
    time::Instant,
};

impl<P: Protocol> EpollLoop<P> {
    /// Takes waiting connections, a bounded number of them.
    pub(super) fn accept(&mut self, now: Instant) {
        if self.accept_resumes.is_some_and(|at| at <= now) {
            self.accept_resumes = None;
        }
        if !self.acceptable || self.accept_resumes.is_some() {
            return;
        }
        for _ in 0..self.worker.config.accepts_per_turn {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.acceptable = false;
                    return;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => {
                    self.worker.stats.accept_errors.add(1);
                    self.accept_resumes = Some(now + self.worker.config.accept_pause);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, peer: SocketAddr, now: Instant) {
        let Some(id) = self.worker.driver.open(peer, now) else {
            self.worker.stats.refused.add(1);
            // Best effort: a new socket's send buffer is empty.
            let _ = stream.write(self.worker.driver.protocol().refusal());
            let _ = stream.shutdown(Shutdown::Write);
            return;
        };
        let index = id.index as usize;
        // Without it small answers wait for the peer's delayed acknowledgements.
        let _ = stream.set_nodelay(true);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(index), interest);
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        // A request often comes with the connection, so the first read is worth a try; the edge would be a turn later.
        self.sockets[index] = Some(Socket {
            id,
            stream,
            readable: true,
            writable: true,
            read_closed: false,
            queued: true,
        });
        self.ready.push(id);
        if registered.is_err() {
            self.worker.driver.failed(id);
        }
    }
}
