//! A worker's turn: outcomes become answers, blocks and credits that came free are given to those who wait.
//!
//! Each round polls the block worker, which also sends what the events before it began. Rounds go on until one changes
//! nothing; no new request comes in between, so that ends.

use super::{
    answer,
    exchange::Exchange,
    order::Kind,
    service::{BlockService, Hungry, Sent},
    upload::Upload,
};
use crate::{BlockError, Done, Outcome};
use quintet_core::Error;
use quintet_net::http1::{ExchangeId, Replies, Response};

impl BlockService {
    pub(super) fn take_turn(&mut self, replies: &mut Replies<'_, '_, Exchange>) {
        self.begun = false;
        self.name_hashed(replies);
        while self.round(replies) {}
        // Bodies that wait for company are named in the next turn, which comes at once.
        self.begun |= !self.unnamed.is_empty();
        self.gauges.publish(self);
    }

    /// Answers whether something happened that may have begun more.
    fn round(&mut self, replies: &mut Replies<'_, '_, Exchange>) -> bool {
        // Armed before the queue is looked at: what is completed after the look wakes the loop.
        self.doorbell.arm();
        let mut done = std::mem::take(&mut self.done);
        let polled = self.worker.poll(&mut done);
        let mut moved = !done.is_empty();
        for done in done.drain(..) {
            self.settle(done, replies);
        }
        self.done = done;
        match polled {
            Ok(polled) => {
                if polled.retry_puts {
                    self.gauges.count_refill();
                    moved |= self.feed(replies);
                }
                moved |= self.send_unsent(replies);
            }
            Err(_) => moved |= self.refuse_all(replies),
        }
        moved | self.move_lanes(replies)
    }

    fn settle(&mut self, done: Done, replies: &mut Replies<'_, '_, Exchange>) {
        let Some(Sent { id, kind, wants }) = self.sent.remove(&done.ticket) else {
            return;
        };
        if kind != Kind::Look {
            self.finished.push(id.connection());
        }
        // The client may be gone; then nothing is read for it.
        if replies.exchange(id).is_none() {
            return;
        }
        let response = match done.outcome {
            Ok(Outcome::Stored { digest, .. }) => {
                self.gauges.count_put();
                answer::stored(&digest)
            }
            Ok(Outcome::Locked | Outcome::Unlocked | Outcome::Trimmed { .. } | Outcome::Punched { .. }) => {
                Response::new(200)
            }
            Ok(Outcome::Deleted) => {
                self.gauges.count_delete();
                Response::new(200)
            }
            Ok(Outcome::Found(extent)) => self.content(extent, wants),
            Err(error) => answer::failed(&error),
        };
        let _gone = replies.answer(id, response);
    }

    /// Gives blocks to the PUTs that wait for one, oldest first.
    fn feed(&mut self, replies: &mut Replies<'_, '_, Exchange>) -> bool {
        let waiting = self.hungry.len();
        for _ in 0..waiting {
            let Some(Hungry { id, begun }) = self.hungry.pop_front() else {
                break;
            };
            let Some(slot) = replies.exchange(id) else {
                self.end_turn(id, begun);
                continue;
            };
            let len_bytes = match slot {
                Exchange::Hungry { len_bytes, .. } => *len_bytes,
                Exchange::Gathered(lease) => lease.len() as u64,
                _ => continue,
            };
            match self.worker.begin_put(len_bytes) {
                Ok(Some(put)) => match std::mem::replace(slot, Exchange::Sent) {
                    Exchange::Gathered(lease) => {
                        let mut exchange = Exchange::Sent;
                        let answered = self.write_gathered(id, &mut exchange, put, &lease);
                        self.finish(Kind::Put, id, exchange, answered, replies);
                    }
                    Exchange::Hungry { permit, .. } => {
                        *slot = Exchange::Writing(Upload::new(put), permit);
                        replies.resume(id);
                    }
                    other => *slot = other,
                },
                Ok(None) => self.hungry.push_back(Hungry { id, begun }),
                Err(error) => {
                    let _gone = replies.answer(id, answer::failed(&error));
                    self.end_turn(id, begun);
                }
            }
        }
        // What was asked for again must be sent, so another round is due whenever somebody was waiting.
        waiting > 0
    }

    /// A PUT that waited for a block is over. To the lane of one that had not begun its turn this is nothing.
    fn end_turn(&mut self, id: ExchangeId, begun: bool) {
        if begun {
            self.finished.push(id.connection());
        }
    }

    /// Sends what found no credit before, oldest first, until one finds none again.
    fn send_unsent(&mut self, replies: &mut Replies<'_, '_, Exchange>) -> bool {
        let mut moved = false;
        for _ in 0..self.unsent.len() {
            let Some((kind, id)) = self.unsent.pop_front() else {
                break;
            };
            let before = self.unsent.len();
            self.start_again(kind, id, replies);
            if self.unsent.len() > before {
                // Refused again and put at the end; it was the oldest, so it goes back to the front.
                self.unsent.rotate_right(1);
                break;
            }
            moved = true;
        }
        moved
    }

    /// Lets the lanes of answered writes move on.
    fn move_lanes(&mut self, replies: &mut Replies<'_, '_, Exchange>) -> bool {
        let mut moved = false;
        while let Some(connection) = self.finished.pop() {
            let mut ready = std::mem::take(&mut self.ready);
            self.order.done(connection, &mut ready);
            moved |= !ready.is_empty();
            for (kind, id) in ready.drain(..) {
                self.start_again(kind, id, replies);
            }
            self.ready = ready;
        }
        moved
    }

    /// Starts a request that waited, if it is still there.
    pub(super) fn start_again(
        &mut self,
        kind: Kind,
        id: ExchangeId,
        replies: &mut Replies<'_, '_, Exchange>,
    ) {
        let Some(slot) = replies.exchange(id) else {
            if kind != Kind::Look {
                self.finished.push(id.connection());
            }
            return;
        };
        let mut exchange = std::mem::replace(slot, Exchange::Sent);
        let answered = self.start(id, &mut exchange);
        self.finish(kind, id, exchange, answered, replies);
    }

    /// Ends an exchange with its answer, or keeps its state until there is one.
    fn finish(
        &mut self,
        kind: Kind,
        id: ExchangeId,
        exchange: Exchange,
        answered: Option<Response>,
        replies: &mut Replies<'_, '_, Exchange>,
    ) {
        if let Some(response) = answered {
            if kind != Kind::Look {
                self.finished.push(id.connection());
            }
            let _gone = replies.answer(id, response);
        } else if let Some(slot) = replies.exchange(id) {
            *slot = exchange;
        }
    }

    /// The controller is gone: nobody waits for it any longer.
    fn refuse_all(&mut self, replies: &mut Replies<'_, '_, Exchange>) -> bool {
        self.closed = true;
        self.end.wake();
        let error = Error::from(BlockError::Closed);
        let unsent = self.unsent.drain(..).map(|(kind, id)| (id, kind != Kind::Look));
        let hungry = self.hungry.drain(..).map(|Hungry { id, begun }| (id, begun));
        let waiting: Vec<_> = hungry.chain(unsent).collect();
        for (id, begun) in &waiting {
            drop(replies.answer(*id, answer::failed(&error).close()));
            self.end_turn(*id, *begun);
        }
        !waiting.is_empty()
    }
}
