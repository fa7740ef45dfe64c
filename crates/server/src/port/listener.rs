//! [`HttpPort`]: an HTTP/1.1 listener with a router behind it. Every port on axum is one of these.
//!
//! Bounded: the number of connections (others wait in the system's queue), the time a head may take, a connection may idle
//! or leave an answer unread, the size of a head. A connection that breaks costs only itself. Draining closes the listener, lets each
//! connection finish its request, and cuts what is left at the deadline.

use super::{life::Life, quotes::Quotes};
use crate::failure::Failure;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use quintet_core::Deadline;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::{JoinHandle, JoinSet},
    time,
};

/// How long a client may take for a request's head; an open connection without a request is closed after it too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may leave unread what it was sent, or be out of reach; then its connection is cut.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// How long accepting rests after the system refused, for example for want of descriptors.
const REST: Duration = Duration::from_millis(50);

/// An open listener.
pub(crate) struct HttpPort {
    address: SocketAddr,
    runtime: Handle,
    accepting: JoinHandle<()>,
    cut: oneshot::Sender<Deadline>,
}

/// Opens a listening socket; a port in use is told at once. `flag` is named in the failure.
pub(crate) fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |error: io::Error| {
        let (why, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                "another socket listens there".to_owned(),
                "another port, or port 0 for a free one",
            ),
            io::ErrorKind::PermissionDenied => {
                ("the system does not permit it".to_owned(), "a port above 1023")
            }
            _ => (error.to_string(), "an address of this host, such as 127.0.0.1:0"),
        };
        Failure::new(format!("{flag}: cannot listen on {address}: {why}")).hint(format!("{flag} with {hint}"))
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

impl HttpPort {
    /// Serves `router` on the socket, on the runtime, with at most `connections` open at once, until `life` is draining.
    pub(crate) fn serve(
        runtime: &Handle,
        listener: TcpListener,
        router: Router,
        connections: usize,
        life: Life,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (cut, is_cut) = oneshot::channel();
        let accepting = runtime.spawn(accept(listener, router, connections, life, is_cut));
        Ok(Self {
            address,
            runtime: runtime.clone(),
            accepting,
            cut,
        })
    }

    /// Where it listens, with the port that was picked if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every connection has finished, and cuts those that have not at `deadline`. Call it when `life` is
    /// draining; blocks, and not on the runtime.
    pub(crate) fn drain(self, deadline: Deadline) {
        let _already_ended = self.cut.send(deadline);
        let _panicked = self.runtime.block_on(self.accepting);
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    router: Router,
    connections: usize,
    life: Life,
    is_cut: oneshot::Receiver<Deadline>,
) {
    let permits = Arc::new(Semaphore::new(connections));
    let mut open = JoinSet::new();
    let mut end = pin!(life.draining());
    loop {
        let permit = tokio::select! {
            () = &mut end => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
            // Finished connections are taken out as they end.
            Some(_ended) = open.join_next() => continue,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                open.spawn(connection(stream, router.clone(), life.clone(), permit));
                while open.try_join_next().is_some() {}
            }
            Err(_refused) => {
                if time::timeout(REST, &mut end).await.is_ok() {
                    break;
                }
            }
        }
    }
    drop(listener);
    // Nobody drains: the process is going away by another path.
    let Ok(Deadline(at)) = is_cut.await else { return };
    let all = async { while open.join_next().await.is_some() {} };
    let _cut = time::timeout_at(at.into(), all).await;
    open.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, life: Life, _permit: OwnedSemaphorePermit) {
    let _slower_at_worst = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let unread_ms = u32::try_from(UNREAD_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        let _later_at_worst = rustix::net::sockopt::set_tcp_user_timeout(&stream, unread_ms);
    }
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Quotes::new(stream)), service)
    );
    tokio::select! {
        // What a connection ends with is its client's business.
        _ended = serving.as_mut() => return,
        () = life.draining() => serving.as_mut().graceful_shutdown(),
    }
    let _ended = serving.await;
}
