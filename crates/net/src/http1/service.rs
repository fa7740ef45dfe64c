//! What a service implements to be run by [`Http`](super::Http), and how it answers.
//!
//! A request is an *exchange*: admitted by its head, fed with its body, ended, and answered, at once or in a later turn,
//! in any order; the machine sends answers in the order of the requests. The service's state of an exchange lives in the
//! machine until the answer, so that it is handed back when the connection dies first.

use super::{RequestHead, Response, exchange, state::HttpConnection, state::Shared};
use crate::{ConnectionId, Links};
use std::{fmt, time::Instant};

/// Names one request of one connection of one loop; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    pub(crate) connection: ConnectionId,
    pub(crate) sequence: u64,
}

impl ExchangeId {
    /// The connection that the request came on.
    #[must_use]
    pub fn connection(self) -> ConnectionId {
        self.connection
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} request {}", self.connection, self.sequence)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What to do with a request, decided from its head.
#[derive(Debug)]
pub enum Admit<E> {
    /// Deliver the body and the end.
    Accept {
        /// The service's state of this exchange.
        exchange: E,
        /// The longest body that is taken, in bytes. A longer one is answered 413, before it is read if its length is
        /// known, and the exchange is given to [`HttpService::abandoned`].
        max_body_bytes: u64,
    },
    /// Answer now. A body is not delivered: up to [`HttpConfig::drain_bytes`](super::HttpConfig::drain_bytes) of it is
    /// thrown away to keep the connection; with a longer one, or one that the client holds back for `100 Continue`, the
    /// connection ends after the answer.
    Answer(Response),
}

/// What became of a piece of a body.
#[derive(Debug)]
pub enum BodyStep {
    /// So many of its bytes were used. Fewer than all pauses the body: the rest comes again after
    /// [`Replies::resume`]. Up to 64 KiB wait in memory meanwhile, the others in the kernel and at the client.
    Took(usize),
    /// Answer now, as with [`Admit::Answer`]; the exchange is dropped.
    Answer(Response),
}

/// One worker's service. Every method runs on the loop's thread and must not block.
pub trait HttpService {
    /// The state of one exchange, from its head to its answer.
    type Exchange;

    /// A request's head is there, and its framing is sound.
    fn head(&mut self, id: ExchangeId, head: &RequestHead<'_>) -> Admit<Self::Exchange>;

    /// The next bytes of the body, never empty: where they lie in the loop's page-aligned read buffer, up to 64 KiB.
    /// The first piece lies behind the head; a long body's later pieces begin at the start of the buffer.
    fn body(&mut self, id: ExchangeId, exchange: &mut Self::Exchange, bytes: &[u8]) -> BodyStep;

    /// The body is complete; also called when there is none. `None` = answered later, in [`turn`](Self::turn).
    fn end(&mut self, id: ExchangeId, exchange: &mut Self::Exchange) -> Option<Response>;

    /// The exchange will not be answered: its connection died, or its body was broken, too long or too slow. Free what
    /// it holds.
    fn abandoned(&mut self, id: ExchangeId, exchange: Self::Exchange);

    /// Once per turn of the loop, after its events: reap completions and answer them. See
    /// [`Protocol::turn`](crate::Protocol::turn).
    fn turn(&mut self, replies: &mut Replies<'_, '_, Self::Exchange>) {
        let _ = replies;
    }

    /// See [`Protocol::has_work`](crate::Protocol::has_work).
    fn has_work(&self) -> bool {
        false
    }

    /// See [`Protocol::next_deadline`](crate::Protocol::next_deadline).
    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// Every open exchange of the loop, for answering in [`HttpService::turn`].
#[derive(Debug)]
pub struct Replies<'a, 'b, E> {
    pub(crate) links: &'a mut Links<'b, HttpConnection<E>>,
    pub(crate) shared: &'a mut Shared<E>,
}

impl<E> Replies<'_, '_, E> {
    /// Answers an exchange and gives back its state. It may be answered before its body is complete; the rest is treated
    /// as with [`Admit::Answer`].
    ///
    /// # Errors
    /// The response comes back when the exchange is no longer open; [`HttpService::abandoned`] was or will be told.
    pub fn answer(&mut self, id: ExchangeId, response: Response) -> Result<E, Response> {
        let Some((mut link, connection)) = self.links.get(id.connection) else {
            return Err(response);
        };
        exchange::answer(self.shared, &mut link, connection, id.sequence, response)
    }

    /// Ends a pause: the body's next bytes come after this turn. Also asks a stalled
    /// [`BodySource`](crate::BodySource) again, of an answer already given. Does nothing when the connection is gone.
    pub fn resume(&mut self, id: ExchangeId) {
        if let Some((mut link, connection)) = self.links.get(id.connection) {
            exchange::resume(&mut link, connection, id.sequence);
            exchange::schedule(self.shared, &mut link, connection);
        }
    }

    /// The state of an exchange that is still open.
    pub fn exchange(&mut self, id: ExchangeId) -> Option<&mut E> {
        let (_, connection) = self.links.get(id.connection)?;
        connection.open_exchange(id.sequence)
    }

    /// The time of this turn, from the loop's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.links.now()
    }
}
