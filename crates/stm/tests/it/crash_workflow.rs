//! A real process that runs a durable workflow is killed in the middle of it: only whole steps are there afterwards.

use quintet_core::{Durability, SystemClock};
use quintet_log::{LogConfig, OsDirectory};
use quintet_stm::{
    Context, ContextConfig, Processes,
    workflow::{Event, Plan, Pool, RunOptions},
};
use std::{
    io::{BufRead, BufReader, Write},
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const CHILD: &str = "QUINTET_STM_KILL_WORKFLOW";

/// Each step changes two values by the same amount, and counts itself.
const WORKFLOW: &str = "
max_ops: 1000000000
steps:
- while: true
  max_ops: 1000000000
  do:
  - [{set: {a: \"get(a, 0) + 1\", a2: \"get(a2, 0) + 1\"}}, {set: {b: \"get(b, 0) + 1\", b2: \"get(b2, 0) + 1\"}}]
  - set: {c: \"get(c, 0) + 1\", c2: \"get(c2, 0) + 1\"}
";

fn open(directory: &Path) -> Context {
    let log = LogConfig {
        durability: Durability::Interval,
        segment_bytes: 1 << 20,
        max_record_bytes: 1 << 16,
        max_group_bytes: 1 << 17,
        ..LogConfig::default()
    };
    let directory = Arc::new(OsDirectory::open(directory).unwrap());
    let config = ContextConfig::default();
    Context::open("kill", directory, config, log, Arc::new(SystemClock))
        .unwrap()
        .0
}

/// Not a test of its own: what the killed process runs. Says the version of each step that is done.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let context = open(Path::new(&directory));
    let plan = Plan::parse(WORKFLOW, &Processes::new()).unwrap();
    let options = RunOptions {
        observe: Box::new(|event| {
            if let Event::StepDone { version, .. } = event {
                let mut out = std::io::stdout().lock();
                writeln!(out, "done {}", version.unwrap()).unwrap();
                out.flush().unwrap();
            }
        }),
        ..RunOptions::default()
    };
    let report = plan.run(&context, &Pool::new(NonZeroUsize::new(2).unwrap()), options);
    panic!("it ended: {report:?}");
}

#[test]
fn a_killed_workflow_leaves_whole_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=crate::crash_rounds(6) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash_workflow::child", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let version: u64 = lines
            .map(Result::unwrap)
            .filter_map(|line| line.strip_prefix("done ")?.parse().ok())
            .nth(round * 41)
            .unwrap();
        process.kill().unwrap();
        process.wait().unwrap();

        let context = open(directory.path());
        let int = |path: &str| {
            context
                .get(path)
                .unwrap()
                .and_then(|value| value.as_int())
                .unwrap_or(0)
        };
        assert!(
            context.version() >= version,
            "round {round}: a step that was done is gone"
        );
        for (one, other) in [("a", "a2"), ("b", "b2"), ("c", "c2")] {
            assert_eq!(int(one), int(other), "round {round}: half a step");
        }
        // A kill may come before, between and after the steps of a turn, and cuts at most one turn a round.
        let rounds = i64::try_from(round).unwrap();
        for path in ["a", "b"] {
            assert!(
                (0..=rounds).contains(&(int(path) - int("c"))),
                "round {round}: {path} {} c {}",
                int(path),
                int("c")
            );
        }
        assert!(int("c") > before, "round {round}");
        before = int("c");
        context.close().unwrap();
    }
}
