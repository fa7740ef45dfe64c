//! Calls that wait for their answers: how many a second from 1 to 64 clients, and how long one takes that comes seldom,
//! alone and beside threads that take all cores.
//!
//! The rival does the same where it is asked, behind one mutex. A seldom call finds its shard asleep, so it pays for waking
//! it; beside other work it also pays for what the system's scheduler gives that work first.

use super::{CLIENTS, Engine, add, add_locked, credits};
use crate::{
    machine::cores,
    measure::{Samples, Subject, alternate},
};
use anyhow::Result;
use hdrhistogram::Histogram;
use quintet_core::Keyed;
use quintet_shard::ByKey;
use std::{
    collections::HashMap,
    hint::spin_loop,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 8] = [
    "calls by 1 client",
    "calls by 4 clients",
    "calls by 16 clients",
    "calls by 64 clients",
    "mutex by 1 client",
    "mutex by 4 clients",
    "mutex by 16 clients",
    "mutex by 64 clients",
];
pub(super) const SELDOM: [&str; 4] = [
    "p50, alone",
    "p99, alone",
    "p50, all cores taken",
    "p99, all cores taken",
];

/// Between two calls of a client that seldom calls.
const PAUSE: Duration = Duration::from_millis(2);

/// Thousands of calls a second.
pub(super) fn rates(engine: &Engine, calls: u64, repetitions: usize) -> Vec<Samples> {
    let map = Mutex::<HashMap<Vec<u8>, i64>>::default();
    let map = &map;
    let mut subjects = Vec::new();
    for (name, clients) in NAMES.into_iter().zip(CLIENTS) {
        subjects.push(Subject::new(name, move || {
            rate(clients, calls, |client, each| {
                let Ok(mut caller) = engine.caller(credits(), ByKey(Keyed::key)) else {
                    return 0;
                };
                let answered = |n: &u64| caller.call(add(client * calls + n)).is_ok();
                (0..each).filter(answered).count()
            })
        }));
    }
    for (name, clients) in NAMES[CLIENTS.len()..].iter().zip(CLIENTS) {
        subjects.push(Subject::new(name, move || {
            rate(clients, calls, |client, each| {
                (0..each).for_each(|n| add_locked(map, client * calls + n));
                each as usize
            })
        }));
    }
    alternate(subjects, repetitions)
}

/// `client` answers how many of its calls succeeded: only those count.
fn rate(clients: usize, calls: u64, client: impl Fn(u64, u64) -> usize + Sync) -> f64 {
    let each = calls / clients as u64;
    let answered = AtomicUsize::new(0);
    let from = Instant::now();
    thread::scope(|scope| {
        for number in 0..clients as u64 {
            let (client, answered) = (&client, &answered);
            scope.spawn(move || answered.fetch_add(client(number, each), Ordering::Relaxed));
        }
    });
    answered.into_inner() as f64 / from.elapsed().as_secs_f64() / 1e3
}

/// Microseconds that a call takes which comes every two milliseconds.
pub(super) fn seldom(engine: &Engine, calls: u64) -> Result<Vec<(&'static str, f64)>> {
    let alone = ask_seldom(engine, calls)?;
    let stop = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        let beside = ask_seldom(engine, calls);
        stop.store(true, Ordering::Relaxed);
        beside
    })?;
    let figures = [alone.0, alone.1, beside.0, beside.1];
    Ok(SELDOM.into_iter().zip(figures).collect())
}

fn ask_seldom(engine: &Engine, calls: u64) -> Result<(f64, f64)> {
    let mut caller = engine.caller(credits(), ByKey(Keyed::key))?;
    let mut nanoseconds = Histogram::<u64>::new(3)?;
    for n in 0..calls {
        thread::sleep(PAUSE);
        let from = Instant::now();
        caller.call(add(n))?;
        nanoseconds.record(from.elapsed().as_nanos() as u64)?;
    }
    let microseconds = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1e3;
    Ok((microseconds(0.5), microseconds(0.99)))
}
