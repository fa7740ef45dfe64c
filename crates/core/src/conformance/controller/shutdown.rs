//! The end: everything queued is answered, everyone is told, and again does nothing.

use super::{CREDITS, Exam, Subject, get, put};
use crate::{KeyedReply, Tick, Worker};

/// What was queued when the shutdown began is handled and answered.
pub fn shutdown_answers_what_is_queued<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::shutdown_answers_what_is_queued", make);
    let mut workers = [exam.connect(), exam.connect(), exam.connect()];
    exam.ticks();
    // Uneven on purpose: a fair share of the whole is less than the last worker's part.
    for (count, worker) in [0, 1, CREDITS.get()].into_iter().zip(&mut workers) {
        for _ in 0..count {
            exam.send(worker, put("k", "v"));
        }
    }
    let mut late = exam.connect();
    exam.send(&mut late, put("k", "v"));
    exam.shutdown();
    let [_, second, third] = &mut workers;
    for (count, worker) in [(1, second), (CREDITS.get(), third), (1, &mut late)] {
        let done = exam.reap(worker);
        exam.claim.same("completions", count, done.len());
        for done in done {
            exam.claim
                .same("the reply", Some(KeyedReply::Stored), done.result.ok());
        }
    }
}

/// After the shutdown every worker learns that it is closed, ticks do nothing, and nobody can connect.
pub fn shutdown_closes_every_port<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::shutdown_closes_every_port", make);
    let mut workers = [exam.connect(), exam.connect()];
    exam.ticks();
    exam.shutdown();
    for worker in &mut workers {
        let reaped = worker.reap(&mut Vec::new(), 1);
        exam.claim
            .same("reap after the shutdown", Err(crate::Closed), reaped);
        let refused = worker.submit(get("k")).map_err(|refused| format!("{refused:?}"));
        exam.claim
            .same("submit after the shutdown", Err("Closed(..)".to_owned()), refused);
    }
    let tick = exam.tick(CREDITS);
    exam.claim.same("a tick after the shutdown", Tick::Closed, tick);
    exam.claim.holds(
        exam.subject.connect().is_none(),
        format_args!("a connection was accepted after the shutdown"),
    );
}

/// A second shutdown does nothing and succeeds.
pub fn shutdown_is_idempotent<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::shutdown_is_idempotent", make);
    let mut worker = exam.connect();
    let id = exam.send(&mut worker, put("k", "v"));
    exam.shutdown();
    exam.shutdown();
    let answer = exam.answered(&mut worker, id);
    exam.claim
        .same("the reply", Some(KeyedReply::Stored), answer.ok());
    exam.shutdown();
    let tick = exam.tick(CREDITS);
    exam.claim.same("a tick after the shutdown", Tick::Closed, tick);
}
