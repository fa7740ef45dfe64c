//! [`FakeHandler`]: a map that answers [`Keyed`], with commits that a test can fail, delay and count.
//!
//! It keeps the whole contract of a durable handler: reads see durable state only, a failed commit undoes, a pending one
//! becomes durable when the test says so, and [`FakeHandler::reopen`] is the same store after a crash.

use crate::{Commit, Error, ErrorKind, Keyed, KeyedReply, Message, MessageHandler, Result, Seq};
use std::collections::{BTreeMap, VecDeque};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// An in-memory [`MessageHandler`] of [`Keyed`].
#[derive(Debug, Default)]
pub struct FakeHandler {
    /// What a crash leaves, and what reads see.
    durable: Map,
    /// Committed states that wait for [`complete_flush`](Self::complete_flush), oldest first.
    pending: VecDeque<(Seq, Map)>,
    /// The state with everything handled so far.
    working: Map,
    last: Seq,
    dirty: bool,
    fail_next_commit: Option<Error>,
    poisoned: Option<Error>,
    delay_commits: bool,
    /// After how many questions of `durable` a flush completes by itself; 0 = never.
    flush_after: usize,
    questions: usize,
    handled: usize,
    commits: usize,
}

impl FakeHandler {
    /// An empty map whose commits succeed at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next commit fails with `error`, once, and undoes what it held. After [`ErrorKind::Poisoned`] nothing is
    /// written any more.
    pub fn fail_next_commit(&mut self, error: Error) {
        self.fail_next_commit = Some(error);
    }

    /// From now on commits are [`Commit::Pending`] until [`complete_flush`](Self::complete_flush), or no longer.
    pub fn delay_commits(&mut self, delay: bool) {
        self.delay_commits = delay;
    }

    /// From now on commits are [`Commit::Pending`] and complete by themselves, the oldest at each `questions`th call of
    /// [`durable`](MessageHandler::durable); 0 = no longer.
    pub fn flush_after(&mut self, questions: usize) {
        self.delay_commits = questions > 0;
        self.flush_after = questions;
        self.questions = 0;
    }

    /// The log reaches the oldest pending commit. Returns whether there was one.
    pub fn complete_flush(&mut self) -> bool {
        match self.pending.pop_front() {
            Some((_, state)) => {
                self.durable = state;
                true
            }
            None => false,
        }
    }

    /// The flush in progress fails: what is pending has an unknown outcome (here: lost), and nothing is written any more.
    pub fn fail_flush(&mut self) {
        self.poisoned = Some(Error::new(ErrorKind::Poisoned, "a flush failed"));
        self.pending.clear();
        self.working = self.durable.clone();
    }

    /// The store as it opens after a crash: durable state only, knobs reset.
    #[must_use]
    pub fn reopen(self) -> Self {
        let working = self.durable.clone();
        Self {
            durable: self.durable,
            working,
            ..Self::default()
        }
    }

    /// What a crash now would leave under `key`.
    #[must_use]
    pub fn durable_value(&self, key: &[u8]) -> Option<&[u8]> {
        self.durable.get(key).map(Vec::as_slice)
    }

    /// How many messages were handled.
    #[must_use]
    pub fn handled(&self) -> usize {
        self.handled
    }

    /// How many commits were asked for.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.commits
    }

    fn apply(&mut self, message: Keyed) -> Result<KeyedReply> {
        if message.rank() > 0
            && let Some(error) = &self.poisoned
        {
            return Err(error.clone());
        }
        let reply = match message {
            Keyed::Get { key } => return Ok(KeyedReply::Value(self.durable.get(&key).cloned())),
            Keyed::Put { key, value } => {
                self.working.insert(key, value);
                KeyedReply::Stored
            }
            Keyed::Add { key, delta } => {
                let sum = Keyed::add_to(self.working.get(&key).map(Vec::as_slice), delta)?;
                self.working.insert(key, sum.to_le_bytes().to_vec());
                KeyedReply::Sum(sum)
            }
            Keyed::Delete { key } => KeyedReply::Deleted(self.working.remove(&key).is_some()),
        };
        self.dirty = true;
        Ok(reply)
    }
}

impl MessageHandler<Keyed> for FakeHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        self.handled += 1;
        self.apply(message)
    }

    fn commit(&mut self) -> Result<Commit> {
        self.commits += 1;
        if let Some(error) = &self.poisoned {
            return Err(error.clone());
        }
        if let Some(error) = self.fail_next_commit.take() {
            self.working = self
                .pending
                .back()
                .map_or_else(|| self.durable.clone(), |(_, state)| state.clone());
            self.dirty = false;
            if error.kind() == ErrorKind::Poisoned {
                self.poisoned = Some(error.clone());
            }
            return Err(error);
        }
        if std::mem::take(&mut self.dirty) {
            if self.delay_commits || !self.pending.is_empty() {
                self.last = self.last.next();
                self.pending.push_back((self.last, self.working.clone()));
            } else {
                self.durable = self.working.clone();
            }
        }
        Ok(self
            .pending
            .back()
            .map_or(Commit::Done, |(seq, _)| Commit::Pending(*seq)))
    }

    fn durable(&mut self) -> Result<Seq> {
        self.questions += 1;
        if self.flush_after > 0 && self.questions.is_multiple_of(self.flush_after) && self.poisoned.is_none()
        {
            self.complete_flush();
        }
        match &self.poisoned {
            Some(error) => Err(error.clone()),
            None => Ok(self
                .pending
                .front()
                .map_or(Seq::MAX, |(oldest, _)| Seq(oldest.0 - 1))),
        }
    }
}
