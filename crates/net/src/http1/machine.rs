//! The HTTP/1.1 machine: bytes to exchanges, one phase at a time.
//!
//! Invariants: a head is acted on only when complete, so the events do not depend on how the input was cut; an exchange
//! accepted by the service is answered or abandoned exactly once; answers leave in the order of the requests; after the
//! last answer nothing more is parsed.

use super::{
    BodyLength, HttpConfig, Response,
    body::{Decoder, Piece},
    date::DateLine,
    exchange,
    parse::{self, MAX_HEADERS},
    refusal::Refusal,
    service::{Admit, BodyStep, ExchangeId, HttpService, Replies},
};
use crate::{ConnectionId, Link, Links, Protocol};
use quintet_core::{Clock, Result};
use std::{collections::VecDeque, fmt, mem::MaybeUninit, sync::Arc, time::Instant};

/// Empty lines that are forgiven before a request line.
const BLANK_LINES: u8 = 2;
/// An exchange that takes no body still has a limit in [`Admit`]; for drained bodies there is none.
const ANY_LENGTH: u64 = u64::MAX;

/// Runs an [`HttpService`] as a [`Protocol`].
#[derive(Debug)]
pub struct Http<S: HttpService> {
    service: S,
    shared: Shared<S::Exchange>,
}

/// What the connections of one loop share.
pub(crate) struct Shared<E> {
    pub(crate) config: HttpConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) date: DateLine,
    /// Exchanges that the service has yet to be told of.
    pub(crate) abandoned: Vec<(ExchangeId, E)>,
}

impl<E> fmt::Debug for Shared<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The state of one HTTP connection.
#[derive(Debug)]
pub struct HttpConnection<E> {
    pub(crate) phase: Phase,
    /// Requests not yet answered on the wire, oldest first; the first has the number `first_sequence`.
    pub(crate) slots: VecDeque<Slot<E>>,
    pub(crate) first_sequence: u64,
    /// How much of the unfinished head was searched for its end.
    scanned: usize,
    blank_lines: u8,
    /// Part of a head has come.
    pub(crate) partial: bool,
    pub(crate) timer: Timer,
    /// Bytes of bodies received, framing included.
    pub(crate) body_bytes: u64,
    /// The service has paused the body.
    pub(crate) paused: bool,
    /// As many requests as allowed are unanswered.
    pub(crate) full: bool,
    /// No request follows the current one.
    last: bool,
    draining: bool,
    pub(crate) input_ended: bool,
    /// The client may still be sending when the connection ends.
    pub(crate) linger: bool,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Head,
    Body {
        decoder: Decoder,
        sequence: u64,
    },
    /// A body that nobody wants, thrown away.
    Drain {
        decoder: Decoder,
        left_bytes: u64,
    },
    /// Not looked at any more.
    Done,
}

/// What the connection's deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    None,
    Head(Instant),
    Body { at: Instant, mark_bytes: u64 },
    Idle(Instant),
}

/// One unanswered request.
#[derive(Debug)]
pub(crate) struct Slot<E> {
    pub(crate) state: Answerable<E>,
    pub(crate) keep_alive: bool,
    pub(crate) old_version: bool,
    pub(crate) head_only: bool,
    /// `100 Continue` is to be sent when the answers before it are.
    pub(crate) continue_due: bool,
}

#[derive(Debug)]
pub(crate) enum Answerable<E> {
    Open(E),
    Answered(Response),
}

