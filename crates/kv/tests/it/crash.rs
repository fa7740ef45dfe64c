//! Power cuts and failed I/O: what was acknowledged comes back, records whole or not at all, snapshots taken meanwhile.

use crate::conformance::config;
use quintet_core::{Durability, Error, ErrorKind, Result, SystemClock};
use quintet_kv::{Config, Store, Value};
use quintet_log::{
    CrashDirectory, Directory, Fault, MemDirectory,
    conformance::durable::{Durable, Workload, survives_every_fault, survives_power_cuts},
};
use std::{sync::Arc, thread};

/// Value n stands under the key n, and the counter says n + 1: both at one moment. Every value goes through a list, too.
struct Values {
    store: Store,
    count: u64,
    commits: u64,
    durability: Durability,
}

fn open(directory: Arc<dyn Directory>, durability: Durability) -> Result<Box<dyn Durable>> {
    let config = Config {
        max_value_bytes: 1024,
        segment_bytes: 65 << 10,
        ..config(durability)
    };
    let store = Store::open(config, directory, Arc::new(SystemClock))?;
    let mut values = Values {
        store,
        count: 0,
        commits: 0,
        durability,
    };
    values.count = values.values()?.len() as u64;
    Ok(Box::new(values))
}

fn contradiction(what: String) -> Error {
    Error::new(ErrorKind::Corrupted, what)
}

impl Durable for Values {
    fn push(&mut self, value: u64) -> Result<()> {
        let entries = [
            (format!("v{}", self.count), Value::Int(value as i64)),
            ("count".to_owned(), Value::Int(self.count as i64 + 1)),
            (
                format!("padding{}", value % 7),
                Value::from(&vec![7; (value % 600) as usize][..]),
            ),
        ];
        self.store.mset(&entries)?;
        self.count += 1;
        self.store.push("list", value as i64)?;
        while self.store.get("list")?.and_then(|list| list.len()) > Some(3) {
            self.store.shift("list")?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<u64> {
        self.commits += 1;
        if self.commits.is_multiple_of(4) {
            self.store.snapshot()?;
        }
        if self.durability != Durability::Full {
            self.store.sync()?;
        }
        Ok(self.count)
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        let number = |value: Option<Value>| match value {
            Some(Value::Int(value)) => Ok(value as u64),
            other => Err(contradiction(format!("{other:?} is no number"))),
        };
        let count = match self.store.get("count")? {
            None => 0,
            some => number(some)?,
        };
        if self.store.exists(format!("v{count}"))? {
            return Err(contradiction(format!(
                "value {count} is there, the counter does not count it"
            )));
        }
        let list = self.store.get("list")?.and_then(|list| list.len()).unwrap_or(0);
        // Each of the two cuts may have come between a push and the shift that follows it.
        if list > 5 || (count > 4 && list < 2) {
            return Err(contradiction(format!(
                "{list} items are in the list after {count} values"
            )));
        }
        (0..count)
            .map(|n| number(self.store.get(format!("v{n}"))?))
            .collect()
    }
}

const WORK: Workload = Workload { values: 40, batch: 3 };

fn cut(durability: Durability, seed: u64) {
    let images = 60 * crate::crash_rounds(10) as u64;
    let looked_at =
        survives_power_cuts(&|directory| open(directory, durability), WORK, images, seed).unwrap();
    assert_eq!(looked_at, 2 * images);
}

#[test]
fn power_cuts_at_level_full() {
    cut(Durability::Full, 2);
}

#[test]
fn power_cuts_at_level_interval_keep_what_was_synced() {
    cut(Durability::Interval, 3);
}

#[test]
fn power_cuts_at_level_relaxed_keep_what_was_synced() {
    cut(Durability::Relaxed, 4);
}

#[test]
fn every_io_fails_once_in_every_way() {
    for durability in [Durability::Full, Durability::Interval] {
        for fault in Fault::ALL {
            for sticky in [false, true] {
                let work = Workload { values: 12, batch: 2 };
                let open = |directory| open(directory, durability);
                let faults = survives_every_fault(&open, work, fault, sticky).unwrap();
                assert!(faults > 20, "only {faults} faults were tried");
            }
        }
    }
}

/// A killed process loses nothing that was acknowledged, at any level with a log: the kernel has it.
#[test]
fn a_kill_loses_nothing_at_any_level() {
    for durability in Durability::ALL {
        let directory = CrashDirectory::new();
        let store = Store::open(
            config(durability),
            Arc::new(directory.clone()),
            Arc::new(SystemClock),
        )
        .unwrap();
        for n in 0..50 {
            store.increment("n", 1).unwrap();
            store.push("l", n).unwrap();
            let left = Arc::new(directory.now());
            let again = Store::open(config(durability), left, Arc::new(SystemClock)).unwrap();
            assert_eq!(again.get("n").unwrap(), Some(Value::Int(n + 1)), "{durability}");
            assert_eq!(
                again.get("l").unwrap().and_then(|list| list.len()),
                Some(n as usize + 1)
            );
        }
    }
}

/// Snapshots are taken while four threads change everything; what is reopened is what was there.
#[test]
fn a_snapshot_taken_while_all_write_is_replayed_over() {
    for round in 0..6_u64 {
        let directory = MemDirectory::new();
        let settings = || Config {
            segment_bytes: 4 << 20,
            ..config(Durability::Interval)
        };
        let store = Store::open(settings(), Arc::new(directory.clone()), Arc::new(SystemClock)).unwrap();
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let store = &store;
                scope.spawn(move || {
                    let mut random = round * 4 + thread + 1;
                    for _ in 0..800 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        change(store, random >> 33);
                    }
                });
            }
            for _ in 0..5 {
                store.snapshot().unwrap();
            }
        });
        let mut before: Vec<_> = store.keys();
        before.sort();
        let values: Vec<_> = before.iter().map(|key| store.get(key).unwrap()).collect();
        let totals = store.size_bytes();
        store.close().unwrap();
        drop(store);
        let again = Store::open(settings(), Arc::new(directory.clone()), Arc::new(SystemClock)).unwrap();
        let mut after = again.keys();
        after.sort();
        assert_eq!(after, before, "round {round}");
        for (key, value) in before.iter().zip(values) {
            assert_eq!(again.get(key).unwrap(), value, "round {round}, key {key:?}");
        }
        assert_eq!(
            again.size_bytes(),
            totals,
            "round {round}: sizes are counted alike"
        );
        drop(again);
        let read_only = Config {
            read_only: true,
            ..settings()
        };
        let look = Store::open(read_only, Arc::new(directory), Arc::new(SystemClock)).unwrap();
        assert_eq!(look.len(), before.len());
        assert_eq!(look.set("k", 1).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}

