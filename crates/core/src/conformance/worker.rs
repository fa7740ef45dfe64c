//! The clauses of [`Worker`], for one worker of a [`Keyed`] service that the suite drives step by step.

use super::claim::{Claim, Clause, Support, not_overridden};
use crate::{Closed, Completion, ErrorKind, Keyed, PushError, RequestId, Worker};
use std::collections::BTreeSet;

/// Calls a macro with the names of all clauses of this suite.
#[doc(hidden)]
#[macro_export]
macro_rules! worker_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            ids_are_unique a_refused_submit_returns_the_message each_request_is_answered_once in_flight_is_exact
            reap_appends_up_to_max flushing_nothing_is_fine a_gone_peer_resolves_the_rest
            a_gone_peer_refuses_submits
        }
    };
}

/// One `#[test]` per clause of [`Worker`](crate::Worker): `worker_suite!(name_of_module, factory)`, where the factory
/// makes a fresh [`Subject`](crate::conformance::worker::Subject).
#[macro_export]
macro_rules! worker_suite {
    ($name:ident, $make:expr) => {
        $crate::worker_clauses! { clause_tests_of_factory (worker, $name, $make) }
    };
}

/// A worker with whatever answers it.
pub trait Subject {
    /// The worker.
    type Worker: Worker<Keyed>;

    /// The worker under examination.
    fn worker(&mut self) -> &mut Self::Worker;

    /// How many requests it may have in flight: 3 to 1000.
    fn credits(&self) -> usize;

    /// Gives the other side an opportunity to answer what was flushed. It need not answer all at once.
    fn turn(&mut self);

    /// Whether [`hang_up`](Self::hang_up) is overridden.
    fn can_hang_up(&self) -> Support;

    /// The other side goes away at once and answers nothing more.
    fn hang_up(&mut self) {
        not_overridden("hang_up");
    }
}

/// All clauses, for a runner of one's own.
#[must_use]
pub fn clauses<S: Subject + 'static>(make: impl Fn() -> S + Clone + 'static) -> Vec<Clause> {
    worker_clauses! { clause_list_of_factory (worker, make) }
}

fn put(n: usize) -> Keyed {
    Keyed::Put {
        key: n.to_string().into_bytes(),
        value: b"v".to_vec(),
    }
}

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
    fn submit(&mut self, n: usize) -> RequestId {
        let submitted = self.subject.worker().submit(put(n));
        self.claim.ok("submit with a credit left", submitted)
    }

    fn submit_all(&mut self) -> Vec<RequestId> {
        (0..self.subject.credits()).map(|n| self.submit(n)).collect()
    }

    fn flush(&mut self) {
        let flushed = self.subject.worker().flush();
        self.claim.ok("flush", flushed);
    }

    /// Reaps until `count` more completions are in `out`.
    fn reap(&mut self, count: usize, out: &mut Vec<Completion<Keyed>>) {
        let until = out.len() + count;
        self.claim.within("the answers", || {
            let reaped = self.subject.worker().reap(out, until - out.len());
            if self.claim.ok("reap", reaped) == 0 {
                self.subject.turn();
            }
            (out.len() >= until).then_some(())
        });
    }
}

fn ids(done: &[Completion<Keyed>]) -> Vec<RequestId> {
    let mut ids: Vec<_> = done.iter().map(|done| done.id).collect();
    ids.sort_unstable();
    ids
}

/// No id is used twice, also when its credit is.
pub fn ids_are_unique<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::ids_are_unique", make);
    let mut seen = BTreeSet::new();
    for _round in 0..5 {
        let ids = exam.submit_all();
        for id in &ids {
            exam.claim
                .holds(seen.insert(*id), format_args!("id {id} was given out twice"));
        }
        exam.flush();
        exam.reap(ids.len(), &mut Vec::new());
    }
}

/// Without a credit a submit hands its message back, and the requests in flight are not disturbed.
pub fn a_refused_submit_returns_the_message<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::a_refused_submit_returns_the_message", make);
    let mut submitted = exam.submit_all();
    for round in 0..3 {
        let refused = exam.subject.worker().submit(put(7_000 + round));
        exam.claim.same(
            "submit without a credit",
            Err(PushError::Full(put(7_000 + round))),
            refused,
        );
        exam.flush();
    }
    let mut done = Vec::new();
    exam.reap(submitted.len(), &mut done);
    submitted.sort_unstable();
    exam.claim.same("ids answered", submitted, ids(&done));
    exam.submit(1);
}

/// Every request is answered, once, with its own id.
pub fn each_request_is_answered_once<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::each_request_is_answered_once", make);
    let (mut submitted, mut done) = (Vec::new(), Vec::new());
    for round in 0..10 {
        for n in 0..(round % exam.subject.credits()) + 1 {
            submitted.push(exam.submit(n));
            if n % 2 == 0 {
                exam.flush();
            }
        }
        exam.flush();
        let missing = submitted.len() - done.len();
        exam.reap(missing, &mut done);
        for _ in 0..3 {
            exam.subject.turn();
        }
        let extra = exam.subject.worker().reap(&mut done, 100);
        exam.claim.same("completions that nobody asked for", Ok(0), extra);
    }
    submitted.sort_unstable();
    exam.claim.same("ids answered", submitted, ids(&done));
    for Completion { id, result } in done {
        exam.claim.ok(&format!("the reply to {id}"), result);
    }
}

