//! [`Hub`]: who has subscribed to what, and the way of a message to the loops of its readers. Shared by a port's workers.

use super::pattern;
use quintet_net::ConnectionId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

/// Messages that may wait for one loop; beyond it they are dropped, and so are the connections that they were for.
const MAX_WAITING: usize = 1 << 16;

/// A reader: the number of its loop, and the connection there.
type Reader = (usize, ConnectionId);

pub(crate) struct Message {
    /// The pattern that matched, if it came by one.
    pub(crate) pattern: Option<Vec<u8>>,
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Default)]
struct Subscriptions {
    channels: BTreeMap<Vec<u8>, Vec<Reader>>,
    patterns: BTreeMap<Vec<u8>, Vec<Reader>>,
}

/// What is on its way to one loop. `None` = the message was dropped: cut the connection.
#[derive(Default)]
struct Inbox {
    waiting: Vec<(ConnectionId, Option<Arc<Message>>)>,
    waker: Option<Waker>,
}

#[derive(Default)]
pub(crate) struct Hub {
    subscriptions: Mutex<Subscriptions>,
    inboxes: Vec<Mutex<Inbox>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            subscriptions: Mutex::default(),
            inboxes: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }

    pub(crate) fn attach(&self, worker: usize, waker: Waker) {
        lock(&self.inboxes[worker]).waker = Some(waker);
    }

    pub(crate) fn subscribe(&self, by_pattern: bool, name: &[u8], reader: Reader) {
        let mut subscriptions = lock(&self.subscriptions);
        let map = if by_pattern {
            &mut subscriptions.patterns
        } else {
            &mut subscriptions.channels
        };
        map.entry(name.to_vec()).or_default().push(reader);
    }

    pub(crate) fn unsubscribe(&self, by_pattern: bool, name: &[u8], reader: Reader) {
        let mut subscriptions = lock(&self.subscriptions);
        let map = if by_pattern {
            &mut subscriptions.patterns
        } else {
            &mut subscriptions.channels
        };
        if let Some(readers) = map.get_mut(name) {
            readers.retain(|other| *other != reader);
            if readers.is_empty() {
                map.remove(name);
            }
        }
    }

    /// Sends a message on; answers how many it goes to.
    pub(crate) fn publish(&self, channel: &[u8], payload: &[u8]) -> usize {
        let subscriptions = lock(&self.subscriptions);
        let message = |pattern: Option<&Vec<u8>>| {
            Arc::new(Message {
                pattern: pattern.cloned(),
                channel: channel.to_vec(),
                payload: payload.to_vec(),
            })
        };
        let mut sent = 0;
        if let Some(readers) = subscriptions.channels.get(channel) {
            sent += self.send(readers, &message(None));
        }
        for (glob, readers) in &subscriptions.patterns {
            if pattern::matches(glob, channel) {
                sent += self.send(readers, &message(Some(glob)));
            }
        }
        sent
    }

    fn send(&self, readers: &[Reader], message: &Arc<Message>) -> usize {
        for (worker, id) in readers {
            let mut inbox = lock(&self.inboxes[*worker]);
            match inbox.waiting.len() {
                0..MAX_WAITING => inbox.waiting.push((*id, Some(message.clone()))),
                len if len < 2 * MAX_WAITING => inbox.waiting.push((*id, None)),
                _ => {}
            }
            if let Some(waker) = &inbox.waker {
                waker.wake_by_ref();
            }
        }
        readers.len()
    }

    /// Has a connection cut off by its loop.
    pub(crate) fn cut(&self, worker: usize, id: ConnectionId) {
        let mut inbox = lock(&self.inboxes[worker]);
        if inbox.waiting.len() < 2 * MAX_WAITING {
            inbox.waiting.push((id, None));
        }
        if let Some(waker) = &inbox.waker {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn take(&self, worker: usize) -> Vec<(ConnectionId, Option<Arc<Message>>)> {
        std::mem::take(&mut lock(&self.inboxes[worker]).waiting)
    }

    pub(crate) fn has_mail(&self, worker: usize) -> bool {
        !lock(&self.inboxes[worker]).waiting.is_empty()
    }

    /// Channels that have readers and match, for PUBSUB CHANNELS.
    pub(crate) fn channels(&self, glob: &[u8]) -> Vec<Vec<u8>> {
        let subscriptions = lock(&self.subscriptions);
        subscriptions
            .channels
            .keys()
            .filter(|name| pattern::matches(glob, name))
            .cloned()
            .collect()
    }

    pub(crate) fn readers(&self, channel: &[u8]) -> usize {
        lock(&self.subscriptions)
            .channels
            .get(channel)
            .map_or(0, Vec::len)
    }

    pub(crate) fn patterns(&self) -> usize {
        lock(&self.subscriptions).patterns.len()
    }
}
