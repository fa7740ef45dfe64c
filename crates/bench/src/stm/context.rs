//! Contexts: add one to a random key of 10 000, and to one of the same ten keys however many others there are. The other
//! STMs have no named values: they get a hash map of variables that nobody changes while they run.

use super::{Effort, Sequence, async_atomically, rate};
use crate::measure::{Samples, Subject, alternate};
use dashmap::DashMap;
use quintet_stm::{Context, Isolation};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

pub(super) const NAMES: &[&str] = &[
    "dashmap",
    "mutex of a hash map",
    "hash map of fast-stm",
    "hash map of stm-core",
    "hash map of async-stm",
    "context safe",
    "context hybrid",
    "context commutative",
    "context raw",
];

const KEYS: usize = 10_000;

fn name(at: usize) -> String {
    format!("state.k{at}")
}

/// A context with this many numbers.
fn filled(keys: usize) -> anyhow::Result<Context> {
    let context = Context::new("bench");
    for first in (0..keys).step_by(10_000) {
        context.run(Isolation::Hybrid, |tx| {
            (first..keys.min(first + 10_000)).try_for_each(|at| tx.set(&name(at), 0_i64))
        })?;
    }
    Ok(context)
}

#[derive(Clone, Copy)]
enum How {
    ReadAndWrite(Isolation),
    Increment(Isolation),
}

fn ours(context: &Context, names: &[String], how: How, threads: usize, each: u64) -> f64 {
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let name = &names[sequence.below(names.len())];
            let done = match how {
                How::ReadAndWrite(isolation) => context.run(isolation, |tx| {
                    let now = tx.get_int(name)?;
                    tx.set(name, now + 1)
                }),
                How::Increment(Isolation::Raw) => context.increment_raw(name, 1),
                How::Increment(isolation) => context.run(isolation, |tx| tx.increment(name, 1)),
            };
            assert!(done.is_ok());
        }
    })
}

fn dashmap(map: &DashMap<String, i64>, names: &[String], threads: usize, each: u64) -> f64 {
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            if let Some(mut value) = map.get_mut(&names[sequence.below(names.len())]) {
                *value += 1;
            }
        }
    })
}

fn mutex(map: &Mutex<HashMap<String, i64>>, names: &[String], threads: usize, each: u64) -> f64 {
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = map.get_mut(&names[sequence.below(names.len())]) {
                *value += 1;
            }
        }
    })
}

fn fast_stm(names: &[String], threads: usize, each: u64) -> f64 {
    let map: HashMap<&str, _> = names
        .iter()
        .map(|name| (name.as_str(), ::fast_stm::TVar::new(0_i64)))
        .collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            if let Some(variable) = map.get(names[sequence.below(names.len())].as_str()) {
                ::fast_stm::atomically(|tx| {
                    let now = variable.read(tx)?;
                    variable.write(tx, now + 1)
                });
            }
        }
    })
}

fn stm_core(names: &[String], threads: usize, each: u64) -> f64 {
    let map: HashMap<&str, _> = names
        .iter()
        .map(|name| (name.as_str(), ::stm_core::TVar::new(0_i64)))
        .collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            if let Some(variable) = map.get(names[sequence.below(names.len())].as_str()) {
                ::stm_core::atomically(|tx| {
                    let now = variable.read(tx)?;
                    variable.write(tx, now + 1)
                });
            }
        }
    })
}

fn async_stm(names: &[String], threads: usize, each: u64) -> f64 {
    let map: HashMap<&str, _> = names
        .iter()
        .map(|name| (name.as_str(), ::async_stm::TVar::new(0_i64)))
        .collect();
    rate(threads, each, |thread, each| {
        let mut sequence = Sequence::new(thread);
        for _ in 0..each {
            if let Some(variable) = map.get(names[sequence.below(names.len())].as_str()) {
                async_atomically(|| {
                    let now = *variable.read()?;
                    variable.write(now + 1)
                });
            }
        }
    })
}

pub(super) fn measure(effort: &Effort, threads: usize) -> anyhow::Result<Vec<Samples>> {
    let each = effort.transactions;
    let names: Vec<_> = (0..KEYS).map(name).collect();
    let context = filled(KEYS)?;
    let dash: DashMap<String, i64> = names.iter().map(|name| (name.clone(), 0)).collect();
    let locked = Mutex::new(names.iter().map(|name| (name.clone(), 0)).collect());
    let with = |how| {
        let (context, names) = (&context, &names);
        move || ours(context, names, how, threads, each)
    };
    let subjects = vec![
        Subject::new(NAMES[0], || dashmap(&dash, &names, threads, each)),
        Subject::new(NAMES[1], || mutex(&locked, &names, threads, each)),
        Subject::new(NAMES[2], || fast_stm(&names, threads, each)),
        Subject::new(NAMES[3], || stm_core(&names, threads, each)),
        Subject::new(NAMES[4], || async_stm(&names, threads, each)),
        Subject::new(NAMES[5], with(How::ReadAndWrite(Isolation::Safe))),
        Subject::new(NAMES[6], with(How::ReadAndWrite(Isolation::Hybrid))),
        Subject::new(NAMES[7], with(How::Increment(Isolation::Hybrid))),
        Subject::new(NAMES[8], with(How::Increment(Isolation::Raw))),
    ];
    Ok(alternate(subjects, effort.repetitions))
}

/// Hybrid transactions over ten keys of contexts of several sizes.
pub(super) fn sizes(effort: &Effort) -> anyhow::Result<Vec<Samples>> {
    const TITLES: [&str; 4] = ["N = 10", "N = 1 000", "N = 100 000", "N = 1 000 000"];
    let each = effort.transactions;
    let contexts = effort
        .sizes
        .iter()
        .map(|keys| filled(*keys))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let names: Vec<_> = (0..10).map(name).collect();
    let subjects = contexts.iter().zip(TITLES).map(|(context, title)| {
        let names = &names;
        Subject::new(title, move || {
            ours(context, names, How::ReadAndWrite(Isolation::Hybrid), 1, each)
        })
    });
    Ok(alternate(subjects.collect(), effort.repetitions))
}
