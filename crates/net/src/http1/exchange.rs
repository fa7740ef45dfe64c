//! From an answer to its bytes: the order of pipelined answers, early answers, endings, and the connection's timer.
//!
//! Called by the machine while it reads and by [`Replies`](super::Replies) in a turn. An exchange that can no longer be
//! answered is put on a list, and the machine tells the service when it is free to be called.

use super::{
    Response,
    body::Decoder,
    refusal::Refusal,
    reply::Style,
    service::ExchangeId,
    state::{Answerable, HttpConnection, Phase, Shared, Slot, Timer},
};
use crate::connection::Link;
use std::time::{Duration, Instant};

/// Answers an open exchange; its state comes back.
pub(crate) fn answer<E>(
    shared: &mut Shared<E>,
    link: &mut Link<'_>,
    connection: &mut HttpConnection<E>,
    sequence: u64,
    response: Response,
) -> Result<E, Response> {
    if connection.open_exchange(sequence).is_none() {
        return Err(response);
    }
    let Some(slot) = connection.slot(sequence) else {
        return Err(response);
    };
    let before = std::mem::replace(&mut slot.state, Answerable::Answered(response));
    leave_body(shared, link, connection, sequence);
    release(shared, link, connection);
    match before {
        Answerable::Open(exchange) => Ok(exchange),
        Answerable::Answered(response) => Err(response),
    }
}

/// If the answered exchange is the one whose body is being read: what becomes of the rest.
fn leave_body<E>(shared: &Shared<E>, link: &mut Link<'_>, connection: &mut HttpConnection<E>, sequence: u64) {
    if !matches!(connection.phase, Phase::Body { sequence: reading, .. } if reading == sequence) {
        return;
    }
    let Phase::Body { decoder, .. } = std::mem::replace(&mut connection.phase, Phase::Done) else {
        return;
    };
    let held_back = connection.slot(sequence).is_some_and(|slot| slot.continue_due);
    drain_or_end(shared, connection, decoder, sequence, held_back);
    if connection.paused {
        connection.paused = false;
        link.resume();
    }
}

/// Throws a refused body away, or, if that would take too long, ends the connection after the answer.
pub(crate) fn drain_or_end<E>(
    shared: &Shared<E>,
    connection: &mut HttpConnection<E>,
    mut decoder: Decoder,
    sequence: u64,
    held_back: bool,
) {
    let left_bytes = shared.config.drain_bytes;
    if !held_back && decoder.known_rest_bytes().is_none_or(|rest| rest <= left_bytes) {
        decoder.lift_limit();
        connection.phase = Phase::Drain { decoder, left_bytes };
        return;
    }
    connection.phase = Phase::Done;
    connection.linger = true;
    if let Some(slot) = connection.slot(sequence) {
        slot.keep_alive = false;
    }
}

