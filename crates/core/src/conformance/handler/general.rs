//! The clauses that hold for every handler: completions, errors, rollback, isolation, positions.

use super::{Exam, MessageOf, Subject};
use crate::{
    Budget, Commit, Completion, Message, MessageHandler, Request, RequestId, Seq,
    conformance::{probe::Probe, random::Random},
};
use std::{collections::BTreeMap, num::NonZeroUsize};

/// A batch is emptied, and each of its ids is answered once; completions that were in `out` stay.
pub fn one_completion_per_id<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::one_completion_per_id", make);
    let claim = exam.claim;
    let mut random = Random::new(1);
    let mut out = Vec::new();
    let mut expected = Vec::new();
    for size in [0, 1, 2, 30] {
        let mut batch: Vec<_> = (0..size)
            .map(|at| Request {
                id: RequestId(1_000 * size - at * 7),
                message: S::Probe::arbitrary(random.bits()),
            })
            .collect();
        expected.extend(batch.iter().map(|request| request.id));
        exam.subject.handler().handle_batch(&mut batch, &mut out);
        claim.same("requests left in the batch", 0, batch.len());
        let mut answered: Vec<_> = out.iter().map(|done| done.id).collect();
        answered.sort_unstable();
        expected.sort_unstable();
        claim.same("ids answered", &expected, &answered);
        exam.commit();
    }
}

/// A refused message changes nothing, neither before nor after the commit, and the handler goes on.
pub fn an_error_leaves_no_trace<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::an_error_leaves_no_trace", make);
    exam.write(0);
    exam.commit_durably();
    let before = exam.read(0).ok();
    for round in 1..4 {
        let refused = exam.subject.handler().handle(S::Probe::refused());
        exam.claim.holds(
            refused.is_err(),
            format_args!("the probe's refused write was taken: {refused:?}"),
        );
        exam.write(round);
        exam.commit_durably();
        let after = exam.read(0).ok();
        exam.claim.same("the reply to a read of thing 0", &before, &after);
        exam.shows("after a refusal and a commit", round, true);
    }
}

/// A failed commit undoes all since the last one, and only that; the same can then be written again.
pub fn a_failed_commit_undoes<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::a_failed_commit_undoes", make);
    if !exam.claim.can(exam.subject.capabilities().fail_next_commit) {
        return;
    }
    exam.write(1);
    exam.commit_durably();
    exam.write(2);
    exam.write(3);
    exam.subject.fail_next_commit();
    let failed = exam.subject.handler().commit();
    exam.claim.holds(
        failed.is_err(),
        format_args!("the injected failure was not reported"),
    );
    for (again, n) in [("after the failed commit", 4), ("after the next commit", 5)] {
        exam.shows(again, 1, true);
        exam.shows(again, 2, false);
        exam.shows(again, 3, false);
        exam.write(n);
        exam.commit_durably();
    }
    exam.write(2);
    exam.commit_durably();
    exam.shows("written again", 2, true);
    exam.shows("not written again", 3, false);
    exam.shows("written meanwhile", 4, true);
}

/// A failed commit does not touch what an earlier commit handed to the log.
pub fn a_failed_commit_spares_what_is_pending<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::a_failed_commit_spares_what_is_pending", make);
    let can = exam.subject.capabilities();
    if !exam.claim.can(can.fail_next_commit) || !exam.claim.can(can.hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    exam.write(1);
    exam.commit();
    exam.write(2);
    exam.subject.fail_next_commit();
    let failed = exam.subject.handler().commit();
    exam.claim.holds(
        failed.is_err(),
        format_args!("the injected failure was not reported"),
    );
    exam.subject.settle();
    exam.shows("after the flush", 1, true);
    exam.shows("after the flush", 2, false);
}

/// `handle_batch` answers and leaves behind what a loop over the batch, stably sorted by rank, would. Random batches.
pub fn handle_batch_equals_the_loop<S: Subject>(make: impl Fn() -> S) {
    for seed in 0..24 {
        let mut batched = Exam::new("handler::handle_batch_equals_the_loop", &make);
        let mut looped = Exam::new("handler::handle_batch_equals_the_loop", &make);
        let claim = batched.claim;
        let (mut left, mut right) = (Random::new(seed), Random::new(seed));
        for size in [1, 5, 40, 17] {
            let requests = |random: &mut Random| -> Vec<_> {
                (0..size)
                    .map(|id| Request {
                        id: RequestId(id),
                        message: S::Probe::arbitrary(random.bits()),
                    })
                    .collect()
            };
            let mut done = Vec::new();
            let handler = batched.subject.handler();
            handler.handle_batch(&mut requests(&mut left), &mut done);
            let mut sorted = requests(&mut right);
            sorted.sort_by_key(|request| request.message.rank());
            let handler = looped.subject.handler();
            let one_by_one: Vec<_> = sorted
                .into_iter()
                .map(|Request { id, message }| Completion {
                    id,
                    result: handler.handle(message),
                })
                .collect();
            claim.same(
                &format!("answers, seed {seed}, batch of {size}"),
                by_id::<S>(one_by_one),
                by_id::<S>(done),
            );
            batched.commit_durably();
            looped.commit_durably();
            for n in 0..8 {
                let what = format!("thing {n} after the batch, seed {seed}, batch of {size}");
                claim.same(&what, looped.read(n).ok(), batched.read(n).ok());
            }
        }
    }
}

