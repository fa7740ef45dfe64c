//! The level of a step is the level of the engine: what `docs/isolation.md` admits is produced inside a workflow, and what
//! it forbids is refuted.

use crate::workflow_run::{Meeting, add, failures, int, run_on};
use quintet_stm::{Context, Contract, ProcessTx, Processes, Step, workflow::Status};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

type Body = fn(&mut ProcessTx<'_, '_>) -> Step<()>;

/// A step does its first half, another step does all of its work and commits, the step does its second half.
struct Scene {
    anomaly: &'static str,
    /// What is at `x` and `y` before.
    start: [i64; 2],
    first: Body,
    other: Body,
    second: Body,
    /// The paths to look at, and what is there at `safe`, `hybrid` and `raw`.
    paths: [&'static str; 2],
    leaves: [[i64; 2]; 3],
}

/// The first half keeps what it has seen here: a step may write below `seen`, and read that again.
fn copy(tx: &mut ProcessTx<'_, '_>, from: &str, to: &str) -> Step<()> {
    let value = tx.get_int(from)?;
    tx.set(to, value)
}

fn count(tx: &mut ProcessTx<'_, '_>, to: &str) -> Step<()> {
    let found = tx.keys("list", 10)?.len();
    tx.set(to, i64::try_from(found).unwrap())
}

const SCENES: [Scene; 7] = [
    Scene {
        anomaly: "G0 dirty write",
        start: [0, 0],
        first: |tx| tx.set("x", 1_i64),
        other: |tx| {
            tx.set("x", 2_i64)?;
            tx.set("y", 2_i64)
        },
        second: |tx| tx.set("y", 1_i64),
        paths: ["x", "y"],
        leaves: [[1, 1], [1, 1], [2, 1]],
    },
    Scene {
        anomaly: "P4 lost update",
        start: [100, 0],
        first: |tx| copy(tx, "x", "seen.x"),
        other: |tx| {
            let x = tx.get_int("x")?;
            tx.set("x", x + 10)
        },
        second: |tx| {
            let x = tx.get_int("seen.x")?;
            tx.set("x", x + 1)
        },
        paths: ["x", "y"],
        leaves: [[111, 0], [111, 0], [101, 0]],
    },
    Scene {
        anomaly: "P2 fuzzy read",
        start: [1, 0],
        first: |tx| copy(tx, "x", "seen.one"),
        other: |tx| tx.set("x", 2_i64),
        second: |tx| copy(tx, "x", "seen.two"),
        paths: ["seen.one", "seen.two"],
        leaves: [[2, 2], [1, 2], [1, 2]],
    },
    Scene {
        anomaly: "G-single read skew",
        start: [50, 50],
        first: |tx| copy(tx, "x", "seen.x"),
        other: |tx| {
            tx.set("x", 40_i64)?;
            tx.set("y", 60_i64)
        },
        second: |tx| copy(tx, "y", "seen.y"),
        paths: ["seen.x", "seen.y"],
        leaves: [[40, 60], [50, 60], [50, 60]],
    },
    Scene {
        anomaly: "G2-item write skew",
        start: [1, 1],
        first: |tx| {
            let both = tx.get_int("x")? + tx.get_int("y")?;
            tx.set("seen.both", both)
        },
        other: |tx| tx.set("y", 0_i64),
        // One of the two must stay.
        second: |tx| match tx.get_int("seen.both")? {
            2 => tx.set("x", 0_i64),
            _ => Ok(()),
        },
        paths: ["x", "y"],
        leaves: [[1, 0], [0, 0], [0, 0]],
    },
    Scene {
        anomaly: "PMP phantom",
        start: [0, 0],
        first: |tx| count(tx, "seen.one"),
        other: |tx| tx.set("list.new", 1_i64),
        second: |tx| count(tx, "seen.two"),
        paths: ["seen.one", "seen.two"],
        leaves: [[1, 1], [0, 1], [0, 1]],
    },
    Scene {
        anomaly: "nothing in between",
        start: [3, 4],
        first: |tx| copy(tx, "x", "seen.x"),
        other: |_| Ok(()),
        second: |tx| copy(tx, "y", "seen.y"),
        paths: ["seen.x", "seen.y"],
        leaves: [[3, 4]; 3],
    },
];

#[test]
fn a_step_admits_what_its_level_admits_and_nothing_else() {
    for scene in SCENES {
        for (level, leaves) in ["safe", "hybrid", "raw"].into_iter().zip(scene.leaves) {
            let (half, committed) = (Arc::new(Meeting::default()), Arc::new(Meeting::default()));
            let contract = || {
                let inputs = ["x", "y", "list", "seen"];
                Contract::new()
                    .inputs(inputs)
                    .outputs(["x", "y", "list.*", "seen.*"])
            };
            let mut processes = Processes::new();
            let (first, second, tries) = (Arc::clone(&half), Arc::clone(&committed), AtomicU32::new(0));
            add(&mut processes, "Step", contract(), move |tx| {
                (scene.first)(tx)?;
                // The attempt after one that lost meets nobody.
                if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                    assert!(first.attend(2) && second.attend(2), "the other one did not come");
                }
                (scene.second)(tx)
            });
            add(&mut processes, "Other", contract(), move |tx| {
                assert!(half.attend(2), "the step did not come");
                (scene.other)(tx)
            });
            // Runs after the commit of the other one.
            add(&mut processes, "Told", Contract::new(), move |_| {
                committed.attend(2);
                Ok(())
            });
            let context = Context::new("levels");
            for (path, value) in ["x", "y"].into_iter().zip(scene.start) {
                context.set_raw(path, value).unwrap();
            }
            let other = "{steps: [{process: Other, isolation: safe}, Told]}";
            let source = format!("steps: [[{{process: Step, isolation: {level}}}, {other}]]");
            let report = run_on(&context, &source, &processes);
            assert!(report.succeeded(), "{:?}", failures(&report));
            let found = scene.paths.map(|path| int(&context, path).unwrap_or_default());
            assert_eq!(found, leaves, "{} at {level}", scene.anomaly);
        }
    }
}

/// Beside a step that writes `x` and then waits, another one looks at it: what it sees is what the level promises.
#[test]
fn each_level_on_a_step_is_what_it_is_outside() {
    for (level, seen_early, kept) in [("safe", 0, 0), ("hybrid", 0, 0), ("raw", 7, 7)] {
        let (wrote, looked) = (Arc::new(Meeting::default()), Arc::new(Meeting::default()));
        let mut processes = Processes::new();
        let (first, second) = (Arc::clone(&wrote), Arc::clone(&looked));
        add(
            &mut processes,
            "Writer",
            Contract::new().outputs(["x"]).errors(["Sorry"]),
            move |tx| {
                tx.set("x", 7_i64)?;
                first.attend(2);
                second.attend(2);
                tx.fail("Sorry", "changed my mind")
            },
        );
        add(
            &mut processes,
            "Reader",
            Contract::new().inputs(["x"]).outputs(["seen"]),
            move |tx| {
                wrote.attend(2);
                let x = tx.get_int("x")?;
                looked.attend(2);
                tx.set("seen", x)
            },
        );
        let context = Context::new("test");
        context.set_raw("x", 0_i64).unwrap();
        let source = format!("on_failure: all\nsteps: [[{{process: Writer, isolation: {level}}}, Reader]]");
        let report = run_on(&context, &source, &processes);
        assert_eq!(report.status, Status::Failed);
        assert_eq!(int(&context, "seen"), Some(seen_early), "{level}: dirty read");
        assert_eq!(int(&context, "x"), Some(kept), "{level}: rollback");
    }
}