/// `in_flight` counts what was submitted and not yet reaped, whatever was flushed or answered.
pub fn in_flight_is_exact<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::in_flight_is_exact", make);
    let claim = exam.claim;
    let credits = exam.subject.credits();
    claim.same("in flight at first", 0, exam.subject.worker().in_flight());
    for n in 0..credits {
        exam.submit(n);
        claim.same(
            "in flight after a submit",
            n + 1,
            exam.subject.worker().in_flight(),
        );
    }
    drop(exam.subject.worker().submit(put(0)));
    claim.same(
        "in flight after a refusal",
        credits,
        exam.subject.worker().in_flight(),
    );
    exam.flush();
    claim.same(
        "in flight after a flush",
        credits,
        exam.subject.worker().in_flight(),
    );
    for left in (0..credits).rev() {
        exam.reap(1, &mut Vec::new());
        claim.same("in flight after a reap", left, exam.subject.worker().in_flight());
    }
}

/// Reaping appends to what the caller has, and no more than asked for.
pub fn reap_appends_up_to_max<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::reap_appends_up_to_max", make);
    let claim = exam.claim;
    let submitted = exam.submit_all();
    exam.flush();
    let mut done = Vec::new();
    exam.reap(1, &mut done);
    let first = done[0].id;
    claim.same("a reap of none", Ok(0), exam.subject.worker().reap(&mut done, 0));
    claim.same("completions in `out` after it", 1, done.len());
    while done.len() < submitted.len() {
        let before = done.len();
        let reaped = exam.subject.worker().reap(&mut done, 2);
        let reaped = claim.ok("reap", reaped);
        claim.holds(reaped <= 2, format_args!("a reap of at most 2 answered {reaped}"));
        claim.same("completions in `out`", before + reaped, done.len());
        claim.same("what was in `out` first", first, done[0].id);
        if reaped == 0 {
            exam.reap(1, &mut done);
        }
    }
}

/// A flush of nothing succeeds and brings no completion.
pub fn flushing_nothing_is_fine<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::flushing_nothing_is_fine", make);
    exam.flush();
    exam.subject.turn();
    let reaped = exam.subject.worker().reap(&mut Vec::new(), 10);
    exam.claim.same("reap with nothing in flight", Ok(0), reaped);
    exam.submit(1);
    exam.flush();
    exam.flush();
    exam.reap(1, &mut Vec::new());
    exam.claim.same("in flight", 0, exam.subject.worker().in_flight());
}

/// When the other side is gone, each request in flight is answered once: by its reply if there was one, else `Closed`.
pub fn a_gone_peer_resolves_the_rest<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::a_gone_peer_resolves_the_rest", make);
    if !exam.claim.can(exam.subject.can_hang_up()) {
        return;
    }
    let mut submitted = vec![exam.submit(0)];
    exam.flush();
    exam.subject.turn();
    submitted.extend([exam.submit(1), exam.submit(2)]);
    exam.subject.hang_up();
    let flushed = exam.subject.worker().flush();
    exam.claim.same("flush to nobody", Err(Closed), flushed);
    let mut done = Vec::new();
    for _ in 0..submitted.len() {
        let reaped = exam.subject.worker().reap(&mut done, 1);
        exam.claim.same("a reap of one", Ok(1), reaped);
    }
    exam.claim.same("in flight", 0, exam.subject.worker().in_flight());
    exam.claim.same("ids answered", submitted, ids(&done));
    for Completion { id, result } in &done {
        let closed = result
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Closed);
        exam.claim.holds(
            result.is_ok() && id.0 == done[0].id.0 || closed,
            format_args!("{id} was answered by {result:?}"),
        );
    }
    let reaped = exam.subject.worker().reap(&mut done, 10);
    exam.claim.same("reap with nothing left", Err(Closed), reaped);
}

/// Once it is known that the other side is gone, a submit hands its message back as closed.
pub fn a_gone_peer_refuses_submits<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("worker::a_gone_peer_refuses_submits", make);
    if !exam.claim.can(exam.subject.can_hang_up()) {
        return;
    }
    exam.subject.hang_up();
    let reaped = exam.subject.worker().reap(&mut Vec::new(), 1);
    exam.claim
        .same("reap with nothing in flight", Err(Closed), reaped);
    for n in 0..3 {
        let refused = exam.subject.worker().submit(put(n));
        exam.claim
            .same("submit to nobody", Err(PushError::Closed(put(n))), refused);
    }
    exam.claim.same("in flight", 0, exam.subject.worker().in_flight());
    let flushed = exam.subject.worker().flush();
    exam.claim.same("flush to nobody", Err(Closed), flushed);
}
