//! What many threads at once may not break: no update is lost, no item is handed out twice, no total changes.

use quintet_kv::{Config, End, Store, Value, Wait};
use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

#[test]
fn no_increment_is_lost() {
    let store = Store::in_memory();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    store.increment("n", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(store.get("n").unwrap(), Some(Value::Int(800_000)));
}

#[test]
fn each_item_is_handed_to_exactly_one() {
    const ITEMS: usize = 20_000;
    let store = Store::in_memory();
    let left = AtomicUsize::new(4 * ITEMS);
    let taken: Vec<Vec<Value>> = thread::scope(|scope| {
        let (store, left) = (&store, &left);
        for producer in 0..4 {
            scope.spawn(move || {
                for item in 0..ITEMS {
                    let item = (producer * ITEMS + item) as i64;
                    match item % 3 {
                        0 => store.unshift("jobs", item).unwrap(),
                        _ => store.push("jobs", item).unwrap(),
                    };
                }
            });
        }
        let consumers: Vec<_> = (0..4)
            .map(|consumer| {
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let wait = Wait::at_most(Duration::from_millis(20));
                        let item = match consumer {
                            0 => store.shift_wait("jobs", wait).unwrap(),
                            1 => store.pop_wait("jobs", wait).unwrap(),
                            2 => store.shift("jobs").ok().flatten(),
                            _ => store.pop("jobs").ok().flatten(),
                        };
                        if let Some(item) = item {
                            left.fetch_sub(1, Ordering::SeqCst);
                            taken.push(item);
                        }
                    }
                    taken
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let distinct: HashSet<i64> = taken
        .iter()
        .flatten()
        .map(|item| match item {
            Value::Int(item) => *item,
            other => panic!("{other:?} was never pushed"),
        })
        .collect();
    assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 4 * ITEMS);
    assert_eq!(distinct.len(), 4 * ITEMS);
    assert_eq!(store.waiting(), 0);
}

#[test]
fn swaps_hand_each_value_on_exactly_once() {
    let store = Store::in_memory();
    let seen: Vec<Vec<Option<Value>>> = thread::scope(|scope| {
        let store = &store;
        let swap = move |thread: i64| {
            (0..5_000)
                .map(move |n| store.swap("k", thread * 5_000 + n).unwrap())
                .collect()
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || swap(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: Vec<i64> = seen
        .into_iter()
        .flatten()
        .chain([store.get("k").unwrap()])
        .flatten()
        .map(|value| match value {
            Value::Int(value) => value,
            other => panic!("{other:?}"),
        })
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn one_of_many_sets_it_once() {
    let store = Store::in_memory();
    for round in 0..200 {
        let key = format!("k{round}");
        let wins: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let (store, key) = (&store, &key);
                    scope.spawn(move || usize::from(store.set_once(key, thread).unwrap()))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 1, "round {round}");
    }
}

#[test]
fn a_renamed_key_is_always_under_exactly_one_name() {
    let store = Store::in_memory();
    store.set("a", 7).unwrap();
    let left = AtomicUsize::new(1);
    thread::scope(|scope| {
        let (store, left) = (&store, &left);
        scope.spawn(move || {
            for _ in 0..5_000 {
                store.rename("a", "b").unwrap();
                store.rename("b", "a").unwrap();
            }
            left.store(0, Ordering::SeqCst);
        });
        scope.spawn(move || {
            while left.load(Ordering::SeqCst) > 0 {
                let found = store.mget(&["a", "b"]).unwrap();
                assert_eq!(found.iter().flatten().count(), 1, "{found:?}");
            }
        });
    });
}

/// Items go round between three lists while others count them all at one moment.
#[test]
fn transfers_keep_the_total() {
    let store = Store::in_memory_with(
        Config {
            shards: 4,
            ..Config::memory()
        },
        std::sync::Arc::new(quintet_core::SystemClock),
    )
    .unwrap();
    let lists = ["x", "y", "z"];
    for item in 0..30 {
        store.push(lists[item % 3], item as i64).unwrap();
    }
    let running = AtomicUsize::new(3);
    thread::scope(|scope| {
        let (store, running) = (&store, &running);
        for thread in 0..3 {
            scope.spawn(move || {
                for round in 0..5_000 {
                    let (from, to) = (lists[(thread + round) % 3], lists[(thread + round / 3) % 3]);
                    store.transfer((from, End::Front), (to, End::Back)).unwrap();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        scope.spawn(move || {
            while running.load(Ordering::SeqCst) > 0 {
                let total: usize = store
                    .mget(&lists)
                    .unwrap()
                    .iter()
                    .flatten()
                    .filter_map(Value::len)
                    .sum();
                assert_eq!(total, 30);
            }
        });
    });
}

#[test]
fn compare_and_swap_lets_one_win_and_readers_keep_their_snapshot() {
    let store = Store::in_memory();
    store.push("list", 1).unwrap();
    let (before, version) = store.get_versioned("list").unwrap().unwrap();
    store.push("list", 2).unwrap();
    assert_eq!(before, Value::list([Value::Int(1)]), "a snapshot does not change");
    let (_, newer) = store.get_versioned("list").unwrap().unwrap();
    assert_eq!(store.compare_and_swap("list", version, 0).unwrap(), Err(newer));
    assert_eq!(store.compare_and_swap("list", newer, 0).unwrap(), Ok(()));
    assert_eq!(store.compare_and_swap("new", 0, 1).unwrap(), Ok(()));
    let (_, version) = store.get_versioned("new").unwrap().unwrap();
    store.delete("new").unwrap();
    store.set("new", 1).unwrap();
    let again = store.compare_and_swap("new", version, 2).unwrap();
    assert!(again.is_err(), "a version never comes back: {again:?}");
}
