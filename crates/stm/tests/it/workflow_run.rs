//! Workflows that run: in parallel, at each level, with failures, conditions and loops.

use quintet_stm::{
    Context, ContextConfig, Contract, Isolation, Process, ProcessTx, Processes, Step, Value,
    workflow::{Event, Plan, Pool, Report, RunOptions, Status},
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

pub(crate) fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).unwrap())
}

pub(crate) fn plan(source: &str, processes: &Processes) -> Plan {
    Plan::parse(source, processes).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn run_on(context: &Context, source: &str, processes: &Processes) -> Report {
    plan(source, processes).run(context, &pool(2), RunOptions::default())
}

fn run(source: &str) -> (Context, Report) {
    let context = Context::new("test");
    let report = run_on(&context, source, &Processes::new());
    (context, report)
}

pub(crate) fn int(context: &Context, path: &str) -> Option<i64> {
    context.get(path).unwrap().and_then(|value| value.as_int())
}

pub(crate) fn add(
    processes: &mut Processes,
    name: &str,
    contract: Contract,
    body: impl Fn(&mut ProcessTx<'_, '_>) -> Step<()> + Send + Sync + 'static,
) {
    processes
        .register(Process::new(name, contract, body).unwrap())
        .unwrap();
}

/// A barrier that gives up, so that a broken pool fails the test instead of hanging it.
#[derive(Default)]
pub(crate) struct Meeting {
    present: Mutex<u32>,
    changed: Condvar,
}

impl Meeting {
    pub(crate) fn attend(&self, wanted: u32) -> bool {
        let mut present = self.present.lock().unwrap();
        *present += 1;
        self.changed.notify_all();
        let waited = self
            .changed
            .wait_timeout_while(present, Duration::from_secs(20), |present| *present < wanted);
        !waited.unwrap().1.timed_out()
    }
}

pub(crate) fn failures(report: &Report) -> Vec<String> {
    report.failures.iter().map(ToString::to_string).collect()
}

#[test]
fn the_two_lines_of_the_design_run_at_each_level() {
    for isolation in Isolation::ALL {
        let meeting = Arc::new(Meeting::default());
        let mut processes = Processes::new();
        for (name, path) in [("ProcA", "a"), ("ProcB", "b")] {
            let meeting = Arc::clone(&meeting);
            add(&mut processes, name, Contract::new().outputs([path]), move |tx| {
                // Passes only if the other one runs at the same time.
                if !meeting.attend(2) {
                    return tx.fail("Alone", "nobody came");
                }
                tx.set(path, tx.isolation().as_str())
            });
        }
        let context = Context::new("test");
        let source = format!("isolation: {isolation}\nsteps: [[ProcA, ProcB]]\n");
        let report = run_on(&context, &source, &processes);
        assert!(report.succeeded(), "{:?}", failures(&report));
        assert_eq!(report.done, 2);
        for path in ["a", "b"] {
            assert_eq!(
                context.get(path).unwrap(),
                Some(isolation.as_str().into()),
                "{isolation}"
            );
        }
    }
}

#[test]
fn a_conflicting_pair_both_take_effect() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let meeting = Arc::new(Meeting::default());
        let attempts = Arc::new(AtomicU32::new(0));
        let mut processes = Processes::new();
        for (name, amount) in [("ProcA", 1), ("ProcB", 10)] {
            let (meeting, attempts) = (Arc::clone(&meeting), Arc::clone(&attempts));
            let contract = Contract::new().outputs(["n"]).errors(["Alone"]);
            add(&mut processes, name, contract, move |tx| {
                let n = tx.get_int("n")?;
                // Both have read before either writes, so one of the two must lose and run again.
                if attempts.fetch_add(1, Ordering::SeqCst) < 2 && !meeting.attend(2) {
                    return tx.fail("Alone", "nobody came");
                }
                tx.set("n", n + amount)
            });
        }
        let context = Context::new("test");
        context.set_raw("n", 100_i64).unwrap();
        let report = run_on(
            &context,
            &format!("isolation: {isolation}\nsteps: [[ProcA, ProcB]]"),
            &processes,
        );
        assert!(report.succeeded(), "{:?}", failures(&report));
        assert_eq!(int(&context, "n"), Some(111), "{isolation}");
        assert_eq!(attempts.load(Ordering::SeqCst), 3, "one of them lost once");
        let change = &report.changes[0];
        assert_eq!(
            (&change.old, &change.new),
            (&Some(Value::Int(100)), &Some(Value::Int(111)))
        );
    }
}

