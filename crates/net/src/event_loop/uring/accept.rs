//! Taking connections: one multishot accept, none while the process is out of descriptors, and a word to those that are
//! one too many.
//!
//! Accepting ends in two steps: the accept is cancelled, and once its last completion is there, what still waits in the
//! backlog is taken without blocking and the listening socket closed.

use super::{Socket, UringLoop, kernel::Kernel, ring::Completion};
use crate::{Protocol, listener::is_of_one_connection};
use rustix::net::{SendFlags, Shutdown};
use socket2::SockRef;
use std::{
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
    time::Instant,
};

/// The listening socket and what is under way on it.
pub(super) struct Accepting {
    pub(super) listener: Option<TcpListener>,
    armed: bool,
    cancelled: bool,
    /// Accepting pauses until then: the process is out of descriptors.
    pub(super) resumes: Option<Instant>,
}

impl Accepting {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener: Some(listener),
            armed: false,
            cancelled: false,
            resumes: None,
        }
    }
}

impl<P: Protocol> UringLoop<P> {
    /// Starts accepting again if it stopped and may go on.
    pub(super) fn arm_accept(&mut self, now: Instant) {
        let accepting = &mut self.accepting;
        if accepting.resumes.is_some_and(|at| at <= now) {
            accepting.resumes = None;
        }
        if accepting.armed || accepting.cancelled || accepting.resumes.is_some() {
            return;
        }
        if let Some(listener) = &accepting.listener {
            self.kernel.accept(listener.as_fd());
            accepting.armed = true;
        }
    }

    pub(super) fn accepted(&mut self, completion: Completion, now: Instant) {
        self.accepting.armed &= completion.more;
        match Kernel::accepted(completion) {
            Ok(stream) => self.admit(stream, now),
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => {
                self.worker.stats.accept_errors.add(1);
                self.accepting.resumes = Some(now + self.worker.config.accept_pause);
            }
        }
    }

    /// Takes the connections that wait and closes the listening socket; not yet while an accept is under way.
    pub(super) fn stop_accepting(&mut self, now: Instant) {
        if self.accepting.armed {
            if !self.accepting.cancelled {
                self.accepting.cancelled = true;
                self.kernel.cancel_accept();
            }
            return;
        }
        let Some(listener) = self.accepting.listener.take() else {
            return;
        };
        if listener.set_nonblocking(true).is_err() {
            return;
        }
        loop {
            match listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(false).is_ok() => self.admit(stream.into(), now),
                Ok(_) => {}
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn admit(&mut self, stream: OwnedFd, now: Instant) {
        // A multishot accept does not tell the address. Without one the peer is gone already.
        let peer = SockRef::from(&stream).peer_addr();
        let Some(peer) = peer.ok().and_then(|address| address.as_socket()) else {
            return;
        };
        let Some(id) = self.worker.driver.open(peer, now) else {
            self.worker.stats.refused.add(1);
            // Best effort: a new socket's send buffer is empty.
            let refusal = self.worker.driver.protocol().refusal();
            let _sent = rustix::net::send(&stream, refusal, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            let _shut = rustix::net::shutdown(&stream, Shutdown::Write);
            return;
        };
        let index = id.index as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        self.sockets[index] = Some(Socket::new(id, stream));
        self.queue(id);
    }
}