type Answers<S> = BTreeMap<RequestId, Result<<MessageOf<S> as Message>::Reply, crate::ErrorKind>>;

fn by_id<S: Subject>(done: Vec<Completion<MessageOf<S>>>) -> Answers<S> {
    done.into_iter()
        .map(|done| (done.id, done.result.map_err(|error| error.kind())))
        .collect()
}

/// A read answers what it would if the writes since the last commit had not been.
pub fn a_read_never_sees_uncommitted<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::a_read_never_sees_uncommitted", make);
    exam.write(1);
    exam.shows("before the commit", 1, false);
    exam.commit_durably();
    exam.shows("after the commit", 1, true);
    let mut batch = vec![
        Request {
            id: RequestId(1),
            message: S::Probe::write(2),
        },
        Request {
            id: RequestId(2),
            message: S::Probe::read(2),
        },
    ];
    let mut done = Vec::new();
    exam.subject.handler().handle_batch(&mut batch, &mut done);
    for Completion { id, result } in &done {
        exam.claim.holds(
            *id != RequestId(2) || !S::Probe::is_written(2, result),
            format_args!("a read saw the write that is in its own batch"),
        );
    }
    exam.shows("before the second commit", 2, false);
}

/// Nor does it see what is committed and not yet durable.
pub fn a_read_never_sees_pending<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::a_read_never_sees_pending", make);
    if !exam.claim.can(exam.subject.capabilities().hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    exam.write(1);
    let held = exam.commit();
    exam.claim.holds(
        matches!(held, Commit::Pending(_)),
        format_args!("with flushes held, a commit answered {held:?}"),
    );
    exam.shows("before the flush", 1, false);
    exam.write(2);
    exam.shows("before the flush", 1, false);
    exam.subject.settle();
    exam.shows("after the flush", 1, true);
    exam.shows("before its commit", 2, false);
}

/// A commit with nothing of its own still answers `Pending` while an earlier one is.
pub fn nothing_new_is_pending_behind_pending<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::nothing_new_is_pending_behind_pending", make);
    if !exam.claim.can(exam.subject.capabilities().hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    exam.write(1);
    let first = exam.commit();
    let second = exam.commit();
    match (first, second) {
        (Commit::Pending(first), Commit::Pending(second)) => exam.claim.holds(
            second >= first,
            format_args!("the second position, {second}, is before the first, {first}"),
        ),
        other => exam.claim.fail(format_args!(
            "an empty commit behind a pending one: (first, second) = {other:?}"
        )),
    }
    exam.subject.settle();
    let settled = exam.commit();
    exam.claim
        .same("a commit with nothing outstanding", Commit::Done, settled);
}

/// `durable` stays below a pending position until the flush, and has reached it afterwards.
pub fn durable_reaches_what_is_pending<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::durable_reaches_what_is_pending", make);
    if !exam.claim.can(exam.subject.capabilities().hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    let mut last = Seq::ZERO;
    for n in 1..4 {
        exam.write(n);
        let Commit::Pending(seq) = exam.commit() else {
            exam.claim
                .fail(format_args!("with flushes held, a commit answered `Done`"));
        };
        exam.claim
            .holds(seq > last, format_args!("position {seq} follows {last}"));
        last = seq;
        let durable = exam.subject.handler().durable();
        let durable = exam.claim.ok("durable", durable);
        exam.claim.holds(
            durable < seq,
            format_args!("{seq} is pending, and `durable` answered {durable}"),
        );
    }
    exam.subject.settle();
    let durable = exam.subject.handler().durable();
    let durable = exam.claim.ok("durable", durable);
    exam.claim.holds(
        durable >= last,
        format_args!("after the flush of {last}, `durable` answered {durable}"),
    );
}

/// Background work is invisible: not to reads, not to the batch in progress.
pub fn maintenance_keeps_the_state<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::maintenance_keeps_the_state", make);
    let budget = Budget {
        items: NonZeroUsize::MIN,
    };
    exam.write(1);
    exam.commit_durably();
    exam.write(2);
    for _ in 0..4 {
        let _next = exam.subject.handler().maintain(budget);
        exam.shows("after maintenance", 1, true);
        exam.shows("after maintenance, before its commit", 2, false);
    }
    exam.commit_durably();
    let _next = exam.subject.handler().maintain(budget);
    exam.shows("after the commit", 1, true);
    exam.shows("after the commit", 2, true);
}
