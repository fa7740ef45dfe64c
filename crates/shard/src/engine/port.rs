//! [`ClientPort`]: a [`Worker`] over all shards. It routes, spends credits per shard, and connects again by itself.

use super::{Inner, Router, ShardId, link::Link};
use quintet_core::{Closed, Completion, Doorbell, Error, Message, PushError, RequestId, Worker};
use std::{collections::VecDeque, num::NonZeroUsize, sync::Arc};

/// One client's way to every shard. Never blocks. Give it to [`Client::over`](quintet_core::Client::over) for async code.
///
/// A shard that ended answers its requests in flight with [`ShardError::Lost`](crate::ShardError::Lost); until it is
/// restarted, submitting to it is refused with [`PushError::Closed`], and [`why_down`](Self::why_down) says why. Requests
/// to other shards are not touched.
pub struct ClientPort<M: Message, R> {
    inner: Arc<Inner<M>>,
    links: Vec<Link<M>>,
    router: R,
    credits: NonZeroUsize,
    bell: Doorbell,
    /// The link that is reaped first next time.
    first: usize,
    /// Answers that were found while connecting again; at most one connection's credits each time.
    found: VecDeque<Completion<M>>,
    scratch: Vec<Completion<M>>,
}

impl<M: Message, R> ClientPort<M, R> {
    pub(super) fn new(inner: Arc<Inner<M>>, credits: NonZeroUsize, router: R, bell: Doorbell) -> Self {
        let links = (0..inner.config.shards.get()).map(|shard| Link::new(ShardId(shard)));
        let mut port = Self {
            links: links.collect(),
            inner,
            router,
            credits,
            bell,
            first: 0,
            found: VecDeque::new(),
            scratch: Vec::new(),
        };
        for shard in 0..port.links.len() {
            port.refresh(shard);
        }
        port
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> NonZeroUsize {
        self.inner.config.shards
    }

    /// Stages a message for a shard of the caller's choice.
    ///
    /// # Errors
    /// [`PushError::Full`] = no credit left for that shard: reap first. [`PushError::Closed`] = it does not run, or there
    /// is no such shard; see [`why_down`](Self::why_down). The message comes back in both.
    pub fn submit_to(&mut self, shard: ShardId, message: M) -> Result<RequestId, PushError<M>> {
        if shard.0 >= self.links.len() {
            return Err(PushError::Closed(message));
        }
        if !self.refresh(shard.0) {
            return Err(PushError::Closed(message));
        }
        let id = self.links[shard.0].submit(&self.inner, message)?;
        Ok(self.outer_id(id, shard.0))
    }

    /// The shard that a request went to.
    #[must_use]
    pub fn shard_of_request(&self, id: RequestId) -> ShardId {
        ShardId((id.0 % self.links.len() as u64) as usize)
    }

    /// Where the router would send `message`.
    pub fn route(&mut self, message: &M) -> ShardId
    where
        R: Router<M>,
    {
        self.router.route(message, self.inner.config.shards)
    }

    /// Why a submit to this shard was refused as closed.
    #[must_use]
    pub fn why_down(&self, shard: ShardId) -> Error {
        self.inner.why_down(shard)
    }

    fn outer_id(&self, id: u64, shard: usize) -> RequestId {
        RequestId(id * self.links.len() as u64 + shard as u64)
    }

    fn refresh(&mut self, shard: usize) -> bool {
        let (inner, credits) = (&self.inner, self.credits);
        let runs = self.links[shard].refresh(inner, credits, &self.bell, &mut self.scratch);
        if !self.scratch.is_empty() {
            self.hold_back(shard);
        }
        runs
    }

    /// Keeps what was reaped out of turn.
    fn hold_back(&mut self, shard: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for Completion { id, result } in scratch.drain(..) {
            let id = self.outer_id(id.0, shard);
            self.found.push_back(Completion { id, result });
        }
        self.scratch = scratch;
    }

    /// Reaps whatever there is; answers how much, and whether any shard can still be heard.
    fn reap_links(&mut self, out: &mut Vec<Completion<M>>, max: usize) -> (usize, bool) {
        let shards = self.links.len();
        let (mut taken, mut open) = (0, false);
        for offset in 0..shards {
            let shard = (self.first + offset) % shards;
            let left = max - taken;
            let link = &mut self.links[shard];
            if left == 0 {
                open |= link.in_flight() > 0;
                continue;
            }
            if let Ok(count) = link.reap(&self.inner, &mut self.scratch, left) {
                taken += count;
                open = true;
            }
            let mut scratch = std::mem::take(&mut self.scratch);
            out.extend(scratch.drain(..).map(|Completion { id, result }| Completion {
                id: self.outer_id(id.0, shard),
                result,
            }));
            self.scratch = scratch;
        }
        self.first = (self.first + 1) % shards;
        (taken, open)
    }
}

impl<M: Message, R: Router<M>> Worker<M> for ClientPort<M, R> {
    fn submit(&mut self, message: M) -> Result<RequestId, PushError<M>> {
        let shard = self.route(&message);
        self.submit_to(shard, message)
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if !self.links.iter().any(Link::is_connected) {
            return Err(Closed);
        }
        // Every link is flushed, also behind one that is gone; what was staged there is answered by `reap`.
        self.links.iter_mut().map(Link::flush).fold(Ok(()), Result::and)
    }

    fn reap(&mut self, out: &mut Vec<Completion<M>>, max: usize) -> Result<usize, Closed> {
        let held = max.min(self.found.len());
        out.extend(self.found.drain(..held));
        let (taken, open) = self.reap_links(out, max - held);
        if held + taken == 0 && !open && max > 0 {
            return Err(Closed);
        }
        Ok(held + taken)
    }

    fn in_flight(&self) -> usize {
        self.found.len() + self.links.iter().map(Link::in_flight).sum::<usize>()
    }
}
