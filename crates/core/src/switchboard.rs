//! Which port a request came from and a completion goes to: fair collection, routing, and replies that are never lost.

use crate::{Completion, Message, Port, Request, RequestId};

/// One connected port.
struct Lane<M: Message> {
    port: Port<M>,
    /// Completions on their way out. Left over only if a transport refuses what credits promise; then nothing more is
    /// taken from it, which bounds this by the requests in progress.
    outbox: Vec<Completion<M>>,
}

/// Where the completion of a request in progress goes.
#[derive(Clone, Copy)]
struct Route {
    lane: usize,
    /// Which occupant of that lane: a reply to a port that is gone must not reach its successor.
    occupant: u64,
    id: RequestId,
    awaits: bool,
}

struct Seat<M: Message> {
    occupant: u64,
    lane: Option<Lane<M>>,
}

pub(crate) struct Switchboard<M: Message> {
    seats: Vec<Seat<M>>,
    /// `None` = free. A completion takes its route, so that a second one with the same id finds none.
    routes: Vec<Option<Route>>,
    free_routes: Vec<usize>,
    /// The seat that is served first in the next tick.
    first: usize,
    inbox: Vec<Request<M>>,
    touched: Vec<usize>,
}

impl<M: Message> Switchboard<M> {
    pub(crate) fn new() -> Self {
        Self {
            seats: Vec::new(),
            routes: Vec::new(),
            free_routes: Vec::new(),
            first: 0,
            inbox: Vec::new(),
            touched: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, port: Port<M>) {
        let lane = Some(Lane {
            port,
            outbox: Vec::new(),
        });
        match self.seats.iter_mut().find(|seat| seat.lane.is_none()) {
            Some(seat) => {
                seat.occupant += 1;
                seat.lane = lane;
            }
            None => self.seats.push(Seat { occupant: 0, lane }),
        }
    }

    /// Whether a lane can move: a request to take, or room for an answer that did not fit before.
    pub(crate) fn has_work(&self) -> bool {
        self.lanes().any(|lane| {
            if lane.outbox.is_empty() {
                lane.port.requests.ready() > 0
            } else {
                lane.port.replies.free() > 0
            }
        })
    }

    /// About how many requests wait at all ports.
    pub(crate) fn queued(&self) -> usize {
        self.lanes().map(|lane| lane.port.requests.ready()).sum()
    }

    /// Takes from each port what waits there now, and not what comes meanwhile: one port that keeps sending cannot take
    /// the place of what another sent before. Returns how many that were.
    pub(crate) fn collect_queued(
        &mut self,
        reads: &mut Vec<Request<M>>,
        writes: &mut Vec<Request<M>>,
    ) -> usize {
        let mut taken = 0;
        for seat in 0..self.seats.len() {
            let waiting = self.seats[seat]
                .lane
                .as_ref()
                .map_or(0, |lane| lane.port.requests.ready());
            taken += self.collect_from(seat, waiting, reads, writes);
        }
        taken
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane<M>> {
        self.seats.iter().filter_map(|seat| seat.lane.as_ref())
    }

    /// Takes at most `budget` requests: first a fair share from each port, then what is left from whoever has more. The
    /// port to begin with rotates, so that a budget smaller than the number of ports starves none.
    pub(crate) fn collect(
        &mut self,
        budget: usize,
        reads: &mut Vec<Request<M>>,
        writes: &mut Vec<Request<M>>,
    ) -> usize {
        let seats = self.seats.len();
        if seats == 0 {
            return 0;
        }
        let share = (budget / seats).max(1);
        let mut left = budget;
        for most in [share, budget] {
            for offset in 0..seats {
                if left == 0 {
                    return budget;
                }
                let seat = (self.first + offset) % seats;
                left -= self.collect_from(seat, most.min(left), reads, writes);
                if left == 0 {
                    self.first = (seat + 1) % seats;
                }
            }
        }
        self.first = (self.first + 1) % seats;
        budget - left
    }

    fn collect_from(
        &mut self,
        seat: usize,
        most: usize,
        reads: &mut Vec<Request<M>>,
        writes: &mut Vec<Request<M>>,
    ) -> usize {
        let occupant = self.seats[seat].occupant;
        let Some(lane) = &mut self.seats[seat].lane else {
            return 0;
        };
        if !lane.outbox.is_empty() {
            // Not kept to its credits: held back until it takes its answers, so that they do not pile up here.
            return 0;
        }
        let Ok(taken) = lane.port.requests.pop_batch(&mut self.inbox, most) else {
            self.seats[seat].lane = None;
            return 0;
        };
        for Request { id, message } in self.inbox.drain(..) {
            let route = Route {
                lane: seat,
                occupant,
                id,
                awaits: message.awaits_commit(),
            };
            let index = match self.free_routes.pop() {
                Some(index) => {
                    self.routes[index] = Some(route);
                    index
                }
                None => {
                    self.routes.push(Some(route));
                    self.routes.len() - 1
                }
            };
            let requests = if message.rank() == 0 {
                &mut *reads
            } else {
                &mut *writes
            };
            requests.push(Request {
                id: RequestId(index as u64),
                message,
            });
        }
        taken
    }

    /// Whether the completion with this internal id waits for its commit.
    pub(crate) fn awaits(&self, id: RequestId) -> bool {
        let route = self.routes.get(id.0 as usize).copied().flatten();
        route.is_none_or(|route| route.awaits)
    }

    /// Sends each completion to the port that asked, and wakes those workers that sleep.
    pub(crate) fn reply(&mut self, ready: &mut Vec<Completion<M>>) {
        for Completion { id, result } in ready.drain(..) {
            let index = id.0 as usize;
            let route = self.routes.get_mut(index).and_then(Option::take);
            debug_assert!(
                route.is_some(),
                "the handler completed {id}, which is not in progress"
            );
            let Some(route) = route else {
                continue; // Sent on, it could reach a worker that asked something else.
            };
            self.free_routes.push(index);
            let seat = &mut self.seats[route.lane];
            // A port that is gone has no one to tell.
            if seat.occupant == route.occupant
                && let Some(lane) = &mut seat.lane
            {
                if lane.outbox.is_empty() {
                    self.touched.push(route.lane);
                }
                lane.outbox.push(Completion { id: route.id, result });
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        for seat in touched.drain(..) {
            self.send(seat);
        }
        self.touched = touched;
    }

    /// Tries again what a transport refused. Returns how many completions left.
    pub(crate) fn retry_replies(&mut self) -> usize {
        let mut sent = 0;
        for seat in 0..self.seats.len() {
            if self.seats[seat]
                .lane
                .as_ref()
                .is_some_and(|lane| !lane.outbox.is_empty())
            {
                sent += self.send(seat);
            }
        }
        sent
    }

    fn send(&mut self, seat: usize) -> usize {
        let Some(lane) = &mut self.seats[seat].lane else {
            return 0;
        };
        let Ok(sent) = lane.port.replies.push_batch(&mut lane.outbox) else {
            // The worker is gone, and with it whoever could read this. Its requests are still honoured.
            lane.outbox.clear();
            return 0;
        };
        lane.port.worker.0.ring();
        sent
    }

    pub(crate) fn close(&mut self) {
        self.seats.clear();
    }
}