impl<E> HttpConnection<E> {
    pub(crate) fn slot(&mut self, sequence: u64) -> Option<&mut Slot<E>> {
        let index = sequence.checked_sub(self.first_sequence)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// The state of an exchange that is not answered yet.
    pub(crate) fn open_exchange(&mut self, sequence: u64) -> Option<&mut E> {
        match &mut self.slot(sequence)?.state {
            Answerable::Open(exchange) => Some(exchange),
            Answerable::Answered(_) => None,
        }
    }

    fn next_sequence(&self) -> u64 {
        self.first_sequence + self.slots.len() as u64
    }

    /// The current request is read to its end.
    fn next_head(&mut self) {
        self.phase = if self.last { Phase::Done } else { Phase::Head };
        self.scanned = 0;
        self.blank_lines = 0;
    }
}

/// What one look at the input came to.
enum Progress {
    Used(usize),
    Wait,
}

impl<S: HttpService> Http<S> {
    /// A machine for `service`; `clock` is asked for the `Date` of answers.
    ///
    /// # Errors
    /// As [`HttpConfig::validate`].
    pub fn new(service: S, config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let shared = Shared {
            config,
            clock,
            date: DateLine::default(),
            abandoned: Vec::new(),
        };
        Ok(Self { service, shared })
    }

    /// The service, to look at in tests.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The service, to change.
    pub fn service_mut(&mut self) -> &mut S {
        &mut self.service
    }

    /// Looks at the next bytes once.
    fn advance(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        input: &[u8],
    ) -> Progress {
        let outcome = match &mut connection.phase {
            _ if link.is_closing() => {
                if !input.is_empty() {
                    // Still sending: it would get a reset instead of the last answer.
                    link.close(true);
                }
                return Progress::Used(input.len());
            }
            Phase::Head => self.head(link, connection, input),
            Phase::Body { .. } => self.body(link, connection, input),
            Phase::Drain { .. } => self.drained(link, connection, input),
            Phase::Done => {
                connection.linger |= !input.is_empty();
                link.pause();
                return Progress::Wait;
            }
        };
        outcome.unwrap_or_else(|refusal| {
            exchange::refuse(&mut self.shared, link, connection, refusal);
            Progress::Used(0)
        })
    }

    fn head(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        input: &[u8],
    ) -> Result<Progress, Refusal> {
        if input.is_empty() || link.is_backlogged() {
            return Ok(Progress::Wait);
        }
        if connection.slots.len() >= self.shared.config.pipelined {
            connection.full = true;
            link.pause();
            return Ok(Progress::Wait);
        }
        match input {
            [b'\r'] => return Ok(Progress::Wait),
            [b'\r', b'\n', ..] if connection.blank_lines < BLANK_LINES => {
                connection.blank_lines += 1;
                return Ok(Progress::Used(2));
            }
            _ => {}
        }
        let Some(end) = parse::find_end(input, connection.scanned, &self.shared.config)? else {
            connection.scanned = input.len();
            return Ok(Progress::Wait);
        };
        self.begin(link, connection, &input[..end])?;
        Ok(Progress::Used(end))
    }

    /// A head is complete.
    fn begin(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        bytes: &[u8],
    ) -> Result<(), Refusal> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let head = parse::parse_head(bytes, &mut room, &self.shared.config)?;
        link.count_request();
        let sequence = connection.next_sequence();
        let id = ExchangeId {
            connection: link.id(),
            sequence,
        };
        let has_body = !matches!(head.body(), BodyLength::None | BodyLength::Exact(0));
        let keep_alive = head.keep_alive() && !connection.draining;
        let held_back = head.expects_continue() && has_body;
        let slot = |state, continue_due| Slot {
            state,
            keep_alive,
            old_version: head.minor_version() == 0,
            head_only: head.method() == "HEAD",
            continue_due,
        };
        connection.last = !keep_alive;
        let response = match self.service.head(id, &head) {
            Admit::Accept {
                exchange,
                max_body_bytes,
            } => match Decoder::new(head.body(), max_body_bytes) {
                Ok(decoder) => {
                    connection
                        .slots
                        .push_back(slot(Answerable::Open(exchange), held_back));
                    self.accept(link, connection, decoder, sequence);
                    return Ok(());
                }
                Err(refusal) => {
                    self.shared.abandoned.push((id, exchange));
                    Response::text(refusal.status, refusal.reason)
                }
            },
            Admit::Answer(response) => response,
        };
        connection
            .slots
            .push_back(slot(Answerable::Answered(response), false));
        match Decoder::new(head.body(), ANY_LENGTH) {
            Ok(Some(decoder)) => {
                exchange::drain_or_end(&self.shared, connection, decoder, sequence, held_back);
            }
            _ => connection.next_head(),
        }
        exchange::release(&mut self.shared, link, connection);
        Ok(())
    }

