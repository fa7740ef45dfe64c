//! The clauses of [`Controller`], for one that serves [`Keyed`] and is ticked by the suite.

mod commit;
mod serve;
mod shutdown;

pub use commit::*;
pub use serve::*;
pub use shutdown::*;

use super::claim::{Claim, Clause, Support, not_overridden};
use crate::{Completion, Controller, Keyed, KeyedReply, RequestId, Tick, Worker};
use std::num::NonZeroUsize;

/// Calls a macro with the names of all clauses of this suite.
#[doc(hidden)]
#[macro_export]
macro_rules! controller_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            idle_is_idle at_most_the_budget_per_tick replies_go_to_the_asking_port no_port_starves
            a_gone_worker_harms_nobody a_failed_commit_fails_its_batch no_write_is_answered_before_its_commit
            a_read_never_sees_uncommitted shutdown_answers_what_is_queued shutdown_closes_every_port
            shutdown_is_idempotent
        }
    };
}

/// One `#[test]` per clause of [`Controller`](crate::Controller): `controller_suite!(name_of_module, factory)`, where the
/// factory makes a fresh [`Subject`](crate::conformance::controller::Subject).
#[macro_export]
macro_rules! controller_suite {
    ($name:ident, $make:expr) => {
        $crate::controller_clauses! { clause_tests_of_factory (controller, $name, $make) }
    };
}

/// Which optional hooks a [`Subject`] has.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// [`Subject::fail_next_commit`].
    pub fail_next_commit: Support,
    /// [`Subject::hold_flushes`] and [`Subject::settle`].
    pub hold_flushes: Support,
}

impl Capabilities {
    /// Every hook is there.
    pub const ALL: Self = Self {
        fail_next_commit: Support::Provided,
        hold_flushes: Support::Provided,
    };
}

/// A controller that nothing but the suite ticks, and the workers that connect to it.
pub trait Subject {
    /// The controller.
    type Controller: Controller;
    /// One of its workers, with [`CREDITS`] credits.
    type Worker: Worker<Keyed>;

    /// Which of the hooks below are overridden.
    fn capabilities(&self) -> Capabilities;

    /// The controller under examination.
    fn controller(&mut self) -> &mut Self::Controller;

    /// Connects a worker with [`CREDITS`] credits; `None` when the controller refuses.
    fn connect(&mut self) -> Option<Self::Worker>;

    /// Makes the next commit of the handler fail with [`ErrorKind::Full`](crate::ErrorKind::Full).
    fn fail_next_commit(&mut self) {
        not_overridden("fail_next_commit");
    }

    /// From now until [`settle`](Self::settle), what is committed does not become durable.
    fn hold_flushes(&mut self) {
        not_overridden("hold_flushes");
    }

    /// Lets flushes happen, and returns when everything committed is durable.
    fn settle(&mut self) {
        not_overridden("settle");
    }
}

/// How many credits each worker of this suite has.
pub const CREDITS: NonZeroUsize = NonZeroUsize::new(8).expect("a positive constant");

/// All clauses, for a runner of one's own.
#[must_use]
pub fn clauses<S: Subject + 'static>(make: impl Fn() -> S + Clone + 'static) -> Vec<Clause> {
    controller_clauses! { clause_list_of_factory (controller, make) }
}

fn put(key: &str, value: &str) -> Keyed {
    Keyed::Put {
        key: key.into(),
        value: value.into(),
    }
}

fn get(key: &str) -> Keyed {
    Keyed::Get { key: key.into() }
}

/// How many ticks a quiet controller may need for one thing: to adopt, serve, commit and release.
const TICKS: usize = 8;

struct Exam<S: Subject> {
    claim: Claim,
    subject: S,
}

impl<S: Subject> Exam<S> {
    fn new(clause: &'static str, make: impl Fn() -> S) -> Self {
        Self {
            claim: Claim(clause),
            subject: make(),
        }
    }

    fn connect(&mut self) -> S::Worker {
        match self.subject.connect() {
            Some(worker) => worker,
            None => self
                .claim
                .fail(format_args!("a running controller refused a connection")),
        }
    }

    fn tick(&mut self, budget: NonZeroUsize) -> Tick {
        let ticked = self.subject.controller().tick(budget);
        self.claim.ok("tick", ticked)
    }

    fn ticks(&mut self) {
        for _ in 0..TICKS {
            let _done = self.tick(CREDITS);
        }
    }

    fn shutdown(&mut self) {
        let down = self.subject.controller().shutdown();
        self.claim.ok("shutdown", down);
    }

    fn send(&self, worker: &mut S::Worker, message: Keyed) -> RequestId {
        let id = self.claim.ok("submit", worker.submit(message));
        self.claim.ok("flush", worker.flush());
        id
    }

    /// What has arrived so far.
    fn reap(&self, worker: &mut S::Worker) -> Vec<Completion<Keyed>> {
        let mut done = Vec::new();
        self.claim.ok("reap", worker.reap(&mut done, CREDITS.get()));
        done
    }

    #[track_caller]
    fn answered(&self, worker: &mut S::Worker, id: RequestId) -> crate::Result<KeyedReply> {
        let mut done = self.reap(worker);
        self.claim.same("completions", 1, done.len());
        match done.pop() {
            Some(done) if done.id == id => done.result,
            other => self
                .claim
                .fail(format_args!("request {id} was answered by {other:?}")),
        }
    }

    /// The committed value of `key`, asked by a worker of its own.
    fn value(&mut self, key: &str) -> Option<Vec<u8>> {
        let mut worker = self.connect();
        let id = self.send(&mut worker, get(key));
        self.ticks();
        let answer = self.answered(&mut worker, id);
        match self.claim.ok("get", answer) {
            KeyedReply::Value(value) => value,
            other => self.claim.fail(format_args!("a get was answered by {other:?}")),
        }
    }
}
