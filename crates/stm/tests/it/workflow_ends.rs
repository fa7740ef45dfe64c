//! Workflows that are tried again, take too long, or are cancelled.

use crate::workflow_run::{Meeting, add, failures, int, plan, pool, quick_plan, run_on};
use quintet_core::fake::ManualClock;
use quintet_stm::{
    Context, Contract, Error, Processes,
    workflow::{CancelToken, Event, RunOptions, Status},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

#[test]
fn a_step_is_tried_again_with_growing_waits() {
    let clock = Arc::new(ManualClock::new());
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let mut processes = Processes::new();
    let contract = Contract::new().outputs(["x"]).errors(["Flaky"]);
    add(&mut processes, "Flaky", contract, move |tx| {
        tx.set("x", 1_i64)?;
        match counted.fetch_add(1, Ordering::SeqCst) {
            0..3 => tx.fail("Flaky", "again"),
            _ => Ok(()),
        }
    });
    let plan = plan(
        "steps: [{process: Flaky, retry: {attempts: 4, backoff: 1s}}]",
        &processes,
    );
    let (context, mut waits) = (Context::new("test"), Vec::new());
    let advance = Arc::clone(&clock);
    let options = RunOptions {
        clock,
        observe: Box::new(|event| {
            if let Event::StepFailed { retry_in, .. } = event {
                waits.push(retry_in.unwrap());
                advance.advance(retry_in.unwrap());
            }
        }),
        ..RunOptions::default()
    };
    let report = plan.run(&context, &pool(1), options);
    assert!(report.succeeded(), "{:?}", failures(&report));
    assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));
    assert_eq!(
        (attempts.load(Ordering::SeqCst), report.done, report.failed),
        (4, 1, 0)
    );
}

#[test]
fn a_violation_is_not_tried_again() {
    let mut processes = Processes::new();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    add(&mut processes, "Sneak", Contract::new(), move |tx| {
        counted.fetch_add(1, Ordering::SeqCst);
        tx.get("secret").map(drop)
    });
    let source = "steps: [{process: Sneak, retry: {attempts: 5}}]";
    let report = run_on(&Context::new("test"), source, &processes);
    assert_eq!(report.status, Status::Failed);
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    assert!(matches!(report.failures[0].error, Error::Violation { .. }));
}

#[test]
fn a_step_that_takes_too_long_is_undone_even_if_it_never_asks() {
    let (clock, meeting) = (Arc::new(ManualClock::new()), Arc::new(Meeting::default()));
    let mut processes = Processes::new();
    let (advance, stays) = (Arc::clone(&clock), Arc::clone(&meeting));
    add(
        &mut processes,
        "Slow",
        Contract::new().outputs(["x"]),
        move |tx| {
            tx.set("x", 1_i64)?;
            advance.advance(Duration::from_secs(3));
            // Asks for nothing more until the run is over.
            stays.attend(2);
            Ok(())
        },
    );
    let plan = plan("steps: [{process: Slow, timeout: 2s}, {set: {y: 1}}]", &processes);
    let context = Context::new("test");
    let pool = pool(1);
    let options = RunOptions {
        clock,
        ..RunOptions::default()
    };
    let report = plan.run(&context, &pool, options);
    assert_eq!(failures(&report), ["Slow (line 1): not done within 2000 ms"]);
    assert_eq!(report.skipped, 1);
    meeting.attend(2);
    // The thread runs the next step after it has given up that one.
    let next = quick_plan("steps: [[{set: {z: 1}}, {set: {w: 1}}]]");
    assert!(next.run(&context, &pool, RunOptions::default()).succeeded());
    assert_eq!(int(&context, "x"), None);
}

#[test]
fn steps_go_on_while_every_thread_is_in_a_step_that_was_given_up() {
    let (clock, meeting) = (Arc::new(ManualClock::new()), Arc::new(Meeting::default()));
    let mut processes = Processes::new();
    let (advance, stays) = (Arc::clone(&clock), Arc::clone(&meeting));
    add(&mut processes, "Stuck", Contract::new(), move |_| {
        advance.advance(Duration::from_secs(3));
        stays.attend(2);
        Ok(())
    });
    let plan = plan(
        "on_failure: all\nsteps:\n- [{process: Stuck, timeout: 2s}, {needs: [], set: {a: 1}}, {needs: [], set: {b: 1}}]",
        &processes,
    );
    let (context, pool) = (Context::new("test"), pool(1));
    let options = RunOptions {
        clock,
        ..RunOptions::default()
    };
    let report = plan.run(&context, &pool, options);
    assert_eq!((report.done, report.failed), (2, 1), "{:?}", failures(&report));
    assert_eq!(["a", "b"].map(|path| int(&context, path)), [Some(1), Some(1)]);
    meeting.attend(2);
}

#[test]
fn a_run_that_takes_too_long_ends() {
    let clock = Arc::new(ManualClock::new());
    let plan = quick_plan(
        "timeout: 1s\nmax_ops: 1000000000\nsteps: [{while: true, max_ops: 1000000000, do: [{set: {n: 1}}]}]",
    );
    let (advance, mut steps) = (Arc::clone(&clock), 0);
    let options = RunOptions {
        clock,
        observe: Box::new(move |event| {
            if let Event::StepDone { .. } = event {
                steps += 1;
                if steps == 20 {
                    advance.advance(Duration::from_secs(1));
                }
            }
        }),
        ..RunOptions::default()
    };
    let report = plan.run(&Context::new("test"), &pool(1), options);
    assert_eq!(report.status, Status::Failed);
    assert_eq!(failures(&report), ["not done within 1000 ms"]);
}

#[test]
fn cancelling_undoes_what_runs_and_starts_nothing_more() {
    let cancel = CancelToken::new();
    let mut processes = Processes::new();
    let canceller = cancel.clone();
    add(
        &mut processes,
        "Long",
        Contract::new().outputs(["x"]),
        move |tx| {
            tx.set("x", 1_i64)?;
            canceller.cancel();
            loop {
                tx.go_on()?;
            }
        },
    );
    let plan = plan(
        "on_failure: all\nsteps: [{set: {before: 1}}, [Long, Long], {set: {after: 1}}]",
        &processes,
    );
    let context = Context::new("test");
    let options = RunOptions {
        cancel,
        ..RunOptions::default()
    };
    let report = plan.run(&context, &pool(2), options);
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!((report.done, report.skipped), (1, 1));
    assert_eq!(
        ["before", "x", "after"].map(|path| int(&context, path)),
        [Some(1), None, None]
    );
}