fn change(store: &Store, random: u64) {
    let (list, other) = (format!("l{}", random % 3), format!("l{}", random / 3 % 3));
    let name = format!("s{}", random / 9 % 5);
    // Refusals are part of the game: what is refused must leave no trace in the log either.
    let _outcome = match random / 45 % 9 {
        0 | 1 => store.push(&list, random as i64).map(drop),
        2 => store.shift(&list).map(drop),
        3 => store
            .transfer((&list, quintet_kv::End::Back), (&other, quintet_kv::End::Front))
            .map(drop),
        4 => store.increment(&name, 3).map(drop),
        5 => store.delete(&list).map(drop),
        6 => store.rename(&list, &name).map(drop),
        7 => store.rename(&name, &list).map(drop),
        _ => store.mset(&[(name.as_str(), Value::Int(1)), ("all", Value::Int(random as i64))]),
    };
}

#[test]
fn damage_is_named_and_not_opened() {
    let directory = MemDirectory::new();
    let store = Store::open(
        config(Durability::Full),
        Arc::new(directory.clone()),
        Arc::new(SystemClock),
    )
    .unwrap();
    store.set("k", "value").unwrap();
    store.snapshot().unwrap();
    drop(store);
    let mut bytes = directory.bytes("kv.snapshot").unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    directory.insert("kv.snapshot", bytes);
    let error = Store::open(
        config(Durability::Full),
        Arc::new(directory),
        Arc::new(SystemClock),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains("kv.snapshot"), "{error}");
}
