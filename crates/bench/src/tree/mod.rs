//! The tree: a read beside LMDB's own and redb's, durable writes with and without company, what watchers and rules cost;
//! and all of that over the port.
//!
//! What is compared with a rival runs in process: sockets would only blur the question. There everything is durable before
//! its reply, the rivals too.

mod http;
mod reads;
mod rules;
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
    /// Streams and idle connections beside a writer.
    streams: usize,
    /// Documents of each size that requests find.
    documents: usize,
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
            streams: 1000,
            documents: 1000,
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
            streams: 10,
            documents: 10,
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

/// The sections, as `--only` names them.
pub const SECTIONS: [&str; 7] = [
    "reads",
    "writes",
    "watchers",
    "rules",
    "documents",
    "ruled",
    "streams",
];

/// Measures and renders the tables of one section, or of all. The stores live in directories below `dir`, on the disk that
/// is to be measured.
///
/// # Errors
/// When a subject does not do what is being timed, or there is no such section.
pub fn run(effort: &Effort, dir: &path::Path, only: Option<&str>) -> anyhow::Result<String> {
    if let Some(only) = only {
        anyhow::ensure!(
            SECTIONS.contains(&only),
            "--only takes one of {}",
            SECTIONS.join(", ")
        );
    }
    let mut tables = Vec::new();
    for section in SECTIONS
        .into_iter()
        .filter(|name| only.is_none_or(|only| only == *name))
    {
        tables.push(match section {
            "reads" => read(effort, dir)?,
            "writes" => written(effort, dir)?,
            "watchers" => watched(effort, dir)?,
            "rules" => ruled(effort, dir)?,
            "documents" => http::documents(effort, dir)?,
            "ruled" => http::rules(effort, dir)?,
            _ => http::streams(effort, dir)?,
        });
    }
    Ok(tables.join("\n\n"))
}

/// One of several figures.
fn of(samples: &[Samples], figure: usize) -> Vec<Samples> {
    samples.iter().map(|row| row.figure(figure)).collect()
}

fn read(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let bench = reads::Bench::prepare(effort, dir)?;
    let samples = alternate(bench.subjects(), effort.repetitions);
    Ok(table("GET of one leaf", "ns", &samples))
}

fn written(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let bench = writes::Bench::prepare(effort, dir)?;
    let samples = alternate(bench.subjects(), effort.repetitions);
    let rate = table("durable writes of 60 bytes", "per second", &of(&samples, 0));
    let waits = table("a durable write, p99", "ms", &of(&samples, 1));
    Ok([rate, waits].join("\n"))
}

fn watched(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let bench = watchers::Bench::prepare(effort, dir)?;
    let samples = alternate(bench.subjects(), effort.repetitions);
    let told = table(
        "from the call of a write until the last watcher has it, median",
        "µs",
        &of(&samples, 0),
    );
    let late = table("the same, p99", "µs", &of(&samples, 1));
    let slowed = table("writes of 16 clients meanwhile", "per second", &of(&samples, 2));
    Ok([told, late, slowed].join("\n"))
}

fn ruled(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let bench = rules::Bench::prepare(effort, dir)?;
    let reads = alternate(bench.subjects(), effort.repetitions);
    let writes = alternate(bench.decision(), effort.repetitions);
    let reads = table("GET of one leaf under rules", "µs", &reads);
    Ok([reads, table("deciding alone", "µs", &writes)].join("\n"))
}

/// That the report names every row.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    let in_process = reads::NAMES.iter().chain(&writes::NAMES).chain(&watchers::NAMES);
    let of_rules = rules::NAMES.iter().chain(&rules::DECIDED);
    for name in in_process.chain(of_rules).chain(http::names()) {
        anyhow::ensure!(report.contains(name), "the tree report has no row `{name}`");
    }
    Ok(())
}
