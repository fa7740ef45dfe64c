//! Idle, budget, routing and fairness.

use super::{CREDITS, Exam, Subject, get, put};
use crate::{Keyed, KeyedReply, Tick, Worker};
use std::num::NonZeroUsize;

/// A tick with nothing to do says so, before anything was asked and afterwards.
pub fn idle_is_idle<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::idle_is_idle", make);
    let mut worker = exam.connect();
    for round in 0..3 {
        exam.ticks();
        for _ in 0..3 {
            let tick = exam.tick(CREDITS);
            exam.claim.same(
                &format!("a tick with nothing to do, round {round}"),
                Tick::Idle,
                tick,
            );
        }
        exam.send(&mut worker, put("k", "v"));
        let tick = exam.tick(CREDITS);
        exam.claim.holds(
            matches!(tick, Tick::Worked(_)),
            format_args!("with a request waiting, a tick answered {tick:?}"),
        );
        exam.ticks();
        exam.claim.same("completions", 1, exam.reap(&mut worker).len());
    }
}

/// One tick answers at most as many requests as its budget, over all ports together; several ticks answer all.
pub fn at_most_the_budget_per_tick<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::at_most_the_budget_per_tick", make);
    for budget in 1..=5 {
        let mut workers = [exam.connect(), exam.connect()];
        for worker in &mut workers {
            for _ in 0..CREDITS.get() {
                exam.send(worker, get("k"));
            }
        }
        let mut answered = 0;
        for _ in 0..2 * CREDITS.get() {
            let _done = exam.tick(NonZeroUsize::new(budget).unwrap_or(NonZeroUsize::MIN));
            let now: usize = workers.iter_mut().map(|worker| exam.reap(worker).len()).sum();
            exam.claim.holds(
                now <= budget,
                format_args!("a tick with a budget of {budget} answered {now} requests"),
            );
            answered += now;
        }
        exam.claim
            .same("requests answered in all", 2 * CREDITS.get(), answered);
    }
}

/// Each worker gets its own answers under its own ids, although ids of different workers may be equal.
pub fn replies_go_to_the_asking_port<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::replies_go_to_the_asking_port", make);
    let mut workers: Vec<_> = (0..4).map(|_| exam.connect()).collect();
    let mut ids = Vec::new();
    for round in 0..3 {
        ids.clear();
        for (at, worker) in workers.iter_mut().enumerate() {
            let delta = 10_i64.pow(at as u32);
            let key = vec![b'0' + at as u8];
            ids.push((exam.send(worker, Keyed::Add { key, delta }), delta * (round + 1)));
        }
        exam.ticks();
        for (worker, (id, sum)) in workers.iter_mut().zip(&ids) {
            let answer = exam.answered(worker, *id);
            let answer = exam.claim.ok("add", answer);
            exam.claim.same("the sum", KeyedReply::Sum(*sum), answer);
        }
    }
}

/// With a budget smaller than the number of ports, all of them busy, every port is answered in turn.
pub fn no_port_starves<S: Subject>(make: impl Fn() -> S) {
    const PORTS: usize = 5;
    let mut exam = Exam::new("controller::no_port_starves", make);
    for budget in 1..PORTS {
        let mut workers: Vec<_> = (0..PORTS).map(|_| exam.connect()).collect();
        let mut answered = [0; PORTS];
        for _ in 0..PORTS * 20 {
            for worker in &mut workers {
                while worker.in_flight() < CREDITS.get() {
                    exam.send(worker, get("k"));
                }
            }
            let _done = exam.tick(NonZeroUsize::new(budget).unwrap_or(NonZeroUsize::MIN));
            for (worker, answered) in workers.iter_mut().zip(&mut answered) {
                *answered += exam.reap(worker).len();
            }
        }
        let fair = budget * 20;
        exam.claim.holds(
            answered.iter().all(|count| *count >= fair / 2),
            format_args!("budget {budget}: a fair share is {fair} answers, the ports got {answered:?}"),
        );
    }
}

/// A worker that goes away with requests in flight takes nobody with it, and its place can be taken.
pub fn a_gone_worker_harms_nobody<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("controller::a_gone_worker_harms_nobody", make);
    let mut stays = exam.connect();
    for round in 0..5 {
        let mut goes = exam.connect();
        exam.send(&mut goes, put("gone", "v"));
        let id = exam.send(&mut stays, put("stays", "v"));
        if round % 2 == 0 {
            let _done = exam.tick(CREDITS);
        }
        drop(goes);
        let mut comes = exam.connect();
        exam.ticks();
        let answer = exam.answered(&mut stays, id);
        exam.claim
            .same("the reply to who stays", Some(KeyedReply::Stored), answer.ok());
        exam.claim
            .same("replies to who came later", 0, exam.reap(&mut comes).len());
    }
    let value = exam.value("gone");
    exam.claim
        .same("what the gone worker wrote", Some(b"v".to_vec()), value);
}
