//! Transactions: the three levels beside other STMs, locks and atomics.
//!
//! Typed: a hot counter, transfers between two of 1024 accounts, reads of four of 1024. Contexts: one key of 10 000, and
//! the same ten keys in contexts of 10 to a million. One and two threads. Workflows: a step, planning it, two at once.

mod context;
mod counter;
mod read_four;
mod transfer;
mod workflow;

use crate::measure::{Samples, table};
use std::{
    pin::pin,
    task::{self, Poll, Waker},
    thread,
    time::Instant,
};

/// Accounts of the transfer and read workloads.
const ACCOUNTS: usize = 1024;

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    transactions: u64,
    sizes: &'static [usize],
}

impl Effort {
    /// For figures: some seconds per table.
    #[must_use]
    pub fn full(repetitions: usize) -> Self {
        Self {
            repetitions,
            transactions: 300_000,
            sizes: &[10, 1_000, 100_000, 1_000_000],
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            transactions: 300,
            sizes: &[10, 100],
        }
    }
}

/// Million transactions a second of `threads` threads that make `each` transactions each.
fn rate(threads: usize, each: u64, work: impl Fn(usize, u64) + Sync) -> f64 {
    let started = Instant::now();
    if threads == 1 {
        work(0, each);
    } else {
        thread::scope(|scope| {
            for at in 0..threads {
                let work = &work;
                scope.spawn(move || work(at, each));
            }
        });
    }
    (threads as u64 * each) as f64 / started.elapsed().as_secs_f64() / 1e6
}

/// Runs a transaction of async-stm. One that never retries is done at the first poll, so there is nothing to wait for.
fn async_atomically<T>(body: impl Fn() -> ::async_stm::Stm<T>) -> T {
    let mut transaction = pin!(::async_stm::atomically(body));
    let mut nobody = task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = transaction.as_mut().poll(&mut nobody) {
            return done;
        }
        thread::yield_now();
    }
}

/// A cheap sequence of numbers, the same for every subject.
struct Sequence(u64);

impl Sequence {
    fn new(thread: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (thread as u64 + 1) << 20)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    /// Two different ones.
    fn pair(&mut self, bound: usize) -> (usize, usize) {
        let first = self.below(bound);
        (first, (first + 1 + self.below(bound - 1)) % bound)
    }
}

/// Checks every subject, measures, and renders the tables; only those whose titles contain `only`, if it is given.
///
/// # Errors
/// When a subject does not do what is being timed; when no title fits.
pub fn run(effort: &Effort, only: Option<&str>) -> anyhow::Result<String> {
    type Measure = fn(&Effort, usize) -> anyhow::Result<Vec<Samples>>;
    const BY_THREADS: [(&str, Measure); 4] = [
        ("hot counter", counter::measure),
        ("transfer over 1024", transfer::measure),
        ("read 4 of 1024", read_four::measure),
        ("update 1 of 10 000 keys", context::measure),
    ];
    let mut tables = Vec::new();
    let mut add = |title: &str, unit, measure: &dyn Fn() -> anyhow::Result<Vec<Samples>>| {
        if only.is_none_or(|only| title.contains(only)) {
            tables.push(table(title, unit, &measure()?));
        }
        anyhow::Ok(())
    };
    for threads in [1, 2] {
        for (what, measure) in BY_THREADS {
            let title = format!("{what}, {threads} thread(s)");
            add(&title, "M tx/s", &|| measure(effort, threads))?;
        }
    }
    let sizes = "update 1 of the same 10 keys in a context of N";
    add(sizes, "M tx/s", &|| context::sizes(effort))?;
    add("workflow: a step", "us", &|| workflow::costs(effort))?;
    add("workflow: planning a step", "us", &|| workflow::plans(effort))?;
    add("workflow: steps of 1 ms", "steps/s", &|| workflow::speed(effort))?;
    anyhow::ensure!(!tables.is_empty(), "no table is called like that");
    Ok(tables.join("\n\n"))
}

/// That the report names every subject.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    for name in counter::NAMES
        .iter()
        .chain(transfer::NAMES)
        .chain(read_four::NAMES)
        .chain(context::NAMES)
        .chain(workflow::COSTS)
        .chain(workflow::PLANS)
        .chain(workflow::SPEED)
    {
        anyhow::ensure!(report.contains(name), "the report has no row `{name}`");
    }
    Ok(())
}
