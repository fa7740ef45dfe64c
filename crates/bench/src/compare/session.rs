//! One client's connection to a subject: a [`Worker`] of [`Keyed`], and how its thread waits for it.
//!
//! This is the one function through which every subject is asked, ours and rivals alike.

use quintet_core::{
    Closed, Completion, Keyed, KeyedReply, Parker, PushError, RequestId, Result as CoreResult, Worker,
};
use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

/// How many requests one connection may have on the way: more than the longest run of keys.
pub(crate) const CREDITS: NonZeroUsize = NonZeroUsize::new(128).expect("a positive constant");

/// A connection for one thread.
pub(crate) struct Session {
    worker: Box<dyn Worker<Keyed> + Send>,
    /// What is rung when replies wait; without one the worker's `reap` itself is the wait.
    parker: Option<Parker>,
    done: Vec<Completion<Keyed>>,
    /// How much longer than it takes everything shall take.
    slow_percent: u32,
}

impl Session {
    /// Over a worker that answers on the caller's thread.
    pub(crate) fn inline(worker: impl Worker<Keyed> + Send + 'static) -> Self {
        Self::build(Box::new(worker), None)
    }

    /// Over a worker whose replies come from another thread, which rings `parker`'s bell.
    pub(crate) fn parked(worker: impl Worker<Keyed> + Send + 'static, parker: Parker) -> Self {
        Self::build(Box::new(worker), Some(parker))
    }

    fn build(worker: Box<dyn Worker<Keyed> + Send>, parker: Option<Parker>) -> Self {
        Self {
            worker,
            parker,
            done: Vec::with_capacity(CREDITS.get()),
            slow_percent: 0,
        }
    }

    /// Makes every request take so many percent longer: to show that a regression is found.
    pub(super) fn slowed(mut self, percent: u32) -> Self {
        self.slow_percent = percent;
        self
    }

    /// Sends all of `messages` at once, at most [`CREDITS`], and gives each reply to `each`, in any order, with the
    /// request's place among the messages. Returns when all are answered.
    ///
    /// # Errors
    /// The first error that a request was answered with; when the subject is gone.
    pub(super) fn ask(
        &mut self,
        messages: impl IntoIterator<Item = Keyed>,
        mut each: impl FnMut(usize, KeyedReply),
    ) -> anyhow::Result<()> {
        let begun = (self.slow_percent > 0).then(Instant::now);
        let mut first = None;
        let (mut sent, mut ids) = (0_usize, Vec::new());
        for message in messages {
            let id = self.worker.submit(message).map_err(|refused| match refused {
                PushError::Full(_) => anyhow::anyhow!("no credit for request {sent} of a batch"),
                PushError::Closed(_) => anyhow::anyhow!("the subject is gone"),
            })?;
            // A batch of one needs no list.
            match first {
                None => first = Some(id),
                Some(_) => ids.push(id),
            }
            sent += 1;
        }
        self.worker
            .flush()
            .map_err(|Closed| anyhow::anyhow!("the subject is gone"))?;
        let mut answered = 0;
        while answered < sent {
            self.wait()?;
            for Completion { id, result } in self.done.drain(..) {
                let place = if first == Some(id) {
                    Some(0)
                } else {
                    ids.iter().position(|other| *other == id).map(|at| at + 1)
                };
                let place = place.ok_or_else(|| anyhow::anyhow!("an answer to {id}, which was not asked"))?;
                each(place, result?);
                answered += 1;
            }
        }
        if let Some(begun) = begun {
            let until = begun.elapsed() * self.slow_percent / 100;
            let from = Instant::now();
            while from.elapsed() < until {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let (worker, done) = (&mut self.worker, &mut self.done);
        let mut looked = worker.reap(done, CREDITS.get());
        while looked == Ok(0) {
            match &self.parker {
                Some(parker) => {
                    parker.wait(
                        || {
                            looked = worker.reap(done, CREDITS.get());
                            looked != Ok(0)
                        },
                        Some(Duration::from_secs(30)),
                    );
                }
                None => {
                    thread::yield_now();
                    looked = worker.reap(done, CREDITS.get());
                }
            }
        }
        looked
            .map(drop)
            .map_err(|Closed| anyhow::anyhow!("the subject is gone"))
    }

    /// One request and its reply.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) fn call(&mut self, message: Keyed) -> anyhow::Result<KeyedReply> {
        let mut reply = None;
        self.ask([message], |_, answer| reply = Some(answer))?;
        reply.ok_or_else(|| anyhow::anyhow!("a request without a reply"))
    }
}

/// For the conformance suite, which brings its own way of waiting.
impl Worker<Keyed> for Session {
    fn submit(&mut self, message: Keyed) -> Result<RequestId, PushError<Keyed>> {
        self.worker.submit(message)
    }

    fn flush(&mut self) -> Result<(), Closed> {
        self.worker.flush()
    }

    fn reap(&mut self, out: &mut Vec<Completion<Keyed>>, max: usize) -> Result<usize, Closed> {
        self.worker.reap(out, max)
    }

    fn in_flight(&self) -> usize {
        self.worker.in_flight()
    }
}

/// Reads on the caller's own thread, beside the one writer that all else goes to: the shape of an engine with one writer
/// and many readers.
pub(crate) struct Beside<R, W> {
    read: R,
    writer: W,
    /// Reads that were submitted; answered at the flush.
    staged: Vec<(RequestId, Vec<u8>)>,
    done: Vec<Completion<Keyed>>,
    issued: u64,
}

/// Sets the ids of reads apart from the writer's.
const READ_MARK: u64 = 1 << 63;

impl<R, W> Beside<R, W>
where
    R: FnMut(&[u8]) -> CoreResult<Option<Vec<u8>>>,
    W: Worker<Keyed>,
{
    /// Reads by `read`, everything else by `writer`.
    pub(crate) fn new(read: R, writer: W) -> Self {
        Self {
            read,
            writer,
            staged: Vec::new(),
            done: Vec::new(),
            issued: 0,
        }
    }
}

impl<R, W> Worker<Keyed> for Beside<R, W>
where
    R: FnMut(&[u8]) -> CoreResult<Option<Vec<u8>>>,
    W: Worker<Keyed>,
{
    fn submit(&mut self, message: Keyed) -> Result<RequestId, PushError<Keyed>> {
        match message {
            Keyed::Get { .. } if self.in_flight() >= CREDITS.get() => Err(PushError::Full(message)),
            Keyed::Get { key } => {
                let id = RequestId(READ_MARK | self.issued);
                self.issued += 1;
                self.staged.push((id, key));
                Ok(id)
            }
            write => self.writer.submit(write),
        }
    }

    fn flush(&mut self) -> Result<(), Closed> {
        for (id, key) in self.staged.drain(..) {
            let result = (self.read)(&key).map(KeyedReply::Value);
            self.done.push(Completion { id, result });
        }
        self.writer.flush()
    }

    fn reap(&mut self, out: &mut Vec<Completion<Keyed>>, max: usize) -> Result<usize, Closed> {
        let count = max.min(self.done.len());
        out.extend(self.done.drain(..count));
        if count == max {
            return Ok(count);
        }
        match self.writer.reap(out, max - count) {
            Ok(more) => Ok(count + more),
            Err(Closed) if count > 0 => Ok(count),
            Err(Closed) => Err(Closed),
        }
    }

    fn in_flight(&self) -> usize {
        self.staged.len() + self.done.len() + self.writer.in_flight()
    }
}
