//! The datastore beside concurrent maps in the process, and its Redis port beside redis-server.
//!
//! Every map holds the same keys, hashes with the same function, and is asked for the same keys in the same order. The port
//! and redis-server are processes of their own, driven by redis-benchmark; what they spend is read from the kernel.

mod embedded;
mod hand_off;
mod process;
mod resp;
mod sessions;

pub use process::serve;

use crate::measure::Samples;
use anyhow::{Result, ensure};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    /// Keys in each map.
    keys: usize,
    /// Operations of each measurement of a map, over all threads.
    operations: usize,
    /// Threads of the measurements with many.
    crowd: usize,
    /// Operations of each of the design's thousand workers.
    worker_operations: usize,
    workers: usize,
    hand_offs: usize,
    /// Requests of each run of redis-benchmark, times the depth of its pipeline.
    requests: usize,
    /// Keys whose memory is weighed, a tenth of the most: tables double, so that each count favours somebody.
    weighed_tenth: usize,
}

impl Effort {
    /// For figures.
    #[must_use]
    pub fn full(repetitions: usize) -> Self {
        Self {
            repetitions,
            keys: 100_000,
            operations: 1_000_000,
            crowd: 64,
            worker_operations: 1_000,
            workers: 1_000,
            hand_offs: 5_000,
            requests: 60_000,
            weighed_tenth: 100_000,
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            keys: 1_000,
            operations: 8_000,
            crowd: 8,
            worker_operations: 10,
            workers: 50,
            hand_offs: 50,
            requests: 500,
            weighed_tenth: 200,
        }
    }
}

/// Which part to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// The maps, the scenario of the design, and the hand-off.
    Embedded,
    /// The port beside redis-server.
    Resp,
}

/// Checks that every subject does its work, measures, and renders the tables.
///
/// # Errors
/// When a subject answers wrongly or a process cannot be started.
pub fn run(effort: &Effort, part: Part) -> Result<String> {
    let mut tables = Vec::new();
    if part != Part::Resp {
        tables.extend(embedded::run(effort)?);
        tables.extend(sessions::run(effort)?);
        tables.push(hand_off::run(effort)?);
    }
    if part != Part::Embedded {
        tables.extend(resp::run(effort)?);
    }
    Ok(tables.join("\n\n"))
}

/// That the report names every subject.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> Result<()> {
    for name in embedded::NAMES
        .iter()
        .chain(&sessions::NAMES)
        .chain(&hand_off::NAMES)
    {
        ensure!(report.contains(name), "the kv report has no row `{name}`");
    }
    ensure!(
        report.contains("redis-server") || report.contains("skipped"),
        "the kv report says nothing of redis-server"
    );
    Ok(())
}

/// One row a subject, one column a figure, medians with the ratio to the first subject in brackets.
fn grid(title: &str, columns: &[&str], samples: &[Samples]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once(title).chain(columns.iter().copied()));
    for subject in samples {
        let cells = (0..columns.len()).map(|at| {
            let (figure, first) = (subject.figure(at), samples[0].figure(at));
            let ratio = figure.ratio_to(&first);
            format!("{:.2} ({ratio:.2})", figure.median())
        });
        table.add_row(std::iter::once(subject.name.to_owned()).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
