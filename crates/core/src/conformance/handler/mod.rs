//! The clauses of [`MessageHandler`]. A [`Subject`] is a handler with the hooks that a test of commits needs.
//!
//! `handler_suite!` holds for every handler; `durable_handler_suite!` adds what must survive a reopen.

mod durable;
mod general;

pub use durable::*;
pub use general::*;

use super::{
    claim::{Claim, Clause, Support, not_overridden},
    probe::Probe,
};
use crate::{Commit, Message, MessageHandler};

/// Calls a macro with the names of the clauses that hold for every handler.
#[doc(hidden)]
#[macro_export]
macro_rules! handler_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            one_completion_per_id an_error_leaves_no_trace a_failed_commit_undoes
            a_failed_commit_spares_what_is_pending handle_batch_equals_the_loop a_read_never_sees_uncommitted
            a_read_never_sees_pending nothing_new_is_pending_behind_pending durable_reaches_what_is_pending
            maintenance_keeps_the_state
        }
    };
}

/// Calls a macro with the names of the clauses of durable handlers.
#[doc(hidden)]
#[macro_export]
macro_rules! durable_handler_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            committed_survives_reopen uncommitted_does_not_survive what_is_durable_survives
            a_failed_commit_does_not_survive
        }
    };
}

/// One `#[test]` per clause of [`MessageHandler`](crate::MessageHandler): `handler_suite!(name_of_module, factory)`,
/// where the factory makes a fresh [`Subject`](crate::conformance::handler::Subject).
#[macro_export]
macro_rules! handler_suite {
    ($name:ident, $make:expr) => {
        $crate::handler_clauses! { clause_tests_of_factory (handler, $name, $make) }
    };
}

/// One `#[test]` per clause of a durable [`MessageHandler`](crate::MessageHandler), beside those of `handler_suite!`.
#[macro_export]
macro_rules! durable_handler_suite {
    ($name:ident, $make:expr) => {
        $crate::durable_handler_clauses! { clause_tests_of_factory (handler, $name, $make) }
    };
}

/// Which optional hooks a [`Subject`] has.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// [`Subject::fail_next_commit`].
    pub fail_next_commit: Support,
    /// [`Subject::hold_flushes`], and [`Subject::settle`] that ends the hold.
    pub hold_flushes: Support,
    /// [`Subject::reopen`].
    pub reopen: Support,
}

impl Capabilities {
    /// Every hook is there.
    pub const ALL: Self = Self {
        fail_next_commit: Support::Provided,
        hold_flushes: Support::Provided,
        reopen: Support::Provided,
    };

    /// No hook is there; the clauses that need one print `reason` and pass.
    #[must_use]
    pub const fn none(reason: &'static str) -> Self {
        Self {
            fail_next_commit: Support::Missing(reason),
            hold_flushes: Support::Missing(reason),
            reopen: Support::Missing(reason),
        }
    }
}

/// A handler under examination, alone with its store.
pub trait Subject {
    /// The messages to question it with; [`KeyedProbe`](super::KeyedProbe) for handlers of [`Keyed`](crate::Keyed).
    type Probe: Probe;
    /// The handler.
    type Handler: MessageHandler<<Self::Probe as Probe>::Message>;

    /// Which of the hooks below are overridden.
    fn capabilities(&self) -> Capabilities;

    /// The handler as it is now.
    fn handler(&mut self) -> &mut Self::Handler;

    /// Makes the next commit that has something to write fail, in a way from which the handler recovers (as when space
    /// runs out).
    fn fail_next_commit(&mut self) {
        not_overridden("fail_next_commit");
    }

    /// From now until [`settle`](Self::settle), what is committed stays [`Commit::Pending`].
    fn hold_flushes(&mut self) {
        not_overridden("hold_flushes");
    }

    /// Lets flushes happen, and returns when everything committed is durable. Nothing to do without a log.
    fn settle(&mut self) {}

    /// Crashes and opens the same store again: what is not durable yet is lost.
    fn reopen(&mut self) {
        not_overridden("reopen");
    }
}

/// The clauses of `handler_suite!`, for a runner of one's own.
#[must_use]
pub fn clauses<S: Subject + 'static>(make: impl Fn() -> S + Clone + 'static) -> Vec<Clause> {
    handler_clauses! { clause_list_of_factory (handler, make) }
}

/// The clauses of `durable_handler_suite!`, for a runner of one's own.
#[must_use]
pub fn durable_clauses<S: Subject + 'static>(make: impl Fn() -> S + Clone + 'static) -> Vec<Clause> {
    durable_handler_clauses! { clause_list_of_factory (handler, make) }
}

type MessageOf<S> = <<S as Subject>::Probe as Probe>::Message;
type ReplyOf<S> = crate::Result<<MessageOf<S> as Message>::Reply>;

/// The steps that the clauses are made of.
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

    #[track_caller]
    fn write(&mut self, n: u64) {
        let done = self.subject.handler().handle(S::Probe::write(n));
        self.claim.ok("a write", done.map(|_| ()));
    }

    fn commit(&mut self) -> Commit {
        let done = self.subject.handler().commit();
        self.claim.ok("commit", done)
    }

    /// Commits and waits until that is durable.
    fn commit_durably(&mut self) {
        self.commit();
        self.subject.settle();
    }

    fn read(&mut self, n: u64) -> ReplyOf<S> {
        self.subject.handler().handle(S::Probe::read(n))
    }

    #[track_caller]
    fn shows(&mut self, when: &str, n: u64, written: bool) {
        let reply = self.read(n);
        if S::Probe::is_written(n, &reply) != written {
            let not = if written { "" } else { "not " };
            self.claim.fail(format_args!(
                "{when}, a read of thing {n} should {not}show its write; it answered {reply:?}"
            ));
        }
    }
}
