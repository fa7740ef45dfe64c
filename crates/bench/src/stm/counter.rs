//! One counter that everybody increments.

use super::{Effort, async_atomically, rate};
use crate::measure::{Samples, Subject, alternate};
use quintet_stm::{Counter, Isolation, TVar, Transaction};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

pub(super) const NAMES: &[&str] = &[
    "fast-stm",
    "stm-core",
    "async-stm",
    "quintet safe",
    "quintet hybrid",
    "quintet raw, commutative",
    "quintet commutative",
    "quintet striped",
    "mutex",
    "atomic",
];

fn ours(isolation: Isolation, threads: usize, each: u64) -> f64 {
    let counter = TVar::new(0_i64);
    let run = Transaction::new(isolation);
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            let done = run.run(|tx| {
                let now = tx.read(&counter)?;
                tx.write(&counter, now + 1)
            });
            assert!(done.is_ok());
        }
    });
    assert_eq!(counter.get() as u64, threads as u64 * each);
    rate
}

fn commutative(isolation: Isolation, threads: usize, each: u64) -> f64 {
    let counter = TVar::new(0_i64);
    let run = Transaction::new(isolation);
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            assert!(run.run(|tx| tx.increment(&counter, 1)).is_ok());
        }
    });
    assert_eq!(counter.get() as u64, threads as u64 * each);
    rate
}

fn striped(threads: usize, each: u64) -> f64 {
    let counter = Counter::new();
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            assert!(quintet_stm::atomically(|tx| tx.count(&counter, 1)).is_ok());
        }
    });
    assert_eq!(counter.get() as u64, threads as u64 * each);
    rate
}

fn fast_stm(threads: usize, each: u64) -> f64 {
    let counter = ::fast_stm::TVar::new(0_i64);
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            ::fast_stm::atomically(|tx| {
                let now = counter.read(tx)?;
                counter.write(tx, now + 1)
            });
        }
    });
    assert_eq!(counter.read_atomic() as u64, threads as u64 * each);
    rate
}

fn stm_core(threads: usize, each: u64) -> f64 {
    let counter = ::stm_core::TVar::new(0_i64);
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            ::stm_core::atomically(|tx| {
                let now = counter.read(tx)?;
                counter.write(tx, now + 1)
            });
        }
    });
    assert_eq!(counter.read_atomic() as u64, threads as u64 * each);
    rate
}

fn async_stm(threads: usize, each: u64) -> f64 {
    let counter = ::async_stm::TVar::new(0_i64);
    let rate = rate(threads, each, |_, each| {
        for _ in 0..each {
            async_atomically(|| {
                let now = *counter.read()?;
                counter.write(now + 1)
            });
        }
    });
    assert_eq!(
        async_atomically(|| counter.read_clone()) as u64,
        threads as u64 * each
    );
    rate
}

fn mutex(threads: usize, each: u64) -> f64 {
    let counter = Mutex::new(0_i64);
    rate(threads, each, |_, each| {
        for _ in 0..each {
            *counter.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    })
}

fn atomic(threads: usize, each: u64) -> f64 {
    let counter = AtomicI64::new(0);
    rate(threads, each, |_, each| {
        for _ in 0..each {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    })
}

pub(super) fn measure(effort: &Effort, threads: usize) -> anyhow::Result<Vec<Samples>> {
    let each = effort.transactions;
    let runs: [Box<dyn FnMut() -> f64>; 10] = [
        Box::new(move || fast_stm(threads, each)),
        Box::new(move || stm_core(threads, each)),
        Box::new(move || async_stm(threads, each)),
        Box::new(move || ours(Isolation::Safe, threads, each)),
        Box::new(move || ours(Isolation::Hybrid, threads, each)),
        Box::new(move || commutative(Isolation::Raw, threads, each)),
        Box::new(move || commutative(Isolation::Hybrid, threads, each)),
        Box::new(move || striped(threads, each)),
        Box::new(move || mutex(threads, each)),
        Box::new(move || atomic(threads, each)),
    ];
    let subjects = NAMES.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}
