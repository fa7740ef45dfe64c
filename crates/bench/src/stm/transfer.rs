//! Transfers between two of 1024 accounts; the total is checked after each run, except for raw.

use super::{ACCOUNTS, Effort, Sequence, async_atomically, rate};
use crate::measure::{Samples, Subject, alternate};
use quintet_stm::{Isolation, TVar, Transaction};
use std::sync::{Mutex, PoisonError};

pub(super) const NAMES: &[&str] = &[
    "fast-stm",
    "stm-core",
    "async-stm",
    "quintet safe",
    "quintet hybrid",
    "quintet raw",
    "ordered mutexes",
];

fn ours(isolation: Isolation, threads: usize, each: u64) -> f64 {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| TVar::new(100_i64)).collect();
    let run = Transaction::new(isolation);
    let rate = rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let (from, to) = sequence.pair(ACCOUNTS);
            let done = run.run(|tx| {
                let (a, b) = (tx.read(&accounts[from])?, tx.read(&accounts[to])?);
                tx.write(&accounts[from], a - 1)?;
                tx.write(&accounts[to], b + 1)
            });
            assert!(done.is_ok());
        }
    });
    let total: i64 = accounts.iter().map(TVar::get).sum();
    assert!(isolation == Isolation::Raw || total == 100 * ACCOUNTS as i64);
    rate
}

fn fast_stm(threads: usize, each: u64) -> f64 {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| ::fast_stm::TVar::new(100_i64)).collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let (from, to) = sequence.pair(ACCOUNTS);
            ::fast_stm::atomically(|tx| {
                let (a, b) = (accounts[from].read(tx)?, accounts[to].read(tx)?);
                accounts[from].write(tx, a - 1)?;
                accounts[to].write(tx, b + 1)
            });
        }
    })
}

fn stm_core(threads: usize, each: u64) -> f64 {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| ::stm_core::TVar::new(100_i64)).collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let (from, to) = sequence.pair(ACCOUNTS);
            ::stm_core::atomically(|tx| {
                let (a, b) = (accounts[from].read(tx)?, accounts[to].read(tx)?);
                accounts[from].write(tx, a - 1)?;
                accounts[to].write(tx, b + 1)
            });
        }
    })
}

fn async_stm(threads: usize, each: u64) -> f64 {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| ::async_stm::TVar::new(100_i64)).collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let (from, to) = sequence.pair(ACCOUNTS);
            async_atomically(|| {
                let (a, b) = (*accounts[from].read()?, *accounts[to].read()?);
                accounts[from].write(a - 1)?;
                accounts[to].write(b + 1)
            });
        }
    })
}

fn mutexes(threads: usize, each: u64) -> f64 {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| Mutex::new(100_i64)).collect();
    let lock = |at: usize| accounts[at].lock().unwrap_or_else(PoisonError::into_inner);
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let (from, to) = sequence.pair(ACCOUNTS);
            let (mut low, mut high) = (lock(from.min(to)), lock(from.max(to)));
            *low -= 1;
            *high += 1;
        }
    })
}

pub(super) fn measure(effort: &Effort, threads: usize) -> anyhow::Result<Vec<Samples>> {
    let each = effort.transactions;
    let runs: [Box<dyn FnMut() -> f64>; 7] = [
        Box::new(move || fast_stm(threads, each)),
        Box::new(move || stm_core(threads, each)),
        Box::new(move || async_stm(threads, each)),
        Box::new(move || ours(Isolation::Safe, threads, each)),
        Box::new(move || ours(Isolation::Hybrid, threads, each)),
        Box::new(move || ours(Isolation::Raw, threads, each)),
        Box::new(move || mutexes(threads, each)),
    ];
    let subjects = NAMES.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}
