//! The machine as a [`Protocol`]: opening, feeding, timing out, draining and closing a connection.

use super::{
    exchange,
    machine::{Http, Progress},
    refusal::Refusal,
    service::{ExchangeId, HttpService, Replies},
    state::{Answerable, HttpConnection, Phase, Slot, Timer},
};
use crate::{ConnectionId, Link, Links, Protocol};
use std::{collections::VecDeque, time::Instant};

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
            body_left: None,
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
            Timer::Body {
                begun, mark_bytes, ..
            } => {
                let left = exchange::body_left(&self.shared, connection, begun, link.now());
                connection.body_left = Some(left);
                let progress_bytes = connection.body_bytes - mark_bytes;
                if left.is_zero() || progress_bytes < self.shared.config.body_progress_bytes {
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
