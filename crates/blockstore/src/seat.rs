//! Seats: what the calls of an embedded store run on, a worker, its parker and an aligned buffer each.
//!
//! Made as needed, at most as many as the configuration says, and kept. A seat that nobody sits on has nothing in flight:
//! nobody would take its answers in.

use crate::{BlockError, BlockStore, BlockWorker, Digest, Done, Extent, Get, Outcome, Polled, Put, Ticket};
use quintet_core::{AlignedBuffer, Error, Parker, Result, SizeClass};
use std::{sync::PoisonError, time::Duration};

#[derive(Default)]
pub(crate) struct Seats {
    pub(crate) free: Vec<Seat>,
    pub(crate) made: usize,
    pub(crate) closed: bool,
}

/// What one call needs.
pub(crate) struct Seat {
    pub(crate) worker: BlockWorker,
    parker: Parker,
    pub(crate) buffer: AlignedBuffer,
    done: Vec<Done>,
}

impl BlockStore {
    /// Runs a call on a seat while fewer than `seats` are taken; waits for that otherwise.
    pub(crate) fn with_seat<T>(&self, seats: usize, call: impl FnOnce(&mut Seat) -> Result<T>) -> Result<T> {
        let mut taken = Taken {
            seat: Some(self.take_seat(seats)?),
            store: self,
        };
        match taken.seat.as_mut() {
            Some(seat) => call(seat),
            None => Err(BlockError::Closed.into()),
        }
    }

    fn take_seat(&self, limit: usize) -> Result<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if seats.closed {
                return Err(BlockError::Closed.into());
            }
            if seats.made - seats.free.len() < limit {
                if let Some(seat) = seats.free.pop() {
                    return Ok(seat);
                }
                let seat = self.new_seat()?;
                seats.made += 1;
                return Ok(seat);
            }
            seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn new_seat(&self) -> Result<Seat> {
        let parker = Parker::new();
        let worker = self.connect(parker.doorbell())?;
        let buffer = AlignedBuffer::zeroed(SizeClass::LARGEST.size_bytes() as usize);
        Ok(Seat {
            worker,
            parker,
            buffer,
            done: Vec::new(),
        })
    }
}

/// A seat on loan: it goes back also when the call panics.
struct Taken<'a> {
    seat: Option<Seat>,
    store: &'a BlockStore,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat.come_to_rest();
        }
        let mut seats = self.store.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.free.extend(self.seat.take());
        drop(seats);
        // `close` waits for all, a call for one.
        self.store.freed.notify_all();
    }
}

impl Seat {
    pub(crate) fn begin_put(&mut self, len_bytes: u64) -> Result<Put> {
        loop {
            if let Some(put) = self.worker.begin_put(len_bytes)? {
                return Ok(put);
            }
            self.poll_until(|polled| polled.retry_puts)?;
        }
    }

    pub(crate) fn find(&mut self, digest: &Digest) -> Result<Option<Extent>> {
        let ticket = match self.worker.get(digest)? {
            Get::Found(extent) => return Ok(Some(extent)),
            Get::Missing => return Ok(None),
            Get::Asked(ticket) => ticket,
        };
        match self.wait(ticket) {
            Ok(Outcome::Found(extent)) => Ok(Some(extent)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == quintet_core::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn wait(&mut self, ticket: Ticket) -> Result<Outcome> {
        loop {
            if let Some(at) = self.done.iter().position(|done| done.ticket == ticket) {
                return self.done.swap_remove(at).outcome;
            }
            self.poll_until(|polled| polled.done > 0)?;
        }
    }

    /// Does nothing for so long.
    pub(crate) fn rest(&self, pause: Duration) {
        if !pause.is_zero() {
            self.parker.wait(|| false, Some(pause));
        }
    }

    /// Waits for blocks that were asked for and have not come: on a seat that nobody sits on, nobody would take them in.
    fn come_to_rest(&mut self) {
        while self.worker.in_flight() > 0 {
            let before = self.worker.in_flight();
            let Self {
                worker, parker, done, ..
            } = self;
            parker.wait(|| worker.poll(done).is_err() || worker.in_flight() < before, None);
            if worker.poll(done).is_err() {
                break;
            }
        }
        self.done.clear();
    }

    /// Polls, sleeping in between, until `enough`.
    fn poll_until(&mut self, enough: impl Fn(Polled) -> bool) -> Result<()> {
        let Self {
            worker, parker, done, ..
        } = self;
        let mut found = Ok(false);
        loop {
            let ready = parker.wait(
                || {
                    found = worker.poll(done).map(&enough).map_err(Error::from);
                    !matches!(found, Ok(false))
                },
                None,
            );
            if ready {
                return found.map(|_| ());
            }
        }
    }
}
