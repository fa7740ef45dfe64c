//! The block port over real sockets beside nginx, lighttpd and plain files: PUT and GET at three sizes.
//!
//! Each server is a process with one worker on the first core, the load generator is on the second; the order alternates
//! from repetition to repetition and tables show medians. Rivals do not flush, so their row beside `relaxed` is the fair
//! one. Processor time is the server's, all threads; memory is anonymous memory at the end of the window.

mod files;
mod load;
mod plan;
mod process;
mod report;
mod serve;
mod subject;

pub use serve::serve;

use self::{
    load::{Job, Load, Requests, Tally},
    plan::{Cell, Row},
    subject::Server,
};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use std::{path::Path, time::Duration};

/// How long to measure, and how much of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) repetitions: usize,
    pub(super) window: Duration,
    /// All connections, sizes and durabilities, instead of those that the aims are about.
    pub(super) full: bool,
    /// One size, one server of each kind.
    pub(super) smoke: bool,
}

/// The length of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(usize);

impl Size {
    const ALL: [Self; 3] = [Self(4), Self(64), Self(512)];

    fn bytes(self) -> usize {
        self.0 << 10
    }

    /// How many blocks are read, at random: more than the processor's cache holds, less than the page cache.
    fn preloaded(self) -> usize {
        match self.0 {
            4 => 4096,
            64 => 512,
            _ => 96,
        }
    }
}

/// What one run of a cell showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    per_second: f64,
    mb_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    cpu_us: f64,
    anonymous_mib: f64,
    /// Flushes a second, and records in each; 0 where nothing is flushed.
    flushes_per_second: f64,
    per_flush: f64,
}

impl Figures {
    fn of(times: &Histogram<u64>, elapsed: Duration, size: Size, cpu_ns: u64, anonymous_kib: u64) -> Self {
        let (seconds, done) = (elapsed.as_secs_f64(), times.len() as f64);
        let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            per_second: done / seconds,
            mb_per_second: done * size.bytes() as f64 / 1e6 / seconds,
            p50_us: us(0.5),
            p99_us: us(0.99),
            p999_us: us(0.999),
            cpu_us: cpu_ns as f64 / 1e3 / done.max(1.0),
            anonymous_mib: anonymous_kib as f64 / 1024.0,
            ..Self::default()
        }
    }
}

/// Measures and renders every table whose title contains `only`; `None` = there is none. Files live in directories below
/// `dir`.
///
/// # Errors
/// When a subject does not do what is being timed.
pub(super) fn run(effort: Effort, only: &str, dir: &Path) -> anyhow::Result<Option<String>> {
    let (mut tables, absent) = plan::tables(effort);
    tables.retain(|table| table.title.contains(only));
    if tables.is_empty() {
        return Ok(None);
    }
    let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}, {eta} left: {msg}")?;
    let bar = ProgressBar::new((rows * effort.repetitions) as u64).with_style(style);
    let mut measured: Vec<Vec<Vec<Figures>>> = Vec::new();
    for table in &tables {
        let mut runs = vec![Vec::new(); table.rows.len()];
        for repetition in 0..effort.repetitions {
            let mut order: Vec<usize> = (0..table.rows.len()).collect();
            if repetition % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let row = &table.rows[at];
                bar.set_message(format!("{}: {}", table.title, row.name));
                runs[at].push(measure(row, effort.window, dir)?);
                bar.inc(1);
            }
        }
        measured.push(runs);
    }
    bar.finish_and_clear();
    Ok(Some(report::render(&tables, &measured, &absent)))
}

/// Runs one row once.
fn measure(row: &Row, window: Duration, dir: &Path) -> anyhow::Result<Figures> {
    match &row.cell {
        Cell::Files { job, size, flush } => {
            files::measure(*job, *size, *flush, size.preloaded(), window, dir)
        }
        Cell::Server {
            kind,
            size,
            gets,
            puts,
        } => {
            let server = Server::start(*kind, dir)?;
            let paths = if *gets > 0 {
                server.preload(*size, size.preloaded())?
            } else {
                Vec::new()
            };
            let (put_path, numbered) = server.put_path();
            let requests = Requests {
                paths,
                put_path,
                numbered,
                block_bytes: size.bytes(),
            };
            let jobs = [vec![Job::Get; *gets], vec![Job::Put; *puts]].concat();
            let mut load = Load::connect(server.address, &jobs, &requests)?;
            load.run(window / 4)?;
            let (cpu_ns, flushed) = (process::cpu_ns(server.pid()), server.flushes());
            let (gets_done, puts_done) = load.run(window)?;
            let cpu_ns = process::cpu_ns(server.pid()).saturating_sub(cpu_ns);
            let after = server.flushes();
            let tally: &Tally = if *gets > 0 { &gets_done } else { &puts_done };
            let memory = process::anonymous_kib(server.pid());
            let mut figures = Figures::of(&tally.times, tally.elapsed, *size, cpu_ns, memory);
            let flushes = (after.0 - flushed.0) as f64;
            figures.flushes_per_second = flushes / tally.elapsed.as_secs_f64();
            figures.per_flush = if flushes > 0.0 {
                (after.1 - flushed.1) as f64 / flushes
            } else {
                0.0
            };
            Ok(figures)
        }
    }
}

/// Bytes without a pattern, always the same.
pub(super) fn filler(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(len)
        .collect()
}
