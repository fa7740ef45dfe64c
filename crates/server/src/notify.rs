//! What a service manager is told, by the protocol of `sd_notify`: that the server is ready, and that it is stopping.
//!
//! `NOTIFY_SOCKET` names a datagram socket; without it nobody listens and nothing is sent. Called by `compose` only.

use std::{
    env,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// Everything serves.
pub(crate) const READY: &str = "READY=1";
/// The drain has begun.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Tells the service manager, if there is one. A manager that has gone stops no server.
pub(crate) fn tell(state: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let path = path.to_string_lossy().into_owned();
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _nobody_listens = socket.send_to_addr(state.as_bytes(), &address);
    }
}
