//! [`Caller`]: a port for a thread that waits for its answers: one call, many at once, or one to every shard.

use super::{ClientPort, Router, ShardId};
use crate::ShardError;
use quintet_core::{
    Clock, Completion, Deadline, Error, Message, Parker, PushError, RequestId, Result, Worker,
};
use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

/// How many completions one look takes at most.
const REAP_MAX: usize = 1024;

/// A port that blocks its thread until the answers are there. No lock, no allocation per call but the map of what is
/// outstanding.
pub struct Caller<M: Message, R> {
    port: ClientPort<M, R>,
    parker: Parker,
    clock: Arc<dyn Clock>,
    timeout: Option<Duration>,
    waiting: HashMap<RequestId, usize, foldhash::fast::RandomState>,
    reaped: Vec<Completion<M>>,
}

impl<M: Message, R: Router<M>> Caller<M, R> {
    pub(super) fn new(port: ClientPort<M, R>, parker: Parker, clock: Arc<dyn Clock>) -> Self {
        Self {
            port,
            parker,
            clock,
            timeout: None,
            waiting: HashMap::default(),
            reaped: Vec::new(),
        }
    }

    /// From now on a call that has no answer after so long is [`ShardError::TimedOut`]; its credit comes back when its
    /// shard answers after all. Default: wait for as long as the shard runs.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> NonZeroUsize {
        self.port.shards()
    }

    /// Asks the shard that the router chooses.
    ///
    /// # Errors
    /// What the handler answers; a typed [`ShardError`] when the shard does not run or ended meanwhile.
    pub fn call(&mut self, message: M) -> Result<M::Reply> {
        let shard = self.port.route(&message);
        self.call_shard(shard, message)
    }

    /// Asks one shard.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_shard(&mut self, shard: ShardId, message: M) -> Result<M::Reply> {
        let mut answers = self.call_each([(shard, message)]);
        answers.pop().unwrap_or_else(|| Err(ShardError::Stopped.into()))
    }

    /// Asks every shard, `message` making each its own question, and gathers the answers in the order of the shards.
    /// Shards that do not run answer with an error; the others are asked all the same.
    pub fn broadcast(&mut self, mut message: impl FnMut(ShardId) -> M) -> Vec<Result<M::Reply>> {
        let shards = (0..self.shards().get()).map(ShardId);
        self.call_each(shards.map(|shard| (shard, message(shard))))
    }

    /// Asks many things at once, and gathers the answers in the order of the questions. When a shard's credits are
    /// spent it waits for answers before it goes on, so there may be any number of questions.
    pub fn call_each(&mut self, questions: impl IntoIterator<Item = (ShardId, M)>) -> Vec<Result<M::Reply>> {
        // Answers to calls that timed out earlier must not be taken for ours: only ids in `waiting` count.
        self.waiting.clear();
        let due = self.timeout.map(|timeout| Deadline::after(&*self.clock, timeout));
        let mut answers = Vec::new();
        for (shard, mut message) in questions {
            answers.push(None);
            let index = answers.len() - 1;
            loop {
                match self.port.submit_to(shard, message) {
                    Ok(id) => {
                        self.waiting.insert(id, index);
                        break;
                    }
                    Err(PushError::Closed(_)) => {
                        answers[index] = Some(Err(self.port.why_down(shard)));
                        break;
                    }
                    Err(PushError::Full(back)) => message = back,
                }
                if !self.wait(&mut answers, due) {
                    answers[index] = Some(Err(self.timed_out(shard)));
                    break;
                }
            }
        }
        while !self.waiting.is_empty() && self.wait(&mut answers, due) {}
        for (id, index) in std::mem::take(&mut self.waiting) {
            answers[index] = Some(Err(self.timed_out(self.port.shard_of_request(id))));
        }
        let unanswered = || Err(ShardError::Stopped.into());
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(unanswered))
            .collect()
    }

    /// Sends what is staged and takes at least one answer; `false` when the time is over first.
    fn wait(&mut self, answers: &mut [Option<Result<M::Reply>>], due: Option<Deadline>) -> bool {
        // What cannot be sent is answered by `reap`.
        let _answered = self.port.flush();
        loop {
            let left = due.map(|due| due.0.saturating_duration_since(self.clock.now()));
            let (port, reaped) = (&mut self.port, &mut self.reaped);
            // Reaping is the look: only it finds out that a shard is gone.
            let mut looked = Ok(0);
            self.parker.wait(
                || {
                    looked = port.reap(reaped, REAP_MAX);
                    looked != Ok(0)
                },
                left,
            );
            if !self.reaped.is_empty() {
                break;
            }
            if looked.is_err() || due.is_some_and(|due| due.is_due(&*self.clock)) {
                return false;
            }
        }
        for Completion { id, result } in self.reaped.drain(..) {
            if let Some(index) = self.waiting.remove(&id) {
                answers[index] = Some(result);
            }
        }
        true
    }

    fn timed_out(&self, shard: ShardId) -> Error {
        let timeout_ms = self.timeout.unwrap_or_default().as_millis();
        ShardError::TimedOut { shard, timeout_ms }.into()
    }
}
