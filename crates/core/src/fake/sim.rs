//! [`Sim`]: workers, queues and a controller on one thread, stepped in an order that a seed chooses.
//!
//! Every step is one of: a worker submits, flushes or reaps; the controller ticks; the log completes or fails a flush; a
//! commit is told to fail; a worker goes away. Credits are few, so that submits find none. The same seed gives the same run, so a
//! failure is repeated by its number. What happened is kept, for a test to judge.

use super::{FakeHandler, FakeQueue, ManualClock};
use crate::{
    BatchConfig, BatchController, Completion, Controller, Doorbell, Error, ErrorKind, Keyed, PushError,
    QueueWorker, RequestId, Result, Worker,
};
use std::{num::NonZeroUsize, sync::Arc, time::Duration};

/// How likely each injected trouble is: once in so many steps; 0 = never.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    /// The next commit fails and is undone.
    pub failed_commit: usize,
    /// Commits become pending, or stop being so.
    pub delayed_commit: usize,
    /// A worker goes away with what it has in flight, and another comes.
    pub closed: usize,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            failed_commit: 20,
            delayed_commit: 15,
            closed: 60,
        }
    }
}

/// What became of one request.
#[derive(Debug)]
pub struct Outcome {
    /// Which worker asked; a worker that comes for one that went has a number of its own.
    pub worker: usize,
    /// Under which id.
    pub id: RequestId,
    /// What was asked.
    pub message: Keyed,
    /// Every completion that came for it. More than one is a fault, and none too, unless the worker went away.
    pub completions: Vec<Result<crate::KeyedReply>>,
    /// The worker went away first.
    pub abandoned: bool,
    /// What a crash would have left under the message's key when the first completion was reaped.
    pub durable_then: Option<Vec<u8>>,
}

struct Seat {
    worker: QueueWorker<Keyed>,
    number: usize,
}

/// A deterministic simulation.
///
/// ```
/// use quintet_core::{Keyed, fake::{Sim, Troubles}};
///
/// let mut sim = Sim::new(7, Troubles::default());
/// sim.run(200, |random| Keyed::Add { key: vec![random as u8 % 3], delta: 1 });
/// let (outcomes, _store) = sim.finish();
/// assert!(outcomes.iter().all(|outcome| outcome.abandoned || outcome.completions.len() == 1));
/// ```
pub struct Sim {
    state: u64,
    troubles: Troubles,
    clock: ManualClock,
    controller: BatchController<Keyed, FakeHandler>,
    seats: Vec<Seat>,
    workers: usize,
    outcomes: Vec<Outcome>,
    refused: usize,
    delaying: bool,
}

const WORKERS: usize = 3;
const CREDITS: NonZeroUsize = NonZeroUsize::new(4).expect("a positive constant");

impl Sim {
    /// Three workers with four credits each, and one controller whose commits are at least a millisecond apart in half
    /// of the seeds.
    #[must_use]
    pub fn new(seed: u64, troubles: Troubles) -> Self {
        let clock = ManualClock::new();
        let config = BatchConfig {
            commit_spacing: Duration::from_millis(seed % 2),
            ..BatchConfig::default()
        };
        let controller = BatchController::new(
            FakeHandler::new(),
            Arc::new(clock.clone()),
            Doorbell::silent(),
            config,
        );
        let mut sim = Self {
            state: seed,
            troubles,
            clock,
            controller,
            seats: Vec::new(),
            workers: 0,
            outcomes: Vec::new(),
            refused: 0,
            delaying: false,
        };
        sim.fill_seats();
        sim
    }

    /// How many submits found no credit.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Takes `steps` random steps. `message` makes what is asked, from a random number.
    pub fn run(&mut self, steps: usize, message: impl Fn(u64) -> Keyed) {
        for _ in 0..steps {
            self.trouble();
            let seat = self.below(self.seats.len());
            match self.below(10) {
                0..4 => {
                    let message = message(self.random());
                    self.submit(seat, message);
                }
                4 | 5 => {
                    let _closed = self.seats[seat].worker.flush();
                }
                6 => self.reap(seat),
                7 => self.clock.advance(Duration::from_micros(300)),
                8 if self.below(2) == 0 => {
                    self.controller.handler_mut().complete_flush();
                }
                _ => self.tick(),
            }
        }
    }

    /// Flushes and shuts down, reaps everything, and returns what became of each request and the store as it opens after
    /// a crash right then.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Outcome>, FakeHandler) {
        for seat in &mut self.seats {
            let _closed = seat.worker.flush();
        }
        // From now on the log completes a flush whenever it is asked.
        self.controller.handler_mut().flush_after(1);
        let _told = self.controller.shutdown();
        for seat in 0..self.seats.len() {
            while self.seats[seat].worker.in_flight() > 0 {
                self.reap(seat);
            }
        }
        let store = std::mem::take(self.controller.handler_mut()).reopen();
        (self.outcomes, store)
    }

    fn random(&mut self) -> u64 {
        // splitmix64, as in the conformance suites, which need not be compiled in.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random() % bound as u64) as usize
    }

    fn happens(&mut self, once_in: usize) -> bool {
        once_in > 0 && self.below(once_in) == 0
    }

    fn trouble(&mut self) {
        if self.happens(self.troubles.failed_commit) {
            let error = Error::new(ErrorKind::Full, "injected: no space");
            self.controller.handler_mut().fail_next_commit(error);
        }
        if self.happens(self.troubles.delayed_commit) {
            self.delaying = !self.delaying;
            let delaying = self.delaying;
            self.controller.handler_mut().delay_commits(delaying);
        }
        if self.happens(self.troubles.closed) {
            let gone = self.below(self.seats.len());
            let Seat { number, .. } = self.seats.swap_remove(gone);
            for outcome in self
                .outcomes
                .iter_mut()
                .filter(|outcome| outcome.worker == number)
            {
                outcome.abandoned |= outcome.completions.is_empty();
            }
            self.fill_seats();
        }
    }

    fn fill_seats(&mut self) {
        let connector = self.controller.connector();
        while self.seats.len() < WORKERS {
            let Ok(worker) = connector.connect::<FakeQueue>(CREDITS, Doorbell::silent()) else {
                return;
            };
            let number = self.workers;
            self.workers += 1;
            self.seats.push(Seat { worker, number });
        }
    }

    fn submit(&mut self, seat: usize, message: Keyed) {
        let Seat { worker, number } = &mut self.seats[seat];
        match worker.submit(message.clone()) {
            Ok(id) => self.outcomes.push(Outcome {
                worker: *number,
                id,
                message,
                completions: Vec::new(),
                abandoned: false,
                durable_then: None,
            }),
            Err(PushError::Full(_) | PushError::Closed(_)) => self.refused += 1,
        }
    }

    fn tick(&mut self) {
        let budget = NonZeroUsize::MIN.saturating_add(self.below(6));
        let _tick = self.controller.tick(budget);
    }

    fn reap(&mut self, seat: usize) {
        let mut done = Vec::new();
        let max = 1 + self.below(CREDITS.get());
        let _closed = self.seats[seat].worker.reap(&mut done, max);
        let number = self.seats[seat].number;
        for Completion { id, result } in done {
            let handler = self.controller.handler();
            let asked = |outcome: &&mut Outcome| outcome.worker == number && outcome.id == id;
            if let Some(outcome) = self.outcomes.iter_mut().find(asked) {
                if outcome.completions.is_empty() {
                    let durable = handler.durable_value(outcome.message.key());
                    outcome.durable_then = durable.map(<[u8]>::to_vec);
                }
                outcome.completions.push(result);
            }
        }
    }
}
