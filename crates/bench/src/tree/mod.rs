//! The tree: a read beside LMDB's own and redb's, durable writes with and without company, and what watchers cost.
//!
//! In process: sockets would only blur the question. Everything is durable before its reply, the rivals too.

mod reads;
mod watchers;
mod writes;

use crate::measure::{Samples, alternate, table};
use quintet_tree::{Config, Path, Tree};
use std::{path, time::Duration};

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    window: Duration,
    /// Leaves that reads find.
    leaves: usize,
    /// Writes of one measurement of a fan-out.
    events: usize,
}

impl Effort {
    /// For figures.
    #[must_use]
    pub fn full(repetitions: usize) -> Self {
        Self {
            repetitions,
            window: Duration::from_secs(1),
            leaves: 100_000,
            events: 300,
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            window: Duration::from_millis(20),
            leaves: 100,
            events: 5,
        }
    }
}

/// A tree in a directory of its own.
struct Home {
    tree: Tree,
    dir: tempfile::TempDir,
}

impl Home {
    fn new(dir: &path::Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir_in(dir)?;
        let config = Config {
            map_bytes: 8 << 30,
            watch_queue_events: 65_536,
            ..Config::new(dir.path().join("tree"))
        };
        Ok(Self {
            tree: Tree::open(config)?,
            dir,
        })
    }
}

fn leaf(n: usize) -> anyhow::Result<Path> {
    Ok(Path::from_names(["users", &format!("u{n:06}"), "name"])?)
}

/// Measures and renders the tables. The stores live in directories below `dir`, on the disk that is to be measured.
///
/// # Errors
/// When a subject does not do what is being timed.
pub fn run(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let reading = reads::Bench::prepare(effort, dir)?;
    let read = table(
        "GET of one leaf",
        "ns",
        &alternate(reading.subjects(), effort.repetitions),
    );
    drop(reading);
    let writing = writes::Bench::prepare(effort, dir)?;
    let samples = alternate(writing.subjects(), effort.repetitions);
    let of = |samples: &[Samples], figure: usize| -> Vec<Samples> {
        samples.iter().map(|row| row.figure(figure)).collect()
    };
    let write = table("durable writes of 60 bytes", "per second", &of(&samples, 0));
    let waits = table("a durable write, p99", "ms", &of(&samples, 1));
    drop(writing);
    let watching = watchers::Bench::prepare(effort, dir)?;
    let samples = alternate(watching.subjects(), effort.repetitions);
    let told = table(
        "from the call of a write until the last watcher has it, median",
        "µs",
        &of(&samples, 0),
    );
    let told_late = table("the same, p99", "µs", &of(&samples, 1));
    let slowed = table("writes of 16 clients meanwhile", "per second", &of(&samples, 2));
    Ok([read, write, waits, told, told_late, slowed].join("\n\n"))
}

/// That the report names every row.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    for name in reads::NAMES.iter().chain(&writes::NAMES).chain(&watchers::NAMES) {
        anyhow::ensure!(report.contains(name), "the tree report has no row `{name}`");
    }
    Ok(())
}