#[test]
fn set_steps_that_conflict_all_take_effect() {
    for isolation in ["safe", "hybrid"] {
        let adds = "{set: {n: \"get(n, 0) + 1\"}}, ".repeat(40);
        let (context, report) = run(&format!("isolation: {isolation}\nsteps: [[{adds}]]"));
        assert!(report.succeeded(), "{:?}", failures(&report));
        assert_eq!(int(&context, "n"), Some(40), "{isolation}");
    }
}

#[test]
fn a_step_that_fails_or_panics_leaves_nothing_and_is_reported() {
    let mut processes = Processes::new();
    let contract = || Contract::new().outputs(["x", "y"]).errors(["Declined"]);
    add(&mut processes, "Fails", contract(), |tx| {
        tx.set("x", 1_i64)?;
        tx.fail("Declined", "no")
    });
    add(&mut processes, "Panics", contract(), |tx| {
        tx.set("y", 1_i64)?;
        panic!("out of tune")
    });
    let context = Context::new("test");
    let report = run_on(
        &context,
        "on_failure: all\nsteps:\n- [Fails, Panics]\n- {set: {z: 1}}",
        &processes,
    );
    assert_eq!(report.status, Status::Failed);
    let mut told = failures(&report);
    told.sort();
    assert_eq!(
        told,
        [
            "Fails (line 2): process `Fails` failed with Declined: no",
            "Panics (line 2): process `Panics` panicked: out of tune"
        ]
        .map(|line| line.replace("line 2", "line 3"))
    );
    assert_eq!((report.done, report.failed, report.skipped), (0, 2, 1));
    assert!(context.is_empty() && report.changes.is_empty());
}

#[test]
fn fail_fast_ends_what_runs_and_all_lets_it_end() {
    for (policy, others) in [("fail-fast", None), ("all", Some(1))] {
        let (mut processes, meeting) = (Processes::new(), Arc::new(Meeting::default()));
        let started = Arc::clone(&meeting);
        add(
            &mut processes,
            "Slow",
            Contract::new().outputs(["slow"]),
            move |tx| {
                started.attend(2);
                tx.set("slow", 1_i64)?;
                if policy == "fail-fast" {
                    // Ends by being told to.
                    loop {
                        tx.go_on()?;
                        std::thread::yield_now();
                    }
                }
                Ok(())
            },
        );
        add(
            &mut processes,
            "Fails",
            Contract::new().errors(["Sorry"]),
            move |tx| {
                meeting.attend(2);
                tx.fail("Sorry", "early")
            },
        );
        let context = Context::new("test");
        let source =
            format!("on_failure: {policy}\nsteps:\n- [Slow, {{steps: [Fails, {{set: {{never: 1}}}}]}}]\n");
        let report = run_on(&context, &source, &processes);
        assert_eq!(report.status, Status::Failed);
        assert_eq!(int(&context, "slow"), others, "{policy}");
        assert_eq!(int(&context, "never"), None);
    }
}