    /// The service takes the request: its body is next, or its end.
    fn accept(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        decoder: Option<Decoder>,
        sequence: u64,
    ) {
        match decoder {
            Some(decoder) => {
                connection.phase = Phase::Body { decoder, sequence };
                exchange::release(&mut self.shared, link, connection);
            }
            None => self.end_request(link, connection, sequence),
        }
    }

    /// The request is complete.
    fn end_request(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        sequence: u64,
    ) {
        connection.next_head();
        let id = ExchangeId {
            connection: link.id(),
            sequence,
        };
        let Some(slot) = connection.slot(sequence) else {
            return;
        };
        slot.continue_due = false;
        if let Answerable::Open(exchange) = &mut slot.state
            && let Some(response) = self.service.end(id, exchange)
        {
            slot.state = Answerable::Answered(response);
            exchange::release(&mut self.shared, link, connection);
        }
    }

    fn body(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        input: &[u8],
    ) -> Result<Progress, Refusal> {
        let Phase::Body { decoder, sequence } = &mut connection.phase else {
            return Ok(Progress::Wait);
        };
        let sequence = *sequence;
        let count = match decoder.next(input)? {
            Piece::Starved => return Ok(Progress::Wait),
            Piece::End => {
                self.end_request(link, connection, sequence);
                return Ok(Progress::Used(0));
            }
            Piece::Framing(count) => {
                connection.body_bytes += count as u64;
                return Ok(Progress::Used(count));
            }
            Piece::Data(_) if connection.paused => {
                link.pause();
                return Ok(Progress::Wait);
            }
            Piece::Data(count) => count,
        };
        let id = ExchangeId {
            connection: link.id(),
            sequence,
        };
        let Some(open) = connection.open_exchange(sequence) else {
            return Ok(Progress::Wait);
        };
        match self.service.body(id, open, &input[..count]) {
            BodyStep::Took(taken) => {
                let taken = taken.min(count);
                if let Phase::Body { decoder, .. } = &mut connection.phase {
                    decoder.took(taken);
                }
                connection.body_bytes += taken as u64;
                connection.paused = taken < count;
                Ok(Progress::Used(taken))
            }
            BodyStep::Answer(response) => {
                // The state is the service's to drop: it chose to answer.
                drop(exchange::answer(
                    &mut self.shared,
                    link,
                    connection,
                    sequence,
                    response,
                ));
                Ok(Progress::Used(0))
            }
        }
    }

    /// Throws away the next part of a refused body.
    fn drained(
        &mut self,
        link: &mut Link<'_>,
        connection: &mut HttpConnection<S::Exchange>,
        input: &[u8],
    ) -> Result<Progress, Refusal> {
        let Phase::Drain { decoder, left_bytes } = &mut connection.phase else {
            return Ok(Progress::Wait);
        };
        let piece = decoder.next(input)?;
        let count = match piece {
            Piece::Starved => return Ok(Progress::Wait),
            Piece::End => {
                connection.next_head();
                return Ok(Progress::Used(0));
            }
            Piece::Data(count) | Piece::Framing(count) => count,
        };
        if matches!(piece, Piece::Data(_)) {
            decoder.took(count);
        }
        *left_bytes = left_bytes.saturating_sub(count as u64);
        connection.body_bytes += count as u64;
        if *left_bytes == 0 && decoder.known_rest_bytes().is_none_or(|rest| rest > 0) {
            exchange::refuse(&mut self.shared, link, connection, Refusal::new(413, ""));
        }
        Ok(Progress::Used(count))
    }

    /// Tells the service what was abandoned during a call.
    fn report_abandoned(&mut self) {
        for (id, exchange) in self.shared.abandoned.drain(..) {
            self.service.abandoned(id, exchange);
        }
    }
}

impl<S: HttpService> Protocol for Http<S> {
    type Connection = HttpConnection<S::Exchange>;

