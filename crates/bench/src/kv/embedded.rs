//! Maps that threads share: reads and writes of short values under short keys, uniform and zipfian.

use super::{Effort, grid};
use crate::measure::{Subject, alternate};
use anyhow::{Result, ensure};
use foldhash::fast::RandomState;
use quintet_core::SystemClock;
use quintet_kv::{Bytes, Config, Store, Value, Wait, cancellation};
use std::{
    collections::HashMap,
    sync::{Arc, Barrier, Mutex, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 8] = [
    "quintet-kv",
    "quintet-kv, TTLs and waiters",
    "dashmap",
    "papaya",
    "scc",
    "moka",
    "RwLock<HashMap>",
    "Mutex<HashMap>",
];

/// Percent of writes of each column.
const MIXES: [u64; 3] = [0, 5, 50];
const COLUMNS: [&str; 3] = ["reads, M/s", "5 % writes", "50 % writes"];

/// What is measured: a value is looked at, or replaced.
pub(super) trait Map: Sync {
    /// The length of the value, so that the look cannot be left out.
    fn get(&self, key: &[u8]) -> usize;
    fn set(&self, key: &[u8], value: &[u8]);
}

impl Map for Store {
    fn get(&self, key: &[u8]) -> usize {
        match Store::get(self, key) {
            Ok(Some(Value::Bytes(bytes))) => bytes.len(),
            _ => 0,
        }
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        // A store in memory without a limit refuses nothing; the check before the measurement would show it.
        let _done = Store::set(self, key, value);
    }
}

impl Map for dashmap::DashMap<Bytes, Bytes, RandomState> {
    fn get(&self, key: &[u8]) -> usize {
        let value: Option<Bytes> = dashmap::DashMap::get(self, key).map(|value| value.clone());
        value.map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

impl Map for papaya::HashMap<Bytes, Bytes, RandomState> {
    fn get(&self, key: &[u8]) -> usize {
        self.pin().get(key).cloned().map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.pin().insert(key.into(), value.into());
    }
}

impl Map for scc::HashMap<Bytes, Bytes, RandomState> {
    fn get(&self, key: &[u8]) -> usize {
        let value = self.read_sync(&Bytes::from(key), |_, value| value.clone());
        value.map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.upsert_sync(key.into(), value.into());
    }
}

impl Map for moka::sync::Cache<Bytes, Bytes, RandomState> {
    fn get(&self, key: &[u8]) -> usize {
        moka::sync::Cache::get(self, key).map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

type Plain = HashMap<Bytes, Bytes, RandomState>;

impl Map for RwLock<Plain> {
    fn get(&self, key: &[u8]) -> usize {
        let map = self.read().unwrap_or_else(PoisonError::into_inner);
        map.get(key).cloned().map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let mut map = self.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(key.into(), value.into());
    }
}

impl Map for Mutex<Plain> {
    fn get(&self, key: &[u8]) -> usize {
        let map = self.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(key).cloned().map_or(0, |value| value.len())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let mut map = self.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(key.into(), value.into());
    }
}

pub(super) fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

pub(super) fn key_names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("session:{n:08}")).collect()
}

/// Which keys are asked for, one after another, by everybody from a place of their own.
fn sequence(keys: usize, zipf: bool) -> Vec<u32> {
    let mut state = 42;
    let weights: Vec<f64> = (1..=keys).map(|rank| 1.0 / (rank as f64).powf(0.99)).collect();
    let total: f64 = weights.iter().sum();
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        })
        .collect();
    (0..1 << 17)
        .map(|_| {
            let dice = random(&mut state);
            if zipf {
                let at = (dice % (1 << 30)) as f64 / f64::from(1 << 30);
                let rank = sums.partition_point(|sum| *sum < at).min(keys - 1);
                // So that neighbours in rank are no neighbours in the map.
                (rank as u64 * 0x9e37_79b1 % keys as u64) as u32
            } else {
                (dice % keys as u64) as u32
            }
        })
        .collect()
}

/// Millions of operations a second.
fn rate(
    map: &dyn Map,
    names: &[String],
    order: &[u32],
    threads: usize,
    operations: usize,
    writes: u64,
) -> f64 {
    let (start, each) = (Barrier::new(threads), operations / threads);
    let spans = thread::scope(|scope| {
        let work = |thread: usize| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let begun = Instant::now();
                let (mut state, mut found, mut at) = (thread as u64 + 1, 0, thread * 7_919 % order.len());
                for _ in 0..each {
                    at = if at + 1 == order.len() { 0 } else { at + 1 };
                    let key = names[order[at] as usize].as_bytes();
                    if writes > 0 && random(&mut state) % 100 < writes {
                        map.set(key, b"a short value");
                    } else {
                        found += map.get(key);
                    }
                }
                std::hint::black_box(found);
                (begun, Instant::now())
            })
        };
        let threads: Vec<_> = (0..threads).map(work).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    millions_a_second(each * threads, spans)
}