#[test]
fn needs_order_steps_whatever_their_place() {
    let (context, report) = run("
steps:
- {id: last, needs: [left, right], set: {sum: a + b}}
- {id: left, needs: [first], set: {a: base + 1}}
- {id: right, needs: first, set: {b: base + 2}}
- {id: first, needs: [], set: {base: 10}}
");
    assert!(report.succeeded(), "{:?}", failures(&report));
    assert_eq!(int(&context, "sum"), Some(23));
}

#[test]
fn conditions_loops_and_flows() {
    let (context, report) = run("
flows:
  double:
    steps: [{set: {n: n * 2}}]
steps:
- set: {n: 1, turns: 0}
- while: n < 100
  do:
  - flow: double
  - if: n == 16
    then: [{set: {saw: \"'sixteen'\"}}]
    else: {set: {turns: turns + 1}}
"
    .replace(
        "else: {set: {turns: turns + 1}}",
        "else: [{set: {turns: turns + 1}}]",
    )
    .as_str());
    assert!(report.succeeded(), "{:?}", failures(&report));
    assert_eq!(int(&context, "n"), Some(128));
    assert_eq!(int(&context, "turns"), Some(6));
    assert_eq!(context.get("saw").unwrap(), Some("sixteen".into()));
}

#[test]
fn loops_without_an_end_are_ended() {
    let (context, report) = run("steps: [{while: true, max_ops: 50, do: [{set: {n: \"get(n, 0) + 1\"}}]}]");
    assert_eq!(report.status, Status::Failed);
    assert!(
        failures(&report)[0].contains("more than 50 turns of this loop"),
        "{:?}",
        failures(&report)
    );
    assert_eq!(int(&context, "n"), Some(50));
    let (context, report) = run("max_ops: 101\nsteps: [{while: true, do: [{set: {n: \"get(n, 0) + 1\"}}]}]");
    assert_eq!(report.status, Status::Failed);
    assert!(
        failures(&report)[0].contains("more than 101 operations"),
        "{:?}",
        failures(&report)
    );
    assert_eq!(
        int(&context, "n"),
        Some(50),
        "a condition and a step are an operation each"
    );
    let flows: String = (0..30)
        .map(|n| format!("  f{n}: [{{flow: f{}}}, {{flow: f{}}}]\n", n + 1, n + 1))
        .collect();
    let (_, report) = run(&format!(
        "flows:\n{flows}  f30: [{{set: {{n: 1}}}}]\nsteps: [{{flow: f0}}]"
    ));
    assert!(
        failures(&report)[0].contains("more than 10000 operations"),
        "2^30 steps: {:?}",
        failures(&report)
    );
}

pub(crate) fn quick_plan(source: &str) -> Plan {
    plan(source, &Processes::new())
}

#[test]
fn the_audit_of_a_workflow_blocks_a_step_or_ends_the_run() {
    for (level, third) in [("S", None), ("A", None), ("B", Some(1)), ("C", Some(1))] {
        let source = format!(
            "
on_failure: all
processes:
  Price: {{set: {{total: 500}}}}
  Other: {{set: {{other: 1}}}}
process_recipes:
  Price: {{outputs: [{{field: total, max: 100, level: {level}}}]}}
steps:
- {{id: price, process: Price}}
- {{id: other, needs: [], steps: [{{set: {{wait: 1}}}}, Other]}}
"
        );
        let context = Context::new("test");
        let one_thread = pool(1);
        let report = quick_plan(&source).run(&context, &one_thread, RunOptions::default());
        assert_eq!(report.succeeded(), level == "C", "{level}");
        assert_eq!(int(&context, "total").is_some(), level == "C", "{level}");
        if level == "B" || level == "C" {
            assert_eq!(int(&context, "other"), third, "{level}");
        }
        assert_eq!(report.warnings.len(), usize::from(level == "C"));
    }
}

#[test]
fn events_tell_the_whole_story_in_order() {
    let plan = quick_plan("name: story\nsteps: [{set: {a: 1}}, {id: bad, set: {b: nowhere}}, {set: {c: 1}}]");
    let mut story = Vec::new();
    let options = RunOptions {
        observe: Box::new(|event| {
            story.push(match event {
                Event::Started { steps } => format!("started {steps}"),
                Event::StepStarted { step, attempt } => format!("{step} begins {attempt}"),
                Event::StepDone {
                    step,
                    changes,
                    version,
                    ..
                } => format!("{step} done {changes} {}", version.is_some()),
                Event::StepFailed { step, retry_in, .. } => format!("{step} failed {retry_in:?}"),
                Event::StepSkipped { step } => format!("{step} skipped"),
                Event::Ended { status } => format!("ended {status}"),
                other => format!("{other:?}"),
            });
        }),
        ..RunOptions::default()
    };
    let report = plan.run(&Context::new("test"), &pool(1), options);
    assert_eq!(
        story,
        [
            "started 3",
            "set@2 (line 2) begins 1",
            "set@2 (line 2) done 1 true",
            "bad (line 2) begins 1",
            "bad (line 2) failed None",
            "set@2#2 (line 2) skipped",
            "ended failed"
        ]
    );
    assert!(report.elapsed < Duration::from_secs(60));
    assert!(
        failures(&report)[0].contains("nothing is at `nowhere`"),
        "{:?}",
        failures(&report)
    );
}

#[test]
fn no_two_steps_are_named_alike() {
    let mut processes = Processes::new();
    add(&mut processes, "Work", Contract::new(), |_| Ok(()));
    let source = "steps: [[Work, Work], [{set: {a: 1}}, {set: {b: a}}], {if: true, then: [Work, {set: {c: nowhere}}]}]";
    let mut named = Vec::new();
    let options = RunOptions {
        observe: Box::new(|event| {
            if let Event::StepStarted { step, .. } = event {
                named.push(step.label.to_string());
            }
        }),
        ..RunOptions::default()
    };
    let plan = plan(source, &processes);
    let report = plan.run(&Context::new("test"), &pool(1), options);
    assert_eq!(named, ["Work", "Work#2", "set@1", "set@1#2", "Work#3", "set@1#3"]);
    let told = failures(&report).join("");
    assert!(told.starts_with("set@1#3 (line 1): "), "{told}");
    assert!(
        plan.to_string().contains("set@1#2 (hybrid) after Work, Work#2\n"),
        "{plan}"
    );
}

#[test]
fn the_change_set_is_that_of_the_whole_run() {
    let context = Context::new("test");
    context.set_raw("n", 1_i64).unwrap();
    let report = run_on(
        &context,
        "steps: [{set: {n: n + 1, gone: 1}}, [{set: {a: n}}, {set: {b: n}}], {set: {n: n + 1}}]",
        &Processes::new(),
    );
    let changes: Vec<_> = report
        .changes
        .iter()
        .map(|change| {
            (
                change.path.as_str(),
                change.old.as_ref().and_then(Value::as_int),
                change.new.as_ref().and_then(Value::as_int),
            )
        })
        .collect();
    assert_eq!(
        changes,
        [
            ("a", None, Some(2)),
            ("b", None, Some(2)),
            ("gone", None, Some(1)),
            ("n", Some(1), Some(3))
        ]
    );
    assert!(report.is_complete);
    // A history too short for what runs between a step and its report says so.
    let config = ContextConfig {
        history: 1,
        ..ContextConfig::default()
    };
    let context = Context::with_config("short", config).unwrap();
    let steps = "{set: {x: \"get(x, 0) + 1\"}}, ".repeat(3);
    assert!(run_on(&context, &format!("steps: [{steps}]"), &Processes::new()).is_complete);
}

#[test]
fn many_steps_run_in_parallel_and_once_each() {
    let counts: Vec<String> = (0..500)
        .map(|n| format!("{{set: {{\"p{n}\": \"get(p{n}, 0) + 1\", all: \"get(all, 0) + 1\"}}}}"))
        .collect();
    let list = counts.join(", ");
    let (context, report) = run(&format!("steps: [[{list}], [{list}]]"));
    assert!(report.succeeded(), "{:?}", failures(&report));
    assert_eq!((report.done, int(&context, "all")), (1000, Some(1000)));
    assert!((0..500).all(|n| int(&context, &format!("p{n}")) == Some(2)));
}
