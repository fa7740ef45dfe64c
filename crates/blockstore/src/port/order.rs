//! Pipelined requests of one connection that must not overtake each other.
//!
//! A client that sends `PUT x` and `GET x` without waiting must find x. So what looks a name up or forgets one starts only
//! when every earlier write of its connection has been answered, and nothing starts before something that waits. PUTs
//! commute, because their content names them, and share a commit.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// What a request does to names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Adds one.
    Put,
    /// Looks one up.
    Look,
    /// Forgets one, or changes what may be forgotten: a lock.
    Delete,
}

/// The lanes of one worker: one per connection with an unanswered write. `C` names a connection, `T` a request.
pub(crate) struct Order<C, T> {
    lanes: HashMap<C, Lane<T>, foldhash::fast::RandomState>,
}

struct Lane<T> {
    /// Writes that were started and are not done.
    writes: usize,
    /// At most as many as the connection may pipeline.
    waiting: VecDeque<(Kind, T)>,
}

impl<T> Lane<T> {
    fn may_start(&self, kind: Kind) -> bool {
        kind == Kind::Put || self.writes == 0
    }

    /// The next one that may start, counted as started.
    fn next(&mut self) -> Option<(Kind, T)> {
        let next = self
            .waiting
            .pop_front_if(|(kind, _)| *kind == Kind::Put || self.writes == 0)?;
        self.writes += usize::from(next.0 != Kind::Look);
        Some(next)
    }
}

impl<C: Copy + Eq + Hash, T> Order<C, T> {
    pub(crate) fn new() -> Self {
        Self {
            lanes: HashMap::default(),
        }
    }

    /// A request wants to start. `Some` hands it back: start it now, and call [`done`](Self::done) when a write among
    /// them is answered. `None`: it waits, and comes out of a later `done`.
    pub(crate) fn enter(&mut self, connection: C, kind: Kind, request: T) -> Option<T> {
        if kind == Kind::Look && !self.lanes.contains_key(&connection) {
            return Some(request);
        }
        let lane = self.lanes.entry(connection).or_insert_with(|| Lane {
            writes: 0,
            waiting: VecDeque::new(),
        });
        if !lane.waiting.is_empty() || !lane.may_start(kind) {
            lane.waiting.push_back((kind, request));
            return None;
        }
        lane.writes += usize::from(kind != Kind::Look);
        Some(request)
    }

    /// A started write of this connection is over. Appends what may start now to `ready`. A request that died while it
    /// waited comes out like the others, so that the lane's bookkeeping needs no search: if it is a write, call `done`
    /// for it at once.
    pub(crate) fn done(&mut self, connection: C, ready: &mut Vec<(Kind, T)>) {
        let Some(lane) = self.lanes.get_mut(&connection) else {
            return;
        };
        lane.writes = lane.writes.saturating_sub(1);
        while let Some((kind, request)) = lane.next() {
            ready.push((kind, request));
        }
        if lane.writes == 0 && lane.waiting.is_empty() {
            self.lanes.remove(&connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(order: &mut Order<u8, u32>) -> Vec<u32> {
        let mut ready = Vec::new();
        order.done(1, &mut ready);
        ready.into_iter().map(|(_, request)| request).collect()
    }

    #[test]
    fn looks_and_deletes_wait_for_writes_and_nothing_overtakes_what_waits() {
        let mut order = Order::new();
        assert_eq!(order.enter(1, Kind::Look, 0), Some(0));
        assert_eq!(order.enter(1, Kind::Put, 1), Some(1));
        assert_eq!(order.enter(1, Kind::Put, 2), Some(2));
        assert_eq!(order.enter(1, Kind::Look, 3), None);
        assert_eq!(order.enter(1, Kind::Delete, 4), None);
        assert_eq!(order.enter(1, Kind::Put, 5), None);
        assert_eq!(order.enter(2, Kind::Look, 9), Some(9), "another connection");
        assert!(done(&mut order).is_empty(), "one PUT is still on its way");
        assert_eq!(
            done(&mut order),
            [3, 4, 5],
            "the delete and the later put leave in order"
        );
        assert_eq!(order.enter(1, Kind::Look, 6), None);
        assert!(done(&mut order).is_empty());
        assert_eq!(done(&mut order), [6]);
        assert!(order.lanes.is_empty());
    }
}
