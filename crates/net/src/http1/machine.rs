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
    service::{Admit, BodyStep, ExchangeId, HttpService},
    state::{Answerable, HttpConnection, Phase, Shared, Slot},
};
use crate::Link;
use quintet_core::{Clock, Result};
use std::{mem::MaybeUninit, sync::Arc};

/// Empty lines that are forgiven before a request line.
const BLANK_LINES: u8 = 2;
/// An exchange that takes no body still has a limit in [`Admit`]; for drained bodies there is none.
const ANY_LENGTH: u64 = u64::MAX;

/// Runs an [`HttpService`] as a [`Protocol`](crate::Protocol).
#[derive(Debug)]
pub struct Http<S: HttpService> {
    pub(super) service: S,
    pub(super) shared: Shared<S::Exchange>,
}

/// What one look at the input came to.
pub(super) enum Progress {
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
    pub(super) fn advance(
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
    pub(super) fn report_abandoned(&mut self) {
        for (id, exchange) in self.shared.abandoned.drain(..) {
            self.service.abandoned(id, exchange);
        }
    }
}