/// Sends every answer whose turn has come.
pub(crate) fn release<E>(shared: &mut Shared<E>, link: &mut Link<'_>, connection: &mut HttpConnection<E>) {
    while let Some(slot) = connection
        .slots
        .pop_front_if(|slot| matches!(slot.state, Answerable::Answered(_)))
    {
        connection.first_sequence += 1;
        let Answerable::Answered(response) = slot.state else {
            continue;
        };
        let keep_alive = slot.keep_alive && !response.closes();
        if shared.config.date {
            let clock = &shared.clock;
            shared.date.refresh(link.now(), || clock.wall());
        }
        let style = Style {
            keep_alive,
            old_version: slot.old_version,
            head_only: slot.head_only,
            date: shared.date.as_bytes(),
        };
        response.send(link, style);
        if !keep_alive {
            let unread = !matches!(connection.phase, Phase::Head | Phase::Done);
            return end(shared, link, connection, unread);
        }
    }
    match connection.slots.front_mut() {
        Some(front) if front.continue_due => {
            front.continue_due = false;
            link.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Some(_) => {}
        None if connection.input_ended || connection.phase == Phase::Done => {
            return end(shared, link, connection, false);
        }
        None => {}
    }
    // Not at the first free place: kept input is moved at each resumption, so it should be worth some requests.
    if connection.full && connection.slots.len() <= shared.config.pipelined / 2 {
        connection.full = false;
        link.resume();
    }
    schedule(shared, link, connection);
}

/// What is left of the time for the current body, of which the part since `begun` has just passed.
pub(crate) fn body_left<E>(
    shared: &Shared<E>,
    connection: &HttpConnection<E>,
    begun: Instant,
    now: Instant,
) -> Duration {
    let before = connection.body_left.unwrap_or(shared.config.body_timeout);
    before.saturating_sub(now.saturating_duration_since(begun))
}

/// Ends the connection after what is queued. Exchanges still open are abandoned.
pub(crate) fn end<E>(
    shared: &mut Shared<E>,
    link: &mut Link<'_>,
    connection: &mut HttpConnection<E>,
    unread: bool,
) {
    connection.phase = Phase::Done;
    abandon_all(shared, link.id(), connection);
    link.close((connection.linger || unread) && !connection.input_ended);
    schedule(shared, link, connection);
}

/// Puts every open exchange on the list for the service.
pub(crate) fn abandon_all<E>(
    shared: &mut Shared<E>,
    id: crate::ConnectionId,
    connection: &mut HttpConnection<E>,
) {
    for slot in connection.slots.drain(..) {
        if let Answerable::Open(exchange) = slot.state {
            let id = ExchangeId {
                connection: id,
                sequence: connection.first_sequence,
            };
            shared.abandoned.push((id, exchange));
        }
        connection.first_sequence += 1;
    }
}

/// Answers a broken request and ends the connection after it, and after the answers before it.
pub(crate) fn refuse<E>(
    shared: &mut Shared<E>,
    link: &mut Link<'_>,
    connection: &mut HttpConnection<E>,
    refusal: Refusal,
) {
    connection.linger = true;
    let answered = Answerable::Answered(refusal.response());
    match std::mem::replace(&mut connection.phase, Phase::Done) {
        Phase::Head => connection.slots.push_back(Slot {
            state: answered,
            keep_alive: false,
            old_version: false,
            head_only: false,
            continue_due: false,
        }),
        Phase::Body { sequence, .. } => {
            let id = ExchangeId {
                connection: link.id(),
                sequence,
            };
            if let Some(slot) = connection.slot(sequence) {
                slot.keep_alive = false;
                slot.continue_due = false;
                if let Answerable::Open(exchange) = std::mem::replace(&mut slot.state, answered) {
                    shared.abandoned.push((id, exchange));
                }
            }
        }
        // Answered already: what can still be said is that the connection ends.
        Phase::Drain { .. } | Phase::Done => {
            if let Some(last) = connection.slots.back_mut() {
                last.keep_alive = false;
            }
        }
    }
    release(shared, link, connection);
}

/// Ends the service's pause of a body.
pub(crate) fn resume<E>(link: &mut Link<'_>, connection: &mut HttpConnection<E>, sequence: u64) {
    let reading = matches!(connection.phase, Phase::Body { sequence: reading, .. } if reading == sequence);
    if reading && connection.paused {
        connection.paused = false;
        link.resume();
    }
}

/// Sets the one deadline that fits what the connection waits for. Nothing is due while the service is awaited.
pub(crate) fn schedule<E>(shared: &Shared<E>, link: &mut Link<'_>, connection: &mut HttpConnection<E>) {
    let now = link.now();
    let config = &shared.config;
    let waiting = connection.slots.back().is_some_and(|slot| slot.continue_due);
    let in_body = matches!(connection.phase, Phase::Body { .. } | Phase::Drain { .. });
    let held = matches!(connection.phase, Phase::Body { .. }) && (connection.paused || waiting);
    if let Timer::Body { begun, .. } = connection.timer
        && held
    {
        // Only the time counts in which the client could send.
        connection.body_left = Some(body_left(shared, connection, begun, now));
    }
    let left = connection.body_left.unwrap_or(config.body_timeout);
    if in_body {
        connection.body_left = Some(left);
    }
    let next = match (&connection.phase, connection.timer) {
        (Phase::Done, _) => Timer::None,
        (Phase::Body { .. }, _) if held => Timer::None,
        (Phase::Body { .. } | Phase::Drain { .. }, running @ Timer::Body { .. }) => running,
        (Phase::Body { .. } | Phase::Drain { .. }, _) => Timer::Body {
            begun: now,
            at: now + config.body_progress.min(left),
            mark_bytes: connection.body_bytes,
        },
        (Phase::Head, _) if connection.full => Timer::None,
        (Phase::Head, running @ Timer::Head(_)) if connection.partial => running,
        (Phase::Head, _) if connection.partial => Timer::Head(now + config.head_timeout),
        (Phase::Head, _) if !connection.slots.is_empty() => Timer::None,
        (Phase::Head, _) => Timer::Idle(now + config.idle_timeout),
    };
    connection.timer = next;
    link.set_deadline(match next {
        Timer::None => None,
        Timer::Head(at) | Timer::Idle(at) | Timer::Body { at, .. } => Some(at),
    });
}
