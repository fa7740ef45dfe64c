//! The block store: over HTTP beside its rivals, and in process: what a reader waits while writers commit.
//!
//! `http` is the port's bench; `ways` is what the ways to write and send a block cost by themselves. In process, one thread reads 4 KiB blocks one after the other; in the loaded rows another keeps 64 puts in flight, each flushed
//! before its reply. In process: sockets would only blur the question.

mod http;
mod reads;
mod ways;

pub use http::serve;

use crate::measure::{Samples, Subject, alternate, table};
use quintet_blockstore::Lookup;
use std::{path::Path, time::Duration};

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    window: Duration,
    preloaded: usize,
    http: http::Effort,
}

impl Effort {
    /// For figures: the rows that the aims are about in three minutes, or with `all` every row in an hour.
    #[must_use]
    pub fn full(repetitions: usize, all: bool) -> Self {
        let window = Duration::from_millis(if all { 2_000 } else { 600 });
        Self {
            repetitions,
            window,
            preloaded: 10_000,
            http: http::Effort {
                repetitions,
                window,
                full: all,
                smoke: false,
            },
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            window: Duration::from_millis(50),
            preloaded: 50,
            http: http::Effort {
                repetitions: 1,
                window: Duration::from_millis(50),
                full: false,
                smoke: true,
            },
        }
    }
}

const ROWS: [(&str, Lookup, bool); 4] = [
    ("index, no writers", Lookup::Index, false),
    ("controller, no writers", Lookup::Controller, false),
    ("index, 64 puts in flight", Lookup::Index, true),
    ("controller, 64 puts in flight", Lookup::Controller, true),
];

/// The tables of the bench in process, one per figure of a measurement.
const IN_PROCESS: [(&str, &str); 5] = [
    ("In process: GET 4 KiB, median", "µs"),
    ("In process: GET 4 KiB, p99", "µs"),
    ("In process: GET 4 KiB, p99.9", "µs"),
    ("In process: GETs", "per second"),
    ("In process: PUTs meanwhile, durability full", "per second"),
];

/// Measures and renders the tables whose title contains `only`. The store lives in a directory below `dir`, on the disk that
/// is to be measured.
///
/// # Errors
/// When the store does not do what is being timed, or no table has such a title.
pub fn run(effort: &Effort, only: &str, dir: &Path) -> anyhow::Result<String> {
    let mut parts: Vec<String> = http::run(effort.http, only, dir)?.into_iter().collect();
    if IN_PROCESS.iter().any(|(title, _)| title.contains(only)) {
        parts.push(in_process(effort, dir)?);
    }
    if ways::TITLE.contains(only) || only.starts_with(ways::TITLE) {
        parts.push(ways::run(effort, dir)?);
    }
    anyhow::ensure!(!parts.is_empty(), "no table has a title with `{only}` in it");
    Ok(parts.join("\n\n"))
}

fn in_process(effort: &Effort, dir: &Path) -> anyhow::Result<String> {
    let bench = reads::Bench::prepare(effort, dir)?;
    let mut subjects = Vec::new();
    for (name, lookup, loaded) in ROWS {
        let bench = &bench;
        subjects.push(Subject::several(name, move || bench.measure(lookup, loaded)));
    }
    let samples = alternate(subjects, effort.repetitions);
    let tables = IN_PROCESS.iter().enumerate().map(|(figure, (title, unit))| {
        let of: Vec<Samples> = samples.iter().map(|row| row.figure(figure)).collect();
        table(title, unit, &of)
    });
    Ok(tables.collect::<Vec<_>>().join("\n\n"))
}

/// That the report names every row.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    for (name, ..) in ROWS {
        anyhow::ensure!(report.contains(name), "the block report has no row `{name}`");
    }
    for name in [
        "quintet, epoll, relaxed",
        "GETs beside PUTs",
        "PUT 4 KiB, flushed",
        "Ways to write 4 KiB",
    ] {
        anyhow::ensure!(report.contains(name), "the block report has no `{name}`");
    }
    Ok(())
}
