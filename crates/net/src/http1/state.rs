//! What the machine knows of a connection between two calls: where the input stands and which requests are unanswered.

use super::{HttpConfig, Response, body::Decoder, date::DateLine, service::ExchangeId};
use quintet_core::Clock;
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

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
    pub(super) scanned: usize,
    pub(super) blank_lines: u8,
    /// Part of a head has come.
    pub(crate) partial: bool,
    pub(crate) timer: Timer,
    /// What is left of the time for the current body; `None` = it has not begun.
    pub(crate) body_left: Option<Duration>,
    /// Bytes of bodies received, framing included.
    pub(crate) body_bytes: u64,
    /// The service has paused the body.
    pub(crate) paused: bool,
    /// As many requests as allowed are unanswered.
    pub(crate) full: bool,
    /// No request follows the current one.
    pub(super) last: bool,
    pub(super) draining: bool,
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
    Body {
        begun: Instant,
        at: Instant,
        mark_bytes: u64,
    },
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

    pub(super) fn next_sequence(&self) -> u64 {
        self.first_sequence + self.slots.len() as u64
    }

    /// The current request is read to its end.
    pub(super) fn next_head(&mut self) {
        self.phase = if self.last { Phase::Done } else { Phase::Head };
        self.body_left = None;
        if matches!(self.timer, Timer::Body { .. }) {
            self.timer = Timer::None;
        }
        self.scanned = 0;
        self.blank_lines = 0;
    }
}
