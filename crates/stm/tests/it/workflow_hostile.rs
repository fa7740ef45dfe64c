//! Hostile workflows: each is refused, or ended, within bounded time and within bounded memory. Memory is measured: each
//! file is read by a process of its own, which tells the most that it ever held.

use crate::workflow_run::pool;
use quintet_stm::{
    Context, Processes,
    workflow::{Plan, RunOptions, Status},
};
use rustix::process::{Resource, Rlimit};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const CHILD: &str = "QUINTET_STM_HOSTILE";

/// What a file of at most 2 MiB may take to be refused or run, in KiB: its text, its nodes, and the parser's own copy.
const MOST_KIB: u64 = 96 << 10;
/// What a process may take of a processor and of memory at all before the system ends it: far above what a file takes, and far
/// below what expanding or running it would.
const MOST_CPU_S: u64 = 20;
const MOST_ADDRESSES: u64 = 1 << 30;

/// What is to become of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    /// Accepted, because it is no more than a file may be. Running it ends at a limit.
    Fails,
}
use Fate::{Fails, Refused};

/// Texts that aliases repeat: few bytes in the file, a gigabyte if each were copied.
fn shared_texts(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!("description: &x \"{text}\"\nsteps: [{}]", "*x, ".repeat(999))
}

fn laughs() -> String {
    let levels: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1))
        .collect();
    format!("a0: &a0 [Pay]\n{levels}steps: *a29")
}

/// Flows that run each other many times at once: `width` to the power of `depth` steps.
fn flows(width: usize, depth: usize) -> String {
    let level = |n: usize| {
        format!(
            "  f{n}: [[{}]]\n",
            format!("{{flow: f{}}}, ", n + 1).repeat(width)
        )
    };
    let levels: String = (0..depth).map(level).collect();
    format!("flows:\n{levels}  f{depth}: [{{set: {{n: 1}}}}]\nsteps: [{{flow: f0}}]")
}

fn deep_blocks() -> String {
    let block = |inner: String, _| format!("{{if: true, then: [{inner}]}}");
    list(&(0..60).fold("Pay".to_owned(), block))
}

fn list(steps: &str) -> String {
    format!("steps: [{steps}]")
}

fn set(expression: &str) -> String {
    list(&format!("{{set: {{big: \"{expression}\"}}}}"))
}

/// A value that grows with each turn of a loop.
fn grown(start: &str, next: &str) -> String {
    list(&format!(
        "{{set: {{t: \"{start}\"}}}}, {{while: true, do: [{{set: {{t: \"{next}\"}}}}]}}"
    ))
}

