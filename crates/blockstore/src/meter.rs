//! What the controller does, in numbers: a handler around the block handler that counts batches and times commits.
//!
//! One writer, the controller's thread; read by `GET /stats` from any worker. Costs two clock readings a commit.

use crate::histogram::Histogram;
use quintet_core::{
    Budget, Clock, Commit, Completion, Deadline, Message, MessageHandler, Request, Result, Seq,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// What the controller has done since the start. Each number is exact; together they may be a moment apart.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControllerStats {
    /// Groups of messages that were handled together.
    pub batches: u64,
    /// Messages in them.
    pub messages: u64,
    /// The most messages of one batch.
    pub largest_batch: u64,
    /// Commits, those included that had nothing to write.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Time inside commits, in nanoseconds: what it took to hand batches to the log.
    pub commit_ns: u64,
    /// Commits that waited for a flush of the log and have seen it.
    pub flushed_commits: u64,
    /// From the commit to the end of that flush, in nanoseconds, summed over them.
    pub flush_wait_ns: u64,
    /// The longest of those waits.
    pub longest_flush_wait_ns: u64,
    /// How many batches had at most 1, 2, 4 … 1024 messages; the last counts larger ones.
    pub batch_sizes: [u64; 12],
    /// How many of those waits took at most 1, 2, 4 … 1,048,576 microseconds; the last counts longer ones.
    pub flush_waits: [u64; 22],
}

/// Where the controller's thread counts.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    batches: AtomicU64,
    messages: AtomicU64,
    largest_batch: AtomicU64,
    commits: AtomicU64,
    failed_commits: AtomicU64,
    commit_ns: AtomicU64,
    flushed_commits: AtomicU64,
    flush_wait_ns: AtomicU64,
    longest_flush_wait_ns: AtomicU64,
    batch_sizes: Histogram<12>,
    flush_waits: Histogram<22>,
}

impl Meter {
    pub(crate) fn read(&self) -> ControllerStats {
        ControllerStats {
            batches: self.batches.load(Relaxed),
            messages: self.messages.load(Relaxed),
            largest_batch: self.largest_batch.load(Relaxed),
            commits: self.commits.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            commit_ns: self.commit_ns.load(Relaxed),
            flushed_commits: self.flushed_commits.load(Relaxed),
            flush_wait_ns: self.flush_wait_ns.load(Relaxed),
            longest_flush_wait_ns: self.longest_flush_wait_ns.load(Relaxed),
            batch_sizes: self.batch_sizes.read(),
            flush_waits: self.flush_waits.read(),
        }
    }
}

/// Only the controller's thread calls this, so a load and a store do.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

fn raise(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Relaxed).max(value), Relaxed);
}

/// A handler that does what the one inside does, and counts it.
pub(crate) struct Metered<H> {
    inner: H,
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    /// Commits that wait for the log, oldest first. As many as the controller lets be pending.
    pending: VecDeque<(Seq, Instant)>,
}

impl<H> Metered<H> {
    /// A handler around `inner`, and where it counts.
    pub(crate) fn new(inner: H, clock: Arc<dyn Clock>) -> (Arc<Meter>, Self) {
        let meter = Arc::<Meter>::default();
        let metered = Self {
            inner,
            meter: Arc::clone(&meter),
            clock,
            pending: VecDeque::new(),
        };
        (meter, metered)
    }

    pub(crate) fn inner(&self) -> &H {
        &self.inner
    }

    pub(crate) fn inner_mut(&mut self) -> &mut H {
        &mut self.inner
    }

