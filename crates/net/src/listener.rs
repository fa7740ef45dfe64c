//! Listening sockets: one per worker on the same port, spread by the kernel (SO_REUSEPORT).
//!
//! SO_REUSEPORT would let a second server of the same user join a port silently and take half its connections. So the
//! first socket binds without it, which fails when anybody listens there, and allows sharing only once it listens.

use quintet_core::{Error, ErrorKind, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
};

/// Connections the kernel completes ahead of `accept`, per socket (the system may lower it: `net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// One worker's listening socket.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Where it listens, with the port that was picked if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Opens `workers` sockets that listen on one address. Port 0 picks a free port that all of them share. An unspecified
/// IPv6 address takes IPv4 connections too.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when another socket listens there, naming the address; what the system says otherwise,
/// [`ErrorKind::PermissionDenied`] for a privileged port.
///
/// ```
/// let workers = std::num::NonZeroUsize::new(2).unwrap();
/// let listeners = quintet_net::bind("127.0.0.1:0".parse().unwrap(), workers).unwrap();
/// assert_eq!(listeners[0].address(), listeners[1].address());
/// assert!(quintet_net::bind(listeners[0].address(), workers).is_err());
/// ```
pub fn bind(address: SocketAddr, workers: NonZeroUsize) -> Result<Vec<Listener>> {
    let refused = |error| refusal(address, error);
    let first = open(address).map_err(refused)?;
    first.listen(BACKLOG).map_err(refused)?;
    first.set_reuse_port(true).map_err(refused)?;
    let mut listeners = vec![listener(first).map_err(refused)?];
    let shared = listeners[0].address;
    for _ in 1..workers.get() {
        let next = socket(shared)
            .and_then(|socket| {
                socket.set_reuse_port(true)?;
                socket.bind(&shared.into())?;
                socket.listen(BACKLOG)?;
                listener(socket)
            })
            .map_err(refused)?;
        listeners.push(next);
    }
    Ok(listeners)
}

/// Checks that nobody listens on the address, for a message before anything is started. It may be taken a moment later;
/// [`bind`] checks again.
///
/// # Errors
/// As [`bind`].
pub fn probe(address: SocketAddr) -> Result<()> {
    let refused = |error| refusal(address, error);
    open(address).map_err(refused)?.listen(1).map_err(refused)
}

/// A bound socket that shares its port with nobody.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server must not wait for the TIME_WAIT of its own old connections.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn listener(socket: Socket) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

fn refusal(address: SocketAddr, error: io::Error) -> Error {
    let (kind, why) = match error.kind() {
        io::ErrorKind::AddrInUse => (ErrorKind::AlreadyExists, "another socket listens there"),
        io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "the system does not permit it"),
        io::ErrorKind::AddrNotAvailable => (ErrorKind::InvalidInput, "this host does not have that address"),
        _ => (ErrorKind::Io, "the system refused"),
    };
    Error::new(kind, format!("cannot listen on {address}: {why}")).with_source(error)
}

/// Whether a failed accept concerns only the connection that it would have taken.
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let listeners = bind(address, THREE).unwrap();
            let taken = listeners[0].address();
            assert_ne!(taken.port(), 0);
            assert!(listeners.iter().all(|listener| listener.address() == taken));
            for error in [probe(taken).unwrap_err(), bind(taken, THREE).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                assert!(error.context().contains(&taken.to_string()), "{error}");
            }
            drop(listeners);
            probe(taken).unwrap();
        }
    }
}