/// From the first that began to the last that ended: with more threads than processors some have ended before others begin.
pub(super) fn millions_a_second(operations: usize, spans: Vec<(Instant, Instant)>) -> f64 {
    let first = spans.iter().map(|(begun, _)| *begun).min();
    let last = spans.iter().map(|(_, ended)| *ended).max();
    let seconds = match (first, last) {
        (Some(first), Some(last)) => (last - first).as_secs_f64(),
        _ => f64::INFINITY,
    };
    operations as f64 / seconds / 1e6
}

fn filled<M: Map>(map: M, names: &[String]) -> Result<M> {
    for name in names {
        map.set(name.as_bytes(), b"a value");
    }
    let found = names.iter().filter(|name| map.get(name.as_bytes()) == 7).count();
    ensure!(found == names.len(), "{found} of {} keys are found", names.len());
    Ok(map)
}

pub(super) fn plain() -> Plain {
    Plain::with_hasher(RandomState::default())
}

/// A store in which every key expires, in an hour, and somebody waits for keys of every other shard.
fn busy_store(names: &[String]) -> Result<Store> {
    let store = filled(
        Store::in_memory_with(Config::memory(), Arc::new(SystemClock))?,
        names,
    )?;
    for name in names {
        store.expire(name, Duration::from_secs(3600))?;
    }
    Ok(store)
}

pub(super) fn run(effort: &Effort) -> Result<Vec<String>> {
    let names = key_names(effort.keys);
    let hasher = RandomState::default;
    let capacity = 10 * effort.keys as u64;
    let busy = busy_store(&names)?;
    let maps: Vec<(&'static str, Box<dyn Map>)> = vec![
        (NAMES[0], Box::new(filled(Store::in_memory(), &names)?)),
        (NAMES[1], Box::new(busy.clone())),
        (
            NAMES[2],
            Box::new(filled(dashmap::DashMap::with_hasher(hasher()), &names)?),
        ),
        (
            NAMES[3],
            Box::new(filled(papaya::HashMap::with_hasher(hasher()), &names)?),
        ),
        (
            NAMES[4],
            Box::new(filled(scc::HashMap::with_hasher(hasher()), &names)?),
        ),
        (
            NAMES[5],
            Box::new(filled(
                moka::sync::Cache::builder()
                    .max_capacity(capacity)
                    .build_with_hasher(hasher()),
                &names,
            )?),
        ),
        (NAMES[6], Box::new(filled(RwLock::new(plain()), &names)?)),
        (NAMES[7], Box::new(filled(Mutex::new(plain()), &names)?)),
    ];
    let (guard, token) = cancellation();
    thread::scope(|scope| {
        for n in 0..128 {
            let (store, token) = (&busy, &token);
            scope.spawn(move || store.shift_wait(format!("jobs:{n}"), Wait::forever().or_cancelled(token)));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while busy.waiting() < 128 && Instant::now() < deadline {
            thread::yield_now();
        }
        let tables = tables(effort, &names, &maps);
        drop(guard);
        Ok(tables)
    })
}

fn tables(effort: &Effort, names: &[String], maps: &[(&'static str, Box<dyn Map>)]) -> Vec<String> {
    let mut tables = Vec::new();
    for (shape, zipf) in [("uniform", false), ("zipf 0.99", true)] {
        let order = sequence(names.len(), zipf);
        for threads in [1, 2, effort.crowd] {
            let subjects = maps.iter().map(|(name, map)| {
                let (map, order) = (&**map, &order);
                Subject::several(name, move || {
                    MIXES
                        .iter()
                        .map(|writes| rate(map, names, order, threads, effort.operations, *writes))
                        .collect()
                })
            });
            let samples = alternate(subjects.collect(), effort.repetitions);
            let title = format!("{} keys, {shape}, {threads} threads", names.len());
            tables.push(grid(&title, &COLUMNS, &samples));
        }
    }
    tables
}
