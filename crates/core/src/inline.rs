//! [`Inline`]: a [`Worker`] without a queue and without a thread; the handler runs where it is asked.
//!
//! For the shared-memory models, whose clonable handles are the handlers, and for tests. A flush handles what is staged,
//! reads first, and commits once, so a batch costs one commit here too.

use crate::{
    Closed, Completion, Message, MessageHandler, PushError, Request, RequestId, Worker, pipeline::Pipeline,
};
use std::{collections::VecDeque, num::NonZeroUsize};

/// Runs a [`MessageHandler`] on the caller's thread.
///
/// ```
/// use quintet_core::{fake::FakeHandler, Inline, Keyed, KeyedReply, Worker};
/// use std::num::NonZeroUsize;
///
/// let mut worker = Inline::new(FakeHandler::new(), NonZeroUsize::new(4).unwrap());
/// worker.submit(Keyed::Add { key: b"hits".to_vec(), delta: 2 }).unwrap();
/// worker.flush().unwrap();
/// let mut done = Vec::new();
/// worker.reap(&mut done, 4).unwrap();
/// assert_eq!(done[0].result.as_ref().unwrap(), &KeyedReply::Sum(2));
/// ```
pub struct Inline<M: Message, H: MessageHandler<M>> {
    pipeline: Pipeline<M, H>,
    credits: usize,
    issued: u64,
    reads: Vec<Request<M>>,
    writes: Vec<Request<M>>,
    /// Requests staged whose replies need not wait.
    volatile: Vec<RequestId>,
    ready: Vec<Completion<M>>,
    done: VecDeque<Completion<M>>,
    in_flight: usize,
}

impl<M: Message, H: MessageHandler<M>> Inline<M, H> {
    /// A worker over `handler` with at most `credits` requests unreaped.
    #[must_use]
    pub fn new(handler: H, credits: NonZeroUsize) -> Self {
        Self {
            pipeline: Pipeline::new(handler),
            credits: credits.get(),
            issued: 0,
            reads: Vec::new(),
            writes: Vec::new(),
            volatile: Vec::new(),
            ready: Vec::new(),
            done: VecDeque::new(),
            in_flight: 0,
        }
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.pipeline.handler
    }

    /// The handler, for what is not a message.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.pipeline.handler
    }
}

impl<M: Message, H: MessageHandler<M>> Worker<M> for Inline<M, H> {
    fn submit(&mut self, message: M) -> Result<RequestId, PushError<M>> {
        if self.in_flight == self.credits {
            return Err(PushError::Full(message));
        }
        let id = RequestId(self.issued);
        self.issued += 1;
        self.in_flight += 1;
        if message.rank() == 0 {
            self.reads.push(Request { id, message });
        } else {
            if !message.awaits_commit() {
                self.volatile.push(id);
            }
            self.writes.push(Request { id, message });
        }
        Ok(id)
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if !self.reads.is_empty() {
            self.pipeline.read(&mut self.reads, &mut self.ready);
        }
        if !self.writes.is_empty() {
            let volatile = &self.volatile;
            self.pipeline.write(&mut self.writes, &mut self.ready, |done| {
                !volatile.contains(&done.id)
            });
            self.volatile.clear();
            // Those who asked are told by their completions.
            let _told = self.pipeline.commit(&mut self.ready);
        }
        self.done.extend(self.ready.drain(..));
        Ok(())
    }

    fn reap(&mut self, out: &mut Vec<Completion<M>>, max: usize) -> Result<usize, Closed> {
        if self.done.is_empty() && self.pipeline.is_pending() {
            let _told = self.pipeline.settle(&mut self.ready);
            self.done.extend(self.ready.drain(..));
        }
        let count = max.min(self.done.len());
        out.extend(self.done.drain(..count));
        self.in_flight -= count;
        Ok(count)
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}