fn each(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// What it is, what becomes of it, and the file.
type File = (&'static str, Fate, fn() -> String);

const FILES: &[File] = &[
    ("an alias bomb", Refused, laughs),
    ("a wide alias", Refused, || {
        format!("x: &x [{}]\n{}", "Pay, ".repeat(1000), list(&"*x, ".repeat(900)))
    }),
    ("a megabyte by alias", Refused, || shared_texts(1 << 20)),
    ("many texts by alias", Refused, || shared_texts(1 << 16)),
    ("an alias of itself", Refused, || "a: &a [*a]\nsteps: *a".into()),
    ("a deep list", Refused, || {
        list(&["[".repeat(100_000), "]".repeat(100_000)].concat())
    }),
    ("a deep list without an end", Refused, || {
        list(&"[".repeat(1_000_000))
    }),
    ("a deep map", Refused, || list(&"{".repeat(500_000))),
    ("a deep sequence", Refused, || "- ".repeat(500_000)),
    ("deep keys", Refused, || "a: ".repeat(500_000)),
    ("deep blocks", Refused, deep_blocks),
    ("too many bytes", Refused, || "x".repeat(3 << 20)),
    ("one long text", Refused, || {
        list(&format!("\"{}\"", "x".repeat(1 << 20)))
    }),
    ("one long key", Refused, || {
        format!("{}: 1\nsteps: [Pay]", "k".repeat(1 << 20))
    }),
    ("many keys", Refused, || {
        each(20_000, |n| format!("k{n}: 1\n")) + "steps: [Pay]"
    }),
    ("one key many times", Refused, || {
        "k: 1\n".repeat(100_000) + "steps: [Pay]"
    }),
    ("many unknown names", Refused, || {
        list(&each(19_000, |n| format!("Nobody{n}, ")))
    }),
    ("many anchors", Refused, || {
        list(&each(100_000, |n| format!("&a{n} x, ")))
    }),
    ("many values", Refused, || list(&"1, ".repeat(160_000))),
    ("many steps", Refused, || list(&"Pay, ".repeat(20_001))),
    ("many needs", Refused, || {
        let needs = "s0, ".repeat(400);
        list(&each(100, |n| {
            format!("{{id: s{n}, set: {{a: 1}}, needs: [{needs}]}}, ")
        }))
    }),
    ("a version that is none", Refused, || {
        "%YAML 9.9\n---\n!!binary |\n  x\n".into()
    }),
    ("a tag of Python", Refused, || {
        list("!!python/object:os.system [ls]")
    }),
    ("control characters", Refused, || "\u{0}\u{1}".into()),
    ("two documents", Refused, || {
        "steps: [Pay]\n---\nsteps: [Pay]".into()
    }),
    ("a deep expression", Refused, || set(&"(".repeat(4000))),
    ("a long expression", Refused, || set(&"1 + ".repeat(300_000))),
    ("a text that doubles", Fails, || {
        grown("'0123456789abcdef'", "t + t")
    }),
    ("a list that doubles", Fails, || grown("[1, 2, 3, 4]", "t + t")),
    ("a list in itself", Fails, || grown("[1]", "[t, t]")),
    ("a list a thousand times", Fails, || {
        let many = "t, ".repeat(1000);
        list(&format!(
            "{{set: {{t: \"[1, 2, 3, 4]\"}}}}, {{while: len(t) < 60000, do: [{{set: {{t: t + t}}}}]}}, \
             {{set: {{big: \"[{many}t]\"}}}}"
        ))
    }),
    ("an endless loop", Fails, || {
        list("{while: true, do: [{set: {n: \"get(n, 0) + 1\"}}]}")
    }),
    ("an endless loop of loops", Fails, || {
        list("{while: true, do: [{while: true, do: [{while: true, do: [{set: {n: 1}}]}]}]}")
    }),
    ("flows, two at a time", Fails, || flows(2, 30)),
    ("flows, a thousand at once", Fails, || flows(1_000, 6)),
    ("as large as may be", Fails, || {
        list(&format!("[{}]", "{set: {n: 1}}, ".repeat(20_000)))
    }),
];

/// Bytes of memory that this process has held at most, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn fate(source: &str) -> Fate {
    let Ok(plan) = Plan::parse(source, &Processes::new()) else {
        return Refused;
    };
    let report = plan.run(&Context::new("hostile"), &pool(2), RunOptions::default());
    assert_eq!(report.status, Status::Failed);
    Fails
}

/// Not a test of its own: reads one file and tells what that took.
#[test]
fn child() {
    let Some(name) = std::env::var_os(CHILD) else {
        return;
    };
    let (name, wanted, source) = FILES.iter().find(|(known, ..)| *known == name).unwrap();
    // What is beyond all bounds ends this process, and not the machine.
    let limit = |resource, most| {
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )
    };
    limit(Resource::As, MOST_ADDRESSES)
        .and_then(|()| limit(Resource::Cpu, MOST_CPU_S))
        .unwrap();
    let before = peak_kib();
    let began = Instant::now();
    let found = fate(&source());
    let took = began.elapsed();
    assert!(found == *wanted, "{name} has another fate");
    println!("took {} {}", peak_kib() - before, took.as_micros());
}

#[test]
fn hostile_files_end_within_bounded_time_and_memory() {
    let mut wrong = Vec::new();
    for (name, ..) in FILES {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "workflow_hostile::child", "--nocapture"])
            .env(CHILD, name)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let figures = told.lines().find_map(|line| line.strip_prefix("took "));
        let Some((kib, us)) = figures.and_then(|figures| figures.split_once(' ')) else {
            wrong.push(format!(
                "{name}: {told}{}",
                String::from_utf8_lossy(&output.stderr)
            ));
            continue;
        };
        let (kib, took): (u64, Duration) = (kib.parse().unwrap(), Duration::from_micros(us.parse().unwrap()));
        println!("{name}: {kib} KiB, {took:?}");
        if kib > MOST_KIB {
            wrong.push(format!("{name}: {kib} KiB in {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
