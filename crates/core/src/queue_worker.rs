//! The queue-backed [`Worker`]: credits, ids, and the promise that every request is answered exactly once.

use crate::{
    Closed, Completion, Consumer, Doorbell, ErrorKind, Message, Producer, PushError, Request, RequestId,
    Worker, port::Peer,
};
use std::num::NonZeroUsize;

/// One client's end of a connection to a controller. Made by [`Connector::connect`](crate::Connector::connect).
///
/// The fields drop in this order: the queue halves first, so that the controller, woken last, finds them gone.
pub struct QueueWorker<M: Message> {
    requests: Box<dyn Producer<Request<M>>>,
    replies: Box<dyn Consumer<Completion<M>>>,
    staged: Vec<Request<M>>,
    slots: Slots,
    /// The controller has dropped its end of the request queue.
    gone: bool,
    peer: Peer<M>,
}

impl<M: Message> QueueWorker<M> {
    /// A worker from its parts, for tests and for own transports. Both queues must hold at least `credits` items.
    #[must_use]
    pub fn new(
        requests: Box<dyn Producer<Request<M>>>,
        replies: Box<dyn Consumer<Completion<M>>>,
        credits: NonZeroUsize,
        controller: Doorbell,
    ) -> Self {
        Self::connected(requests, replies, credits, Peer::Bell(controller))
    }

    pub(crate) fn connected(
        requests: Box<dyn Producer<Request<M>>>,
        replies: Box<dyn Consumer<Completion<M>>>,
        credits: NonZeroUsize,
        peer: Peer<M>,
    ) -> Self {
        let staged = Vec::with_capacity(credits.get());
        Self {
            requests,
            replies,
            staged,
            slots: Slots::new(credits),
            gone: false,
            peer,
        }
    }

    /// How many requests may be in flight at once.
    #[must_use]
    pub fn credits(&self) -> usize {
        self.slots.ids.len()
    }

    /// How many completions can be reaped now: a lower bound.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.replies.ready()
    }
}

impl<M: Message> Worker<M> for QueueWorker<M> {
    fn submit(&mut self, message: M) -> Result<RequestId, PushError<M>> {
        if self.gone {
            return Err(PushError::Closed(message));
        }
        let Some(id) = self.slots.take() else {
            return Err(PushError::Full(message));
        };
        self.staged.push(Request { id, message });
        Ok(id)
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if self.gone {
            return Err(Closed);
        }
        if self.staged.is_empty() {
            return Ok(());
        }
        let pushed = self.requests.push_batch(&mut self.staged);
        if pushed.is_err() {
            self.gone = true;
            // Their slots stay taken until `reap` answers them.
            self.staged.clear();
        }
        self.peer.ring();
        pushed.map(|_| ())
    }

    fn reap(&mut self, out: &mut Vec<Completion<M>>, max: usize) -> Result<usize, Closed> {
        let before = out.len();
        let popped = self.replies.pop_batch(out, max);
        for completion in &out[before..] {
            self.slots.give_back(completion.id);
        }
        if let Ok(count) = popped {
            return Ok(count);
        }
        self.gone = true;
        self.staged.clear();
        if self.slots.in_flight() == 0 {
            return Err(Closed);
        }
        let unanswered = self.slots.drain(max);
        let count = unanswered.len();
        out.extend(unanswered.into_iter().map(|id| Completion {
            id,
            result: Err(ErrorKind::Closed.into()),
        }));
        Ok(count)
    }

    fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }
}

/// One slot per credit. An id names its slot in the low bits and counts in the high ones, so that ids never repeat and
/// giving one back is a single look-up.
struct Slots {
    ids: Vec<Option<RequestId>>,
    free: Vec<usize>,
    slot_bits: u32,
    issued: u64,
}

impl Slots {
    fn new(credits: NonZeroUsize) -> Self {
        let count = credits.get();
        let slot_bits = usize::BITS - (count - 1).leading_zeros();
        Self {
            ids: vec![None; count],
            free: (0..count).rev().collect(),
            slot_bits,
            issued: 0,
        }
    }

    fn in_flight(&self) -> usize {
        self.ids.len() - self.free.len()
    }

    fn take(&mut self) -> Option<RequestId> {
        let slot = self.free.pop()?;
        let id = RequestId(self.issued << self.slot_bits | slot as u64);
        self.issued += 1;
        self.ids[slot] = Some(id);
        Some(id)
    }

    fn give_back(&mut self, id: RequestId) {
        let slot = (id.0 & ((1 << self.slot_bits) - 1)) as usize;
        let known = self.ids.get(slot).is_some_and(|held| *held == Some(id));
        debug_assert!(known, "a completion for {id}, which is not in flight");
        if known {
            self.ids[slot] = None;
            self.free.push(slot);
        }
    }

    /// Gives back the oldest `max` ids in flight and returns them, oldest first.
    fn drain(&mut self, max: usize) -> Vec<RequestId> {
        let mut held: Vec<_> = self.ids.iter().copied().flatten().collect();
        held.sort_unstable();
        held.truncate(max);
        for id in &held {
            self.give_back(*id);
        }
        held
    }
}
