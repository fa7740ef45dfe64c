//! [`BlockService`]: one worker's HTTP service. It owns the thread's [`BlockWorker`] and never blocks.
//!
//! This file takes requests in: heads, bodies, ends. `upload` is a body's way into its block, `turn` sends answers out.

use super::{
    answer,
    buffers::Buffers,
    exchange::{Exchange, Locking, Look, Wants},
    gauges::Gauges,
    order::{Kind, Order},
    report::Report,
    route::{Route, route},
    sha256::Batch,
};
use crate::{BlockWorker, Digest, Done, Ticket, view::Loaded};
use quintet_core::{
    Doorbell, ErrorKind,
    auth::{Authenticator, Open},
};
use quintet_net::{
    ConnectionId,
    http1::{Admit, BodyStep, ExchangeId, HttpService, Replies, RequestHead, Response},
};
use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
};

/// One worker's half of the port.
pub(crate) struct BlockService {
    pub(super) worker: BlockWorker,
    pub(super) doorbell: Doorbell,
    pub(super) buffers: Buffers,
    pub(super) order: Order<ConnectionId, ExchangeId>,
    /// What the controller was asked, by whom.
    pub(super) sent: HashMap<Ticket, Sent, foldhash::fast::RandomState>,
    /// PUTs without a block, oldest first. May name requests that are gone.
    pub(super) hungry: VecDeque<Hungry>,
    /// Requests that found no credit, oldest first. May name requests that are gone.
    pub(super) unsent: VecDeque<(Kind, ExchangeId)>,
    /// The digests of bodies in the making.
    pub(super) hashes: Batch,
    /// Whole bodies whose digest is there after the next run of `hashes`.
    pub(super) unnamed: Vec<ExchangeId>,
    /// Connections of writes that were answered without the controller: their lanes move on in the next turn.
    pub(super) finished: Vec<ConnectionId>,
    pub(super) done: Vec<Done>,
    pub(super) ready: Vec<(Kind, ExchangeId)>,
    /// Something happened since the last turn that the turn must send on. Events also come after it, when kept input is
    /// used, and the loop must not sleep on them.
    pub(super) begun: bool,
    /// The controller is gone.
    pub(super) closed: bool,
    /// What was sent lately and is in memory.
    pub(super) loaded: Loaded,
    pub(super) gauges: Arc<Gauges>,
    pub(super) limits: Limits,
    /// Bodies of known length that are being received.
    pub(super) uploads: Rc<Cell<usize>>,
    /// Who is asking.
    pub(super) authenticator: Arc<dyn Authenticator>,
    report: Arc<Report>,
    pub(super) end: WakeOnDrop,
}

/// How much one worker takes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that wait for blocks or credits.
    pub(crate) waiting: usize,
    /// Bodies of known length that are being received, each with a block.
    pub(crate) uploads: usize,
}

/// Tells the port's owner, once, that this worker can do nothing more: the controller is gone, or the loop ended, also
/// when it panicked.
pub(crate) struct WakeOnDrop(pub(crate) Option<Waker>);

impl WakeOnDrop {
    pub(super) fn wake(&mut self) {
        if let Some(owner) = self.0.take() {
            owner.wake();
        }
    }
}

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.wake();
    }
}

/// A PUT without a block.
pub(super) struct Hungry {
    pub(super) id: ExchangeId,
    /// Its body is whole and its turn on its connection has begun, which the lane must learn the end of.
    pub(super) begun: bool,
}

/// A request that the controller was asked for.
pub(super) struct Sent {
    pub(super) id: ExchangeId,
    pub(super) kind: Kind,
    /// For a look-up, what is to be sent of what is found.
    pub(super) wants: Wants,
}

impl BlockService {
    /// A service over `worker`, whose completions ring `doorbell`. What comes beyond the limits is told to come back later.
    pub(crate) fn new(
        worker: BlockWorker,
        doorbell: Doorbell,
        buffers: Buffers,
        limits: Limits,
        gauges: Arc<Gauges>,
        report: Arc<Report>,
        end: WakeOnDrop,
    ) -> Self {
        Self {
            worker,
            doorbell,
            buffers,
            order: Order::new(),
            sent: HashMap::default(),
            hungry: VecDeque::new(),
            unsent: VecDeque::new(),
            hashes: Batch::new(),
            unnamed: Vec::new(),
            finished: Vec::new(),
            done: Vec::new(),
            authenticator: Arc::new(Open),
            ready: Vec::new(),
            begun: false,
            closed: false,
            loaded: Loaded::default(),
            gauges,
            limits,
            uploads: Rc::default(),
            report,
            end,
        }
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.hungry.len() + self.unsent.len() >= self.limits.waiting
    }

    /// Starts a request now, or lets it wait for its turn on its connection.
    fn queue(&mut self, kind: Kind, id: ExchangeId, exchange: &mut Exchange) -> Option<Response> {
        self.order.enter(id.connection(), kind, id)?;
        let answered = self.start(id, exchange);
        if answered.is_some() && kind != Kind::Look {
            self.finished.push(id.connection());
        }
        answered
    }

    /// Starts a request whose turn it is. `None` = it was sent, or waits for a block or a credit. When it answers a write,
    /// the caller lets the connection's lane move on.
    pub(super) fn start(&mut self, id: ExchangeId, exchange: &mut Exchange) -> Option<Response> {
        match std::mem::replace(exchange, Exchange::Sent) {
            Exchange::Written(upload) => self.name(id, exchange, upload),
            Exchange::Gathered(lease) => self.place(id, exchange, lease),
            Exchange::Look(look) => self.look(id, exchange, look),
            Exchange::Delete(digest) => self.delete(id, exchange, digest),
            Exchange::Lock(locking, body) => self.lock(id, exchange, locking, body),
            Exchange::Unlock(locking) => self.unlock(id, exchange, locking),
            Exchange::Locks(locking) => Some(self.locks(&locking)),
            other => {
                *exchange = other;
                None
            }
        }
    }

