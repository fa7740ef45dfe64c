//! How long an item takes from the call that brings it to the return of the one that waits for it.
//!
//! The one that brings it keeps its core awake; the one that waits has gone to sleep before.

use super::{Effort, grid};
use crate::measure::{Subject, alternate};
use anyhow::Result;
use quintet_kv::{Store, Value, Wait};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 2] = ["shift_wait hand-off", "std::sync::mpsc hand-off"];

/// Long enough for the other side to fall asleep.
const PAUSE: Duration = Duration::from_micros(200);

fn pause() {
    let begun = Instant::now();
    while begun.elapsed() < PAUSE {
        std::hint::spin_loop();
    }
}

/// The 50th and the 99th percentile, in microseconds.
fn percentiles(mut took_ns: Vec<u64>) -> Vec<f64> {
    took_ns.sort_unstable();
    let at = |percent: usize| took_ns[(took_ns.len() - 1) * percent / 100] as f64 / 1000.0;
    vec![at(50), at(99)]
}

fn store(count: usize) -> Vec<f64> {
    let store = Store::in_memory();
    let zero = Instant::now();
    let now = || i64::try_from(zero.elapsed().as_nanos()).unwrap_or(i64::MAX);
    let took = thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            (0..count)
                .map(|_| match store.shift_wait("jobs", Wait::forever()) {
                    Ok(Some(Value::Int(sent))) => now().saturating_sub(sent).unsigned_abs(),
                    _ => u64::MAX,
                })
                .collect()
        });
        for _ in 0..count {
            pause();
            // A store in memory refuses nothing; a lost item would end in a wait that everybody sees.
            let _len = store.push("jobs", now());
        }
        waiter.join().unwrap_or_else(|_| vec![u64::MAX])
    });
    percentiles(took)
}

fn channel(count: usize) -> Vec<f64> {
    let (sender, receiver) = mpsc::sync_channel::<Instant>(count);
    let took = thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            (0..count)
                .filter_map(|_| receiver.recv().ok())
                .map(|sent| u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX))
                .collect()
        });
        for _ in 0..count {
            pause();
            let _open = sender.send(Instant::now());
        }
        waiter.join().unwrap_or_else(|_| vec![u64::MAX])
    });
    percentiles(took)
}

pub(super) fn run(effort: &Effort) -> Result<String> {
    let count = effort.hand_offs;
    let subjects = vec![
        Subject::several(NAMES[0], move || store(count)),
        Subject::several(NAMES[1], move || channel(count)),
    ];
    let samples = alternate(subjects, effort.repetitions);
    Ok(grid(
        "an item for one that sleeps",
        &["p50, µs", "p99, µs"],
        &samples,
    ))
}
