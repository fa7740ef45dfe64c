//! Transactions that read four of 1024 variables.

use super::{ACCOUNTS, Effort, Sequence, async_atomically, rate};
use crate::measure::{Samples, Subject, alternate};
use quintet_stm::{Isolation, TVar, Transaction};
use std::hint::black_box;

pub(super) const NAMES: &[&str] = &[
    "fast-stm",
    "stm-core",
    "async-stm",
    "quintet safe",
    "quintet hybrid",
    "quintet raw",
];

fn ours(isolation: Isolation, threads: usize, each: u64) -> f64 {
    let variables: Vec<_> = (0..ACCOUNTS).map(|at| TVar::new(at as i64)).collect();
    let run = Transaction::new(isolation);
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let wanted: [usize; 4] = std::array::from_fn(|_| sequence.below(ACCOUNTS));
            let sum = run.run(|tx| {
                wanted
                    .iter()
                    .try_fold(0, |sum, at| Ok(sum + tx.read(&variables[*at])?))
            });
            assert!(sum.is_ok_and(|sum| black_box(sum) >= 0));
        }
    })
}

fn fast_stm(threads: usize, each: u64) -> f64 {
    let variables: Vec<_> = (0..ACCOUNTS).map(|at| ::fast_stm::TVar::new(at as i64)).collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let wanted: [usize; 4] = std::array::from_fn(|_| sequence.below(ACCOUNTS));
            let sum = ::fast_stm::atomically(|tx| {
                let mut sum = 0;
                for at in wanted {
                    sum += variables[at].read(tx)?;
                }
                Ok(sum)
            });
            black_box(sum);
        }
    })
}

fn stm_core(threads: usize, each: u64) -> f64 {
    let variables: Vec<_> = (0..ACCOUNTS).map(|at| ::stm_core::TVar::new(at as i64)).collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let wanted: [usize; 4] = std::array::from_fn(|_| sequence.below(ACCOUNTS));
            let sum = ::stm_core::atomically(|tx| {
                let mut sum = 0;
                for at in wanted {
                    sum += variables[at].read(tx)?;
                }
                Ok(sum)
            });
            black_box(sum);
        }
    })
}

fn async_stm(threads: usize, each: u64) -> f64 {
    let variables: Vec<_> = (0..ACCOUNTS)
        .map(|at| ::async_stm::TVar::new(at as i64))
        .collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let wanted: [usize; 4] = std::array::from_fn(|_| sequence.below(ACCOUNTS));
            let sum = async_atomically(|| {
                let mut sum = 0;
                for at in wanted {
                    sum += *variables[at].read()?;
                }
                Ok(sum)
            });
            black_box(sum);
        }
    })
}

pub(super) fn measure(effort: &Effort, threads: usize) -> anyhow::Result<Vec<Samples>> {
    let each = effort.transactions;
    let runs: [Box<dyn FnMut() -> f64>; 6] = [
        Box::new(move || fast_stm(threads, each)),
        Box::new(move || stm_core(threads, each)),
        Box::new(move || async_stm(threads, each)),
        Box::new(move || ours(Isolation::Safe, threads, each)),
        Box::new(move || ours(Isolation::Hybrid, threads, each)),
        Box::new(move || ours(Isolation::Raw, threads, each)),
    ];
    let subjects = NAMES.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}