    fn open(&mut self, link: &mut Link<'_>) -> Self::Connection {
        let at = link.now() + self.shared.config.head_timeout;
        link.set_deadline(Some(at));
        HttpConnection {
            phase: Phase::Head,
            slots: VecDeque::new(),
            first_sequence: 0,
            scanned: 0,
            blank_lines: 0,
            partial: false,
            timer: Timer::Idle(at),
            body_bytes: 0,
            paused: false,
            full: false,
            last: false,
            draining: false,
            input_ended: false,
            linger: false,
        }
    }

    fn receive(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection, input: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let before = std::mem::discriminant(&connection.phase);
            match self.advance(link, connection, &input[used..]) {
                Progress::Used(0)
                    if before == std::mem::discriminant(&connection.phase) && used == input.len() =>
                {
                    break;
                }
                Progress::Used(count) => used += count,
                Progress::Wait => break,
            }
        }
        let held = link.is_backlogged() || connection.full;
        connection.partial = connection.phase == Phase::Head && used < input.len() && !held;
        if connection.phase == Phase::Done && connection.slots.is_empty() && !link.is_closing() {
            exchange::end(&mut self.shared, link, connection, false);
        }
        exchange::schedule(&self.shared, link, connection);
        self.report_abandoned();
        used
    }

    fn close(&mut self, id: ConnectionId, mut connection: Self::Connection) {
        exchange::abandon_all(&mut self.shared, id, &mut connection);
        self.report_abandoned();
    }

    fn finish(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        connection.input_ended = true;
        let id = link.id();
        if let Phase::Body { sequence, .. } = std::mem::replace(&mut connection.phase, Phase::Done)
            && let Some(Slot {
                state: Answerable::Open(exchange),
                ..
            }) = connection.slots.pop_back()
        {
            self.shared.abandoned.push((
                ExchangeId {
                    connection: id,
                    sequence,
                },
                exchange,
            ));
        }
        exchange::release(&mut self.shared, link, connection);
        self.report_abandoned();
    }

    fn expire(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        match std::mem::replace(&mut connection.timer, Timer::None) {
            Timer::None => {}
            // An answer is still on its way out; the loop watches over that.
            Timer::Idle(_) if link.pending_bytes() > 0 => {}
            Timer::Idle(_) => {
                link.count_timeout();
                exchange::end(&mut self.shared, link, connection, false);
            }
            Timer::Head(_) => {
                link.count_timeout();
                let refusal = Refusal::new(408, "the request's head took too long");
                exchange::refuse(&mut self.shared, link, connection, refusal);
            }
            Timer::Body { mark_bytes, .. } => {
                if connection.body_bytes - mark_bytes < self.shared.config.body_progress_bytes {
                    link.count_timeout();
                    let refusal = Refusal::new(408, "the request's body came too slowly");
                    exchange::refuse(&mut self.shared, link, connection, refusal);
                }
            }
        }
        exchange::schedule(&self.shared, link, connection);
        self.report_abandoned();
    }

    fn drain(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        connection.draining = true;
        connection.last = true;
        match (&connection.phase, connection.slots.back_mut()) {
            (Phase::Head, None) if connection.partial => {}
            (Phase::Head, None) => exchange::end(&mut self.shared, link, connection, false),
            (Phase::Head, Some(last)) => {
                last.keep_alive = false;
                connection.phase = Phase::Done;
            }
            (_, Some(last)) => last.keep_alive = false,
            // The answer to a drained body has left; the end of the body ends the connection.
            (_, None) => {}
        }
        exchange::schedule(&self.shared, link, connection);
        self.report_abandoned();
    }

    fn turn(&mut self, links: &mut Links<'_, Self::Connection>) {
        self.service.turn(&mut Replies {
            links,
            shared: &mut self.shared,
        });
        self.report_abandoned();
    }

    fn has_work(&self) -> bool {
        self.service.has_work()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.service.next_deadline()
    }

    fn refusal(&self) -> &'static [u8] {
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\
          Connection: close\r\n\r\ntoo many connections\n"
    }
}
