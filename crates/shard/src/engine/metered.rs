//! A handler that counts what passes: batch sizes and busy time, read twice a batch and never per message.

use super::stats::Gauges;
use quintet_core::{
    Budget, Clock, Commit, Completion, Deadline, Message, MessageHandler, Request, Result, Seq,
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

pub(super) struct Metered<H> {
    handler: H,
    gauges: Arc<Gauges>,
    clock: Arc<dyn Clock>,
}

impl<H> Metered<H> {
    pub(super) fn new(handler: H, gauges: Arc<Gauges>, clock: Arc<dyn Clock>) -> Self {
        Self {
            handler,
            gauges,
            clock,
        }
    }

    fn timed<R>(&mut self, work: impl FnOnce(&mut H) -> R) -> R {
        let from = self.clock.now();
        let result = work(&mut self.handler);
        let took = self.clock.now().saturating_duration_since(from);
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.gauges.handled.0.busy_ns.fetch_add(took_ns, Relaxed);
        result
    }

    fn count(&self, messages: usize) {
        let handled = &self.gauges.handled.0;
        handled.messages.fetch_add(messages as u64, Relaxed);
        handled.batches.fetch_add(1, Relaxed);
        handled.largest.fetch_max(messages as u64, Relaxed);
    }
}

impl<M: Message, H: MessageHandler<M>> MessageHandler<M> for Metered<H> {
    fn handle(&mut self, message: M) -> Result<M::Reply> {
        self.count(1);
        self.timed(|handler| handler.handle(message))
    }

    fn commit(&mut self) -> Result<Commit> {
        self.timed(|handler| handler.commit())
    }

    fn durable(&mut self) -> Result<Seq> {
        self.handler.durable()
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        self.timed(|handler| handler.maintain(budget))
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<M>>, out: &mut Vec<Completion<M>>) {
        self.count(batch.len());
        self.timed(|handler| handler.handle_batch(batch, out));
    }
}
