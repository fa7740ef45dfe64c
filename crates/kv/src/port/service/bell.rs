//! How a wait on a connection wakes the connection's loop: it leaves the connection's id and rings.

use quintet_net::ConnectionId;
use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

/// Which connections' waits have been answered.
pub(super) struct Rung {
    connections: Mutex<Vec<ConnectionId>>,
    waker: Waker,
}

impl Rung {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            connections: Mutex::default(),
            waker,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    pub(super) fn take(&self) -> Vec<ConnectionId> {
        std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes the loop for one connection.
pub(super) struct Bell {
    pub(super) id: ConnectionId,
    pub(super) rung: Arc<Rung>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // At most one entry for each wait, and each connection has at most one.
        self.rung
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.id);
        self.rung.waker.wake_by_ref();
    }
}
