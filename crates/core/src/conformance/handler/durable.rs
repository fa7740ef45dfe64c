//! The clauses of durable handlers: what a crash keeps and what it takes.

use super::{Exam, Subject};
use crate::MessageHandler;

/// What was committed and flushed is there after a crash, and can be built upon.
pub fn committed_survives_reopen<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::committed_survives_reopen", make);
    if !exam.claim.can(exam.subject.capabilities().reopen) {
        return;
    }
    for n in 0..20 {
        exam.write(n);
        if n % 3 == 2 {
            exam.commit_durably();
        }
        if n % 6 == 5 {
            exam.subject.reopen();
        }
    }
    exam.commit_durably();
    exam.subject.reopen();
    for n in 0..20 {
        exam.shows("after a crash", n, true);
    }
}

/// What was not committed is gone after a crash.
pub fn uncommitted_does_not_survive<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::uncommitted_does_not_survive", make);
    if !exam.claim.can(exam.subject.capabilities().reopen) {
        return;
    }
    exam.write(1);
    exam.commit_durably();
    exam.write(2);
    exam.subject.reopen();
    exam.shows("after a crash", 1, true);
    exam.shows("after a crash", 2, false);
    exam.commit_durably();
    exam.shows("after a crash and an empty commit", 2, false);
    exam.write(2);
    exam.commit_durably();
    exam.shows("written again", 2, true);
}

/// What `durable` has reached is there after a crash, also when later commits were still pending.
pub fn what_is_durable_survives<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::what_is_durable_survives", make);
    let can = exam.subject.capabilities();
    if !exam.claim.can(can.reopen) || !exam.claim.can(can.hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    exam.write(1);
    exam.commit();
    exam.write(2);
    exam.commit();
    exam.subject.settle();
    exam.write(3);
    exam.commit_durably();
    exam.subject.hold_flushes();
    exam.write(4);
    exam.commit();
    exam.subject.reopen();
    for n in 1..4 {
        exam.shows("after a crash", n, true);
    }
}

/// What a failed commit undid does not come back after a crash.
pub fn a_failed_commit_does_not_survive<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("handler::a_failed_commit_does_not_survive", make);
    let can = exam.subject.capabilities();
    if !exam.claim.can(can.reopen) || !exam.claim.can(can.fail_next_commit) {
        return;
    }
    exam.write(1);
    exam.commit_durably();
    exam.write(2);
    exam.subject.fail_next_commit();
    let failed = exam.subject.handler().commit();
    exam.claim.holds(
        failed.is_err(),
        format_args!("the injected failure was not reported"),
    );
    exam.write(3);
    exam.commit_durably();
    exam.subject.reopen();
    exam.shows("after a crash", 1, true);
    exam.shows("after a crash", 2, false);
    exam.shows("after a crash", 3, true);
}
