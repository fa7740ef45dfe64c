//! Waiting: order, deadlines, cancellation, and that no wake is lost.

use quintet_core::ErrorKind;
use quintet_kv::{Store, Value, Wait, cancellation};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(20);

/// Waits until so many operations wait.
fn until_waiting(store: &Store, count: usize) {
    let deadline = Instant::now() + LONG;
    while store.waiting() != count {
        assert!(Instant::now() < deadline, "{} wait, not {count}", store.waiting());
        thread::yield_now();
    }
}

#[test]
fn those_who_wait_are_served_in_their_order_one_wake_an_item() {
    let store = Store::in_memory();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..8 {
            let (store, sender) = (&store, sender.clone());
            scope.spawn(move || {
                let item = store.shift_wait("jobs", Wait::at_most(LONG)).unwrap();
                sender.send((number, item)).unwrap();
            });
            until_waiting(store, number + 1);
        }
        for number in 0..8_usize {
            store.push("jobs", number as i64).unwrap();
            let (first, item) = receiver.recv_timeout(LONG).unwrap();
            assert_eq!((first, item), (number, Some(Value::Int(number as i64))));
            assert!(receiver.try_recv().is_err(), "one item woke more than one");
        }
    });
    assert_eq!(store.waiting(), 0);
}

#[test]
fn waiters_survive_delete_clear_and_expiry() {
    let store = Store::in_memory();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| store.shift_wait("jobs", Wait::at_most(LONG)).unwrap());
        until_waiting(&store, 1);
        store.set("jobs", 1).unwrap();
        store.delete("jobs").unwrap();
        store.clear().unwrap();
        store.set("jobs", "not a list").unwrap();
        store.expire("jobs", Duration::from_millis(1)).unwrap();
        let deadline = Instant::now() + LONG;
        while store.exists("jobs").unwrap() {
            assert!(Instant::now() < deadline);
        }
        store.push("jobs", "at last").unwrap();
        assert_eq!(waiter.join().unwrap(), Some("at last".into()));
    });
}

#[test]
fn a_rename_serves_those_who_wait_for_the_new_name() {
    let store = Store::in_memory();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| store.pop_wait("new", Wait::at_most(LONG)).unwrap());
        until_waiting(&store, 1);
        store.push("old", 1).unwrap();
        store.rename("old", "new").unwrap();
        assert_eq!(waiter.join().unwrap(), Some(Value::Int(1)));
    });
    assert_eq!(store.get("new").unwrap(), Some(Value::list([])));
}

#[test]
fn a_short_timeout_ends_and_a_busy_key_does_not_prolong_it() {
    let store = Store::in_memory();
    let begun = Instant::now();
    assert_eq!(
        store
            .shift_wait("none", Wait::at_most(Duration::from_millis(30)))
            .unwrap(),
        None
    );
    assert!(begun.elapsed() >= Duration::from_millis(30));
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let store = &store;
        scope.spawn(move || {
            let mut n = 0;
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                store.set("busy", n).unwrap();
                n += 1;
            }
        });
        let begun = Instant::now();
        let error = store
            .wait_for("busy", |_| false, Wait::at_most(Duration::from_millis(50)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = store
            .wait(
                "busy",
                Some("never".into()),
                Wait::at_most(Duration::from_millis(50)),
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("`busy`"), "{error}");
        assert!(begun.elapsed() < LONG);
        drop(stop);
    });
    assert_eq!(store.waiting(), 0);
}

#[test]
fn dropping_the_guard_cancels() {
    let store = Store::in_memory();
    let (guard, token) = cancellation();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| store.shift_wait("jobs", Wait::forever().or_cancelled(&token))))
            .collect();
        until_waiting(&store, 3);
        drop(guard);
        for wait in waits {
            assert_eq!(wait.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        }
    });
    assert_eq!(store.waiting(), 0);
    store.push("jobs", 1).unwrap();
    assert_eq!(
        store.shift("jobs").unwrap(),
        Some(Value::Int(1)),
        "nobody who gave up took it"
    );
}

#[test]
fn wait_compares_objects_by_content() {
    let store = Store::in_memory();
    let object = |n: i64| Value::object([("a", Value::list([Value::Int(n)]))]);
    store.set("o", object(1)).unwrap();
    assert_eq!(
        store.wait("o", Some(object(1)), Wait::forever()).unwrap(),
        object(1)
    );
    thread::scope(|scope| {
        let equal = scope.spawn(|| store.wait("o", Some(object(3)), Wait::at_most(LONG)).unwrap());
        let differs = scope.spawn(|| store.wait("o", None, Wait::at_most(LONG)).unwrap());
        until_waiting(&store, 2);
        store.set("o", object(1)).unwrap();
        store.set("o", object(2)).unwrap();
        assert_eq!(differs.join().unwrap(), object(2));
        store.set("o", object(3)).unwrap();
        store.set("o", object(4)).unwrap();
        assert_eq!(
            equal.join().unwrap(),
            object(3),
            "a short-lived value is not missed"
        );
    });
}

#[test]
fn a_predicate_may_use_the_store() {
    let store = Store::in_memory();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let long_enough = |value: &Value| {
                store.increment("looks", 1).unwrap();
                value.len() >= Some(3)
            };
            store.wait_for("list", long_enough, Wait::at_most(LONG)).unwrap()
        });
        until_waiting(&store, 1);
        for n in 0..3 {
            store.push("list", n).unwrap();
        }
        assert_eq!(waiter.join().unwrap().len(), Some(3));
    });
    assert!(store.get("looks").unwrap().is_some());
}

#[test]
fn too_many_waiters_are_refused() {
    let config = quintet_kv::Config {
        max_waiters: 1,
        ..quintet_kv::Config::memory()
    };
    let store = Store::in_memory_with(config, std::sync::Arc::new(quintet_core::SystemClock)).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| store.shift_wait("jobs", Wait::at_most(LONG)).unwrap());
        until_waiting(&store, 1);
        let error = store.shift_wait("jobs", Wait::forever()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        store.push("jobs", 1).unwrap();
        assert_eq!(first.join().unwrap(), Some(Value::Int(1)));
    });
}
