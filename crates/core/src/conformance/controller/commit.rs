//! What may leave before a commit, and what a failed one means.

use super::{Exam, Subject, get, put};
use crate::{ErrorKind, KeyedReply, Worker};

/// A commit that fails is the answer to every write in it, and none of them happened; the next batch is not affected.
pub fn a_failed_commit_fails_its_batch<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::a_failed_commit_fails_its_batch", make);
    if !exam.claim.can(exam.subject.capabilities().fail_next_commit) {
        return;
    }
    let mut workers = [exam.connect(), exam.connect()];
    for worker in &mut workers {
        exam.send(worker, put("lost", "v"));
    }
    exam.subject.fail_next_commit();
    exam.ticks();
    for worker in &mut workers {
        let done = exam.reap(worker);
        exam.claim.same("completions", 1, done.len());
        let kind = done[0].result.as_ref().map_err(crate::Error::kind);
        exam.claim.same(
            "the answer to a write in the failed commit",
            Err(ErrorKind::Full),
            kind,
        );
    }
    let lost = exam.value("lost");
    exam.claim.same("what the failed commit held", None, lost);
    let id = exam.send(&mut workers[0], put("kept", "v"));
    exam.ticks();
    let answer = exam.answered(&mut workers[0], id);
    exam.claim
        .same("the next write", Some(KeyedReply::Stored), answer.ok());
    let kept = exam.value("kept");
    exam.claim
        .same("what the next commit held", Some(b"v".to_vec()), kept);
}

/// While a commit is not durable, its writes are not answered, and reads go on.
pub fn no_write_is_answered_before_its_commit<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::no_write_is_answered_before_its_commit", make);
    if !exam.claim.can(exam.subject.capabilities().hold_flushes) {
        return;
    }
    let (mut writer, mut reader) = (exam.connect(), exam.connect());
    exam.subject.hold_flushes();
    for n in 1..=3 {
        exam.send(&mut writer, put("k", "v"));
        let read = exam.send(&mut reader, get("other"));
        exam.ticks();
        exam.claim.same(
            "answers to writes before the flush",
            0,
            exam.reap(&mut writer).len(),
        );
        exam.claim.same("in flight", n, writer.in_flight());
        let answer = exam.answered(&mut reader, read);
        exam.claim
            .same("a read meanwhile", Some(KeyedReply::Value(None)), answer.ok());
    }
    exam.subject.settle();
    exam.ticks();
    exam.claim
        .same("answers after the flush", 3, exam.reap(&mut writer).len());
}

/// A read sees neither a write of its own batch nor one whose commit is not durable.
pub fn a_read_never_sees_uncommitted<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::a_read_never_sees_uncommitted", make);
    let mut worker = exam.connect();
    exam.send(&mut worker, put("k", "v"));
    let read = exam.send(&mut worker, get("k"));
    exam.ticks();
    let done = exam.reap(&mut worker);
    exam.claim.same("completions", 2, done.len());
    for done in done.into_iter().filter(|done| done.id == read) {
        exam.claim.same(
            "a read in the batch of the write",
            Some(KeyedReply::Value(None)),
            done.result.ok(),
        );
    }
    if !exam.claim.can(exam.subject.capabilities().hold_flushes) {
        return;
    }
    exam.subject.hold_flushes();
    exam.send(&mut worker, put("k", "new"));
    exam.ticks();
    let value = exam.value("k");
    exam.claim.same("before the flush", Some(b"v".to_vec()), value);
    exam.subject.settle();
    exam.ticks();
    let value = exam.value("k");
    exam.claim.same("after the flush", Some(b"new".to_vec()), value);
}