    fn since(&self, start: Instant) -> u64 {
        let elapsed = self.clock.now().saturating_duration_since(start);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    fn flushed(&mut self, durable: Seq) {
        while let Some((_, start)) = self.pending.pop_front_if(|(seq, _)| *seq <= durable) {
            let waited = self.since(start);
            add(&self.meter.flushed_commits, 1);
            add(&self.meter.flush_wait_ns, waited);
            raise(&self.meter.longest_flush_wait_ns, waited);
            self.meter.flush_waits.record(waited.div_ceil(1_000));
        }
    }
}

impl<M: Message, H: MessageHandler<M>> MessageHandler<M> for Metered<H> {
    fn handle(&mut self, message: M) -> Result<M::Reply> {
        self.inner.handle(message)
    }

    fn commit(&mut self) -> Result<Commit> {
        let start = self.clock.now();
        let committed = self.inner.commit();
        add(&self.meter.commits, 1);
        add(&self.meter.commit_ns, self.since(start));
        match &committed {
            Ok(Commit::Done) => self.flushed(Seq::MAX),
            // The same sequence again is a commit with nothing of its own, which waits for the one before.
            Ok(Commit::Pending(seq)) if self.pending.back().is_none_or(|(last, _)| last < seq) => {
                self.pending.push_back((*seq, start));
            }
            Ok(Commit::Pending(_)) => {}
            Err(_) => add(&self.meter.failed_commits, 1),
        }
        committed
    }

    fn durable(&mut self) -> Result<Seq> {
        let durable = self.inner.durable();
        match &durable {
            Ok(seq) => self.flushed(*seq),
            Err(_) => self.pending.clear(),
        }
        durable
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        self.inner.maintain(budget)
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<M>>, out: &mut Vec<Completion<M>>) {
        let messages = batch.len() as u64;
        self.inner.handle_batch(batch, out);
        add(&self.meter.batches, 1);
        add(&self.meter.messages, messages);
        raise(&self.meter.largest_batch, messages);
        self.meter.batch_sizes.record(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_core::{
        Keyed, RequestId,
        fake::{FakeHandler, ManualClock},
    };
    use std::time::Duration;

    #[test]
    fn batches_are_counted_and_answers_are_the_inner_handlers() {
        let clock = Arc::new(ManualClock::new());
        let (meter, mut handler) = Metered::new(FakeHandler::new(), clock.clone() as Arc<dyn Clock>);
        let mut out = Vec::new();
        for count in [3, 1] {
            let mut batch = (0..count)
                .map(|id| Request {
                    id: RequestId(id),
                    message: Keyed::Get { key: vec![1] },
                })
                .collect();
            handler.handle_batch(&mut batch, &mut out);
        }
        assert_eq!(out.len(), 4);
        assert!(out.iter().all(|done| done.result.is_ok()));
        assert_eq!(
            MessageHandler::<Keyed>::commit(&mut handler).expect("a fake commits"),
            Commit::Done
        );
        let stats = meter.read();
        assert_eq!((stats.batches, stats.messages, stats.largest_batch), (2, 4, 3));
        assert_eq!((stats.commits, stats.failed_commits), (1, 0));
        assert_eq!(stats.batch_sizes[..4], [1, 0, 1, 0]);
    }

    #[test]
    fn the_wait_for_a_flush_is_measured_once_per_record() {
        let clock = Arc::new(ManualClock::new());
        let (meter, mut handler) = Metered::new(FakeHandler::new(), clock.clone() as Arc<dyn Clock>);
        let start = clock.now();
        handler
            .pending
            .extend([(Seq(1), start), (Seq(2), start + Duration::from_millis(1))]);
        clock.advance(Duration::from_millis(3));
        handler.flushed(Seq(1));
        handler.flushed(Seq(1));
        let stats = meter.read();
        assert_eq!((stats.flushed_commits, stats.flush_wait_ns), (1, 3_000_000));
        handler.flushed(Seq::MAX);
        let stats = meter.read();
        assert_eq!((stats.flushed_commits, stats.flush_wait_ns), (2, 5_000_000));
        assert_eq!(stats.longest_flush_wait_ns, 3_000_000);
        assert_eq!(stats.flush_waits[11..13], [1, 1], "2 ms and 3 ms");
    }
}
