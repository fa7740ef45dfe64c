//! The connection between one worker and one controller: two bounded queues, two doorbells, and credits.
//!
//! Both queues hold as many items as there are credits, and a worker never has more than that in flight. So a reply always
//! fits, and neither side can wait for the other to make room: the classic request/reply deadlock cannot happen.

use crate::{
    Closed, Completion, Consumer, Doorbell, Message, Producer, Queue, QueueWorker, Request,
    primitive::{Arc, AtomicBool, Mutex, Ordering, lock},
};
use std::num::NonZeroUsize;

/// The controller's end of one connection.
///
/// The fields drop in this order: the queue halves first, so that a worker woken by the bell finds them gone.
pub struct Port<M: Message> {
    pub(crate) requests: Box<dyn Consumer<Request<M>>>,
    pub(crate) replies: Box<dyn Producer<Completion<M>>>,
    pub(crate) worker: RingOnDrop,
}

impl<M: Message> Port<M> {
    /// A port from its parts, for tests and for own transports. `worker` is rung after replies were queued.
    #[must_use]
    pub fn new(
        requests: Box<dyn Consumer<Request<M>>>,
        replies: Box<dyn Producer<Completion<M>>>,
        worker: Doorbell,
    ) -> Self {
        Self {
            requests,
            replies,
            worker: RingOnDrop(worker),
        }
    }
}

/// Wakes the worker when its port is dropped.
pub(crate) struct RingOnDrop(pub(crate) Doorbell);

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// What connectors and their controller share.
pub(crate) struct Registry<M: Message> {
    /// New ports that the controller has not seen; `None` once it has shut down.
    incoming: Mutex<Option<Vec<Port<M>>>>,
    /// A port came or went since the controller last looked.
    news: AtomicBool,
    stop: AtomicBool,
    controller: Doorbell,
}

impl<M: Message> Registry<M> {
    pub(crate) fn new(controller: Doorbell) -> Arc<Self> {
        Arc::new(Self {
            incoming: Mutex::new(Some(Vec::new())),
            news: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            controller,
        })
    }

    pub(crate) fn announce(&self) {
        self.news.store(true, Ordering::Release);
        self.controller.ring();
    }

    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The ports that came since the last call. The common case, none, is one load.
    pub(crate) fn take_new(&self) -> Vec<Port<M>> {
        if !self.has_news() {
            return Vec::new();
        }
        // Cleared first: a port that comes after this is announced again.
        self.news.store(false, Ordering::Release);
        lock(&self.incoming)
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Refuses every later connection and returns those not yet taken.
    pub(crate) fn close(&self) -> Vec<Port<M>> {
        lock(&self.incoming).take().unwrap_or_default()
    }

    fn admit(&self, port: Port<M>) -> Result<(), Closed> {
        lock(&self.incoming).as_mut().ok_or(Closed)?.push(port);
        self.announce();
        Ok(())
    }
}

/// Makes connections to one controller, at any time and from any thread.
pub struct Connector<M: Message> {
    registry: Arc<Registry<M>>,
}

impl<M: Message> Clone for Connector<M> {
    fn clone(&self) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
        }
    }
}

impl<M: Message> Connector<M> {
    pub(crate) fn new(registry: Arc<Registry<M>>) -> Self {
        Self { registry }
    }

    /// A new worker over queues of kind `Q`, with at most `credits` requests in flight. `worker` is rung when completions
    /// wait. Allocates both queues.
    ///
    /// # Errors
    /// [`Closed`] when the controller has shut down.
    pub fn connect<Q>(&self, credits: NonZeroUsize, worker: Doorbell) -> Result<QueueWorker<M>, Closed>
    where
        Q: Queue<Request<M>> + Queue<Completion<M>>,
    {
        let (requests_in, requests_out) = <Q as Queue<Request<M>>>::bounded(credits);
        let (replies_in, replies_out) = <Q as Queue<Completion<M>>>::bounded(credits);
        self.registry
            .admit(Port::new(Box::new(requests_out), Box::new(replies_in), worker))?;
        Ok(QueueWorker::connected(
            Box::new(requests_in),
            Box::new(replies_out),
            credits,
            Peer::Registry(Arc::clone(&self.registry)),
        ))
    }

    /// Hands the controller a port made elsewhere.
    ///
    /// # Errors
    /// [`Closed`] when the controller has shut down; the port is dropped, which tells its worker.
    pub fn attach(&self, port: Port<M>) -> Result<(), Closed> {
        self.registry.admit(port)
    }

    /// Asks the controller's loop to shut down: it answers what is queued, closes every port, and ends.
    pub fn stop(&self) {
        self.registry.stop.store(true, Ordering::Release);
        self.registry.controller.ring();
    }
}

/// Whom a worker wakes, and how it says goodbye.
pub(crate) enum Peer<M: Message> {
    Registry(Arc<Registry<M>>),
    Bell(Doorbell),
}

impl<M: Message> Peer<M> {
    pub(crate) fn ring(&self) {
        match self {
            Self::Registry(registry) => registry.controller.ring(),
            Self::Bell(bell) => bell.ring(),
        }
    }
}

impl<M: Message> Drop for Peer<M> {
    /// The worker's queue halves are gone by now: the controller should look.
    fn drop(&mut self) {
        match self {
            Self::Registry(registry) => registry.announce(),
            Self::Bell(bell) => bell.ring(),
        }
    }
}
