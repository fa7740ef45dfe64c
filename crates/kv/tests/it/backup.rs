//! Copies of a store that goes on: they open, and they are the store at one moment.

use crate::conformance::config;
use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_kv::{Config, Store, Value};
use quintet_log::MemDirectory;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

fn open(directory: &MemDirectory, durability: Durability) -> Store {
    let config = Config {
        snapshot_after_bytes: 1 << 20,
        ..config(durability)
    };
    Store::open(config, Arc::new(directory.clone()), Arc::new(SystemClock)).unwrap()
}

fn number(store: &Store, key: &str) -> i64 {
    match store.get(key).unwrap() {
        Some(Value::Int(number)) => number,
        None => 0,
        other => panic!("{key} is {other:?}"),
    }
}

#[test]
fn a_copy_made_under_load_and_snapshots_is_the_store_at_one_moment() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let store = open(&directory, durability);
        let (acknowledged, over) = (AtomicI64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // `a` is always written before `b`, in steps of their own.
                for n in 1.. {
                    store.set("a", n).unwrap();
                    store.set("b", n).unwrap();
                    acknowledged.store(n, Ordering::Release);
                    if n % 40 == 0 {
                        store.snapshot().unwrap();
                    }
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
            for _ in 0..20 {
                let before = acknowledged.load(Ordering::Acquire);
                let copy = MemDirectory::new();
                store.backup(&copy, &mut |_| Ok(())).unwrap();
                let copy = open(&copy, durability);
                let (a, b) = (number(&copy, "a"), number(&copy, "b"));
                assert!(b >= before, "{durability}: {b} of {before}");
                assert!(a == b || a == b + 1, "{durability}: a is {a} and b is {b}");
            }
            over.store(true, Ordering::Release);
        });
    }
}

#[test]
fn a_store_in_memory_has_nothing_to_copy() {
    let refused = Store::in_memory().backup(&MemDirectory::new(), &mut |_| Ok(()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
}
