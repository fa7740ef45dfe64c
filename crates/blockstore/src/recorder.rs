//! [`Recorder`]: a handler that writes down what its inner handler is asked and answers.

use crate::{
    BlockMessage, BlockReply,
    codec::{self, Step},
};
use quintet_core::{Budget, Commit, Deadline, MessageHandler, Result, Seq};

/// Wraps a handler of [`BlockMessage`]s and records every step, up to a limit in bytes; see [`codec`].
pub struct Recorder<H> {
    inner: H,
    trace: Vec<u8>,
    max_bytes: usize,
    complete: bool,
}

impl<H> Recorder<H> {
    /// Records what `inner` does until the trace has `max_bytes`.
    pub fn new(inner: H, max_bytes: usize) -> Self {
        Self {
            inner,
            trace: Vec::new(),
            max_bytes,
            complete: true,
        }
    }

    /// The trace so far; `None` when it reached its limit and steps are missing.
    #[must_use]
    pub fn trace(&self) -> Option<&[u8]> {
        self.complete.then_some(&self.trace)
    }

    fn note(&mut self, step: &Step) {
        let before = self.trace.len();
        self.complete = self.complete
            && codec::append(&mut self.trace, step).is_ok()
            && self.trace.len() <= self.max_bytes;
        if !self.complete {
            self.trace.truncate(before);
        }
    }
}

impl<H: MessageHandler<BlockMessage>> MessageHandler<BlockMessage> for Recorder<H> {
    fn handle(&mut self, message: BlockMessage) -> Result<BlockReply> {
        let asked = message.clone();
        let result = self.inner.handle(message);
        let reply = result.clone().map_err(|error| error.kind());
        self.note(&Step::Handled {
            message: asked,
            reply,
        });
        result
    }

    fn commit(&mut self) -> Result<Commit> {
        let committed = self.inner.commit()?;
        self.note(&Step::Committed);
        Ok(committed)
    }

    fn durable(&mut self) -> Result<Seq> {
        self.inner.durable()
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        self.inner.maintain(budget)
    }
}
