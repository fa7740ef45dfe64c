//! [`Lobby`]: what the workers of a port have in common: who may enter, who is connected, how to stop, a few counts.

use super::{PortConfig, Stop, hub::Hub};
use quintet_core::{
    Result,
    auth::{Authenticator, Principal, Role},
};
use quintet_net::ConnectionId;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// What CLIENT LIST says about a connection.
#[derive(Clone, Debug)]
pub(crate) struct ClientFacts {
    pub(crate) worker: usize,
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) since: Instant,
    pub(crate) name: Vec<u8>,
    pub(crate) database: u8,
    pub(crate) resp3: bool,
}

pub(crate) struct Lobby {
    pub(crate) hub: Hub,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) stop: Option<Stop>,
    pub(crate) commands: AtomicU64,
    pub(crate) began: Instant,
    numbers: AtomicU64,
    clients: Mutex<BTreeMap<u64, ClientFacts>>,
}

impl Lobby {
    pub(crate) fn new(config: &PortConfig, workers: usize, now: Instant) -> Self {
        Self {
            hub: Hub::new(workers),
            authenticator: config.authenticator.clone(),
            stop: config.on_shutdown.clone(),
            commands: AtomicU64::new(0),
            began: now,
            numbers: AtomicU64::new(0),
            clients: Mutex::default(),
        }
    }

    pub(crate) fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, ClientFacts>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new connection in; answers its number, from 1 on.
    pub(crate) fn enter(&self, facts: ClientFacts) -> u64 {
        let number = self.numbers.fetch_add(1, Relaxed) + 1;
        self.clients().insert(number, facts);
        number
    }

    pub(crate) fn leave(&self, number: u64) {
        self.clients().remove(&number);
    }

    /// How many connections there were so far.
    pub(crate) fn entered(&self) -> u64 {
        self.numbers.load(Relaxed)
    }

    /// Who presents this; `None` = nothing was presented.
    pub(crate) fn authenticate(&self, secret: Option<&[u8]>) -> Result<Principal> {
        match secret.map(std::str::from_utf8) {
            None => self.authenticator.authenticate(None),
            Some(Ok(secret)) => self.authenticator.authenticate(Some(secret)),
            Some(Err(_)) => Err(quintet_core::ErrorKind::Unauthenticated.into()),
        }
    }

    /// Whether nobody is asked for anything.
    pub(crate) fn is_open(&self) -> bool {
        self.authenticate(None)
            .is_ok_and(|principal| principal.role() == Role::Unchecked)
    }
}
