//! One port's connection to one shard, across the shard's restarts: ids that never repeat, and every request answered.

use super::{Inner, Ring, ShardId, stats::Gauges};
use crate::ShardError;
use quintet_core::{
    Closed, Completion, Doorbell, ErrorKind, Message, PushError, QueueWorker, RequestId, Worker,
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed},
    },
    time::Instant,
};

pub(super) struct Link<M: Message> {
    shard: ShardId,
    connection: Option<Connection<M>>,
    /// The run of the shard that `connection` was made to, or that was last found closed.
    run: u64,
    /// Added to a connection's ids, so that they go on where the one before ended.
    base: u64,
    /// Above every id of this connection.
    issued: u64,
    scratch: Vec<Completion<M>>,
}

struct Connection<M: Message> {
    worker: QueueWorker<M>,
    gauges: Arc<Gauges>,
    staged: u64,
    /// The request whose round trip is being measured.
    probe: Option<(RequestId, Instant)>,
}

impl<M: Message> Link<M> {
    pub(super) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            connection: None,
            run: 0,
            base: 0,
            issued: 0,
            scratch: Vec::new(),
        }
    }

    /// Connects if the shard runs and this link has not yet met its present run; answers whether the shard runs. The
    /// common case is one load.
    pub(super) fn refresh(
        &mut self,
        inner: &Inner<M>,
        credits: NonZeroUsize,
        bell: &Doorbell,
        out: &mut Vec<Completion<M>>,
    ) -> bool {
        let run = inner.runs[self.shard.0].load(Acquire);
        if run == 0 || run == self.run {
            return run != 0;
        }
        let found = inner.table.with(|table| {
            let seat = &table.seats[self.shard.0];
            let connector = seat.connector.clone()?;
            Some((connector, Arc::clone(&seat.gauges), seat.run))
        });
        let Some((connector, gauges, run)) = found else {
            return false;
        };
        // What is still in flight to the run before is answered first; its ids are never used again.
        while self.reap(inner, out, usize::MAX).is_ok() && self.in_flight() > 0 {}
        self.run = run;
        self.base += self.issued;
        self.issued = 0;
        let connected = connector.connect::<Ring>(credits, bell.clone());
        self.connection = connected.ok().map(|worker| Connection {
            worker,
            gauges,
            staged: 0,
            probe: None,
        });
        self.connection.is_some()
    }

    pub(super) fn submit(&mut self, inner: &Inner<M>, message: M) -> Result<u64, PushError<M>> {
        let Some(connection) = &mut self.connection else {
            return Err(PushError::Closed(message));
        };
        let id = connection.worker.submit(message)?;
        connection.staged += 1;
        if connection.probe.is_none() {
            connection.probe = Some((id, inner.clock.now()));
        }
        self.issued = self.issued.max(id.0 + 1);
        Ok(self.base + id.0)
    }

    pub(super) fn flush(&mut self) -> Result<(), Closed> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if connection.staged == 0 {
            return Ok(());
        }
        let staged = std::mem::take(&mut connection.staged);
        connection.gauges.submitted.0.fetch_add(staged, Relaxed);
        connection.worker.flush()
    }

    /// Appends completions with this link's ids, not yet the port's.
    pub(super) fn reap(
        &mut self,
        inner: &Inner<M>,
        out: &mut Vec<Completion<M>>,
        max: usize,
    ) -> Result<usize, Closed> {
        let connection = self.connection.as_mut().ok_or(Closed)?;
        let reaped = connection.worker.reap(&mut self.scratch, max);
        for Completion { id, mut result } in self.scratch.drain(..) {
            if let Some((probed, since)) = connection.probe
                && probed == id
            {
                connection.probe = None;
                let took = inner.clock.now().saturating_duration_since(since);
                let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                connection.gauges.round_trips.record(took_ns);
            }
            if let Err(error) = &result
                && error.kind() == ErrorKind::Closed
                && error.context().is_empty()
            {
                result = Err(ShardError::Lost { shard: self.shard }.into());
            }
            out.push(Completion {
                id: RequestId(self.base + id.0),
                result,
            });
        }
        if reaped.is_err() {
            self.connection = None;
        }
        reaped
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.connection
            .as_ref()
            .map_or(0, |connection| connection.worker.in_flight())
    }
}