    fn delete(&mut self, id: ExchangeId, exchange: &mut Exchange, digest: Digest) -> Option<Response> {
        match self.worker.delete(&digest) {
            Ok(ticket) => self.asked(ticket, Kind::Delete, id, Wants::default()),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                *exchange = Exchange::Delete(digest);
                self.unsent.push_back((Kind::Delete, id));
                None
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    fn look(&mut self, id: ExchangeId, exchange: &mut Exchange, look: Look) -> Option<Response> {
        match self.worker.get(&look.digest) {
            Ok(crate::Get::Found(extent)) => Some(self.content(extent, look.wants)),
            Ok(crate::Get::Missing) => Some(answer::missing(&look.digest)),
            Ok(crate::Get::Asked(ticket)) => self.asked(ticket, Kind::Look, id, look.wants),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                *exchange = Exchange::Look(look);
                self.unsent.push_back((Kind::Look, id));
                None
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    pub(super) fn asked(
        &mut self,
        ticket: Ticket,
        kind: Kind,
        id: ExchangeId,
        wants: Wants,
    ) -> Option<Response> {
        self.sent.insert(ticket, Sent { id, kind, wants });
        None
    }
}

impl HttpService for BlockService {
    type Exchange = Exchange;

    fn head(&mut self, id: ExchangeId, head: &RequestHead<'_>) -> Admit<Exchange> {
        self.begun = true;
        let accept = |exchange| Admit::Accept {
            exchange,
            max_body_bytes: 0,
        };
        if self.closed {
            return Admit::Answer(answer::failed(&crate::BlockError::Closed.into()).close());
        }
        if let Err(refused) = self.admit(head) {
            return Admit::Answer(answer::failed(&refused));
        }
        match route(head.method(), head.path()) {
            Route::Put => self.admit_put(id, head),
            Route::Lock(digest, resource) => self.admit_lock(head, digest, resource),
            Route::Get(_) | Route::Delete(_) | Route::Unlock(..) | Route::Locks(..) if self.is_crowded() => {
                Admit::Answer(answer::busy("too many requests wait"))
            }
            Route::Unlock(digest, resource) => accept(Exchange::Unlock(Locking::new(digest, resource))),
            Route::Locks(digest, resource) => accept(Exchange::Locks(Locking::new(digest, resource))),
            Route::Get(digest) => {
                let wants = Wants::of(head, &digest);
                accept(Exchange::Look(Look { digest, wants }))
            }
            Route::Delete(digest) => accept(Exchange::Delete(digest)),
            Route::Root => Admit::Answer(answer::welcome(head.header("host"))),
            Route::Stats => Admit::Answer(answer::json(self.report.render())),
            Route::Metrics => Admit::Answer(answer::open_metrics(self.report.metrics())),
            Route::NotAllowed(allow) => Admit::Answer(answer::not_allowed(allow)),
            Route::BadName(why) => Admit::Answer(Response::text(400, why)),
            Route::Unknown => Admit::Answer(Response::text(
                404,
                "nothing is here; a block is at /block/{name}",
            )),
        }
    }

    fn body(&mut self, _: ExchangeId, exchange: &mut Exchange, bytes: &[u8]) -> BodyStep {
        match exchange {
            Exchange::Hungry { .. } => BodyStep::Took(0),
            Exchange::Writing(upload, _) => match upload.write(bytes, &mut self.hashes) {
                Ok(()) => BodyStep::Took(bytes.len()),
                Err(error) => BodyStep::Answer(answer::failed(&error)),
            },
            Exchange::Gathering(lease) | Exchange::Lock(_, lease) => {
                if lease.append(bytes) {
                    return BodyStep::Took(bytes.len());
                }
                BodyStep::Answer(answer::busy("no buffer is free"))
            }
            _ => BodyStep::Took(bytes.len()),
        }
    }

    fn end(&mut self, id: ExchangeId, exchange: &mut Exchange) -> Option<Response> {
        self.begun = true;
        let (kind, whole) = match std::mem::replace(exchange, Exchange::Sent) {
            Exchange::Writing(upload, _whole) => {
                upload.finish(&mut self.hashes);
                (Kind::Put, Exchange::Written(upload))
            }
            Exchange::Gathering(lease) if lease.len() == 0 => {
                return Some(Response::text(400, "an empty body cannot be stored"));
            }
            Exchange::Gathering(lease) => (Kind::Put, Exchange::Gathered(lease)),
            change @ (Exchange::Delete(_) | Exchange::Lock(..) | Exchange::Unlock(_)) => {
                (Kind::Delete, change)
            }
            other => (Kind::Look, other),
        };
        *exchange = whole;
        self.queue(kind, id, exchange)
    }

    fn abandoned(&mut self, _: ExchangeId, exchange: Exchange) {
        // Blocks and buffers go home by their drop; the queues skip requests that are gone.
        drop(exchange);
        self.begun = true;
    }

    fn turn(&mut self, replies: &mut Replies<'_, '_, Exchange>) {
        self.take_turn(replies);
    }

    fn has_work(&self) -> bool {
        self.begun
    }
}
