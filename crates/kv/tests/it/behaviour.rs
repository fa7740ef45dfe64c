//! What each operation does and refuses, time included. Time is held still.

use quintet_core::{Budget, ErrorKind, fake::ManualClock};
use quintet_kv::{Config, KvError, Namespaces, Store, Ttl, Value, WhenFull, from_json, to_json};
use quintet_log::MemDirectory;
use std::{error::Error as _, num::NonZeroUsize, sync::Arc, time::Duration};

fn still(config: Config) -> (Store, ManualClock) {
    let clock = ManualClock::new();
    let config = Config {
        background: false,
        ..config
    };
    (
        Store::in_memory_with(config, Arc::new(clock.clone())).unwrap(),
        clock,
    )
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn json(text: &str) -> Value {
    from_json(&serde_json::from_str(text).unwrap()).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: quintet_core::Result<T>, kind: ErrorKind, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(
        error.source().is_some_and(|source| source.is::<KvError>()),
        "{error:?}"
    );
}

#[test]
fn fractions_of_a_second_count() {
    let (store, clock) = still(Config::memory());
    store.set("k", 1).unwrap();
    store.expire("k", ms(500)).unwrap();
    assert_eq!(store.ttl("k").unwrap(), Ttl::Left(ms(500)));
    clock.advance(ms(499));
    assert!(store.exists("k").unwrap());
    clock.advance(ms(1));
    assert_eq!(store.ttl("k").unwrap(), Ttl::Missing);
}

#[test]
fn an_expired_key_is_gone_for_every_operation() {
    let (store, clock) = still(Config::memory());
    let expired = || {
        store.set("k", Value::list([Value::Int(1)])).unwrap();
        store.expire("k", ms(10)).unwrap();
        clock.advance(ms(10));
    };
    expired();
    assert_eq!(store.get("k").unwrap(), None);
    expired();
    assert!(!store.exists("k").unwrap());
    expired();
    assert!(store.set_once("k", 2).unwrap());
    assert_eq!(
        store.ttl("k").unwrap(),
        Ttl::Never,
        "the new value has no time to live"
    );
    expired();
    assert_eq!(store.swap("k", 3).unwrap(), None);
    expired();
    store.set("k", 4).unwrap();
    assert_eq!(
        store.get("k").unwrap(),
        Some(Value::Int(4)),
        "a value set after the end stays"
    );
    store.delete("k").unwrap();
    expired();
    assert_eq!(store.push("k", 1).unwrap(), 1);
    expired();
    assert_eq!(store.increment("k", 5).unwrap(), Value::Int(5));
    expired();
    refused(store.shift("k"), ErrorKind::NotFound, "shift");
    expired();
    refused(store.rename("k", "l"), ErrorKind::NotFound, "rename");
    expired();
    assert!(!store.persist("k").unwrap());
    expired();
    assert_eq!(store.delete("k").unwrap(), None);
    expired();
    assert_eq!((store.keys().len(), store.scan(0, 10).1.len()), (0, 0));
    assert_eq!(store.count(|_, _| true).unwrap(), 0);
    assert_eq!(store.update("k", json("{\"a\":1}")).unwrap(), json("{\"a\":1}"));
}

#[test]
fn the_wheel_removes_what_nobody_looks_at_and_sleeps_when_nothing_is_due() {
    let (store, clock) = still(Config::memory());
    let budget = Budget {
        items: NonZeroUsize::new(100).unwrap(),
    };
    assert_eq!(store.maintain(budget).unwrap(), None, "nothing is armed");
    for n in 0..1_000_u64 {
        let key = format!("k{n}");
        store.set(&key, 1).unwrap();
        store.expire(&key, ms(1 + n * 37)).unwrap();
    }
    store.set("stays", 1).unwrap();
    let mut rounds = 0;
    while let Some(due) = store.maintain(budget).unwrap() {
        rounds += 1;
        assert!(rounds < 100_000, "the wheel does not come to rest");
        let now = quintet_core::Clock::now(&clock);
        clock.advance(due.0.saturating_duration_since(now));
    }
    assert_eq!(store.len(), 1);
    let elapsed = rounds;
    assert!(elapsed > 100, "{elapsed} rounds");
}

#[test]
fn a_time_to_live_survives_set_travels_with_rename_and_can_be_moved() {
    let (store, clock) = still(Config::memory());
    store.set("a", 1).unwrap();
    store.expire("a", ms(100)).unwrap();
    store.set("a", 2).unwrap();
    store.rename("a", "b").unwrap();
    store.set("a", 3).unwrap();
    assert_eq!(store.ttl("a").unwrap(), Ttl::Never);
    assert_eq!(store.ttl("b").unwrap(), Ttl::Left(ms(100)));
    store.expire("b", ms(50)).unwrap();
    clock.advance(ms(60));
    assert_eq!(
        (store.exists("a").unwrap(), store.exists("b").unwrap()),
        (true, false)
    );
    store.expire("a", ms(50)).unwrap();
    assert!(store.persist("a").unwrap());
    clock.advance(ms(100));
    assert!(store.exists("a").unwrap());
    store.expire("a", Duration::ZERO).unwrap();
    assert!(!store.exists("a").unwrap());
}

#[test]
fn numbers_keep_their_kind_and_refuse_to_overflow() {
    let (store, _) = still(Config::memory());
    assert_eq!(store.increment("n", 2).unwrap(), Value::Int(2));
    assert_eq!(store.increment("n", 0.5).unwrap(), Value::Float(2.5));
    assert_eq!(store.decrement("n", 3).unwrap(), Value::Float(-0.5));
    store.set("n", i64::MAX).unwrap();
    refused(store.increment("n", 1), ErrorKind::InvalidInput, "range");
    assert_eq!(store.get("n").unwrap(), Some(Value::Int(i64::MAX)));
    store.set("n", f64::MAX).unwrap();
    refused(store.increment("n", f64::MAX), ErrorKind::InvalidInput, "range");
    store.set("n", "text").unwrap();
    refused(
        store.increment("n", 1),
        ErrorKind::InvalidInput,
        "increment needs a number at key `n`, there is a string",
    );
    refused(store.decrement("n", i64::MIN), ErrorKind::InvalidInput, "range");
    refused(
        store.increment("m", "1"),
        ErrorKind::InvalidInput,
        "numeric delta",
    );
    assert!(!store.exists("m").unwrap());
}

#[test]
fn lists_refuse_other_kinds_and_a_drained_list_stays() {
    let (store, _) = still(Config::memory());
    refused(store.shift("l"), ErrorKind::NotFound, "`l`");
    assert_eq!(store.push("l", 1).unwrap(), 1);
    assert_eq!(store.unshift("l", 0).unwrap(), 2);
    assert_eq!(store.pop("l").unwrap(), Some(Value::Int(1)));
    assert_eq!(store.shift("l").unwrap(), Some(Value::Int(0)));
    assert_eq!(store.shift("l").unwrap(), None);
    assert_eq!(store.get("l").unwrap(), Some(Value::list([])));
    store.set("s", "x").unwrap();
    refused(store.push("s", 1), ErrorKind::InvalidInput, "push needs a list");
    refused(store.rename("s", "l"), ErrorKind::AlreadyExists, "`l`");
    refused(store.rename("s", "s"), ErrorKind::AlreadyExists, "`s`");
    refused(store.rename("x", "y"), ErrorKind::NotFound, "`x`");
    refused(store.expire("x", ms(1)), ErrorKind::NotFound, "`x`");
}

#[test]
fn updates_merge_deep_and_null_removes() {
    let (store, _) = still(Config::memory());
    store
        .set("o", json(r#"{"a": {"x": 1, "y": [1, 2]}, "b": 2}"#))
        .unwrap();
    let merged = store
        .update(
            "o",
            json(r#"{"a": {"x": null, "y": [3]}, "c": {"d": null, "e": 5}}"#),
        )
        .unwrap();
    assert_eq!(merged, json(r#"{"a": {"y": [3]}, "b": 2, "c": {"e": 5}}"#));
    assert_eq!(store.get("o").unwrap(), Some(merged));
    refused(store.update("o", 1), ErrorKind::InvalidInput, "must be an object");
    store.set("n", 1).unwrap();
    refused(
        store.update("n", json("{}")),
        ErrorKind::InvalidInput,
        "an object",
    );
}

#[test]
fn limits_refuse_and_nothing_is_stored() {
    let (store, _) = still(Config {
        max_value_bytes: 1024,
        max_memory_bytes: 40_000,
        ..Config::memory()
    });
    refused(store.set("k", &[0_u8; 2000][..]), ErrorKind::TooLarge, "1024");
    assert_eq!(store.len(), 0);
    let mut stored = 0;
    while store.set(format!("k{stored}"), &[0_u8; 900][..]).is_ok() {
        stored += 1;
        assert!(stored < 100, "the memory limit does nothing");
    }
    refused(store.set("more", &[0_u8; 900][..]), ErrorKind::Full, "40000");
    store.delete("k0").unwrap();
    store.set("more", &[0_u8; 900][..]).unwrap();
    let used = store.size_bytes();
    store.clear().unwrap();
    assert!(
        used > 30_000 && store.size_bytes() == 0,
        "{used}, then {}",
        store.size_bytes()
    );
}

#[test]
fn eviction_takes_what_was_not_used() {
    let limits = Config {
        max_memory_bytes: 200_000,
        when_full: WhenFull::EvictOldest,
        shards: 2,
        ..Config::memory()
    };
    let (store, clock) = still(limits);
    store.set("hot", 1).unwrap();
    for n in 0..2_000 {
        clock.advance(ms(200));
        store.set(format!("k{n}"), &[0_u8; 500][..]).unwrap();
        assert!(
            store.exists("hot").unwrap(),
            "the key in use was evicted after {n}"
        );
    }
    assert!(
        store.size_bytes() <= 200_000 + 2_000 && store.len() > 50,
        "{store:?}"
    );
}

#[test]
fn a_scan_finds_all_that_stays_while_others_come_and_go() {
    let (store, _) = still(Config {
        shards: 4,
        ..Config::memory()
    });
    for n in 0..1_000 {
        store.set(format!("stays{n}"), n).unwrap();
        store.set(format!("goes{n}"), n).unwrap();
    }
    let (mut cursor, mut found, mut round) = (0, std::collections::BTreeSet::new(), 0);
    loop {
        let (next, keys) = store.scan(cursor, 7);
        found.extend(keys.into_iter().filter(|key| key.starts_with(b"stays")));
        store.delete(format!("goes{round}")).unwrap();
        store.set(format!("comes{round}"), 0).unwrap();
        round += 1;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found.len(), 1_000);
    let picked = store
        .select(10, |key, _| key.starts_with(b"stays").then(|| store.len()))
        .unwrap();
    assert_eq!(picked.len(), 10, "the picker may use the store");
}

#[test]
fn a_namespace_is_configured_in_one_place() {
    let spaces = Namespaces::new(Arc::new(ManualClock::new()));
    let first = spaces.configure("jobs", Config::memory(), None).unwrap();
    first.set("k", 1).unwrap();
    assert_eq!(
        spaces.open("jobs").unwrap().get("k").unwrap(),
        Some(Value::Int(1))
    );
    refused(
        spaces.configure("jobs", Config::memory(), None),
        ErrorKind::AlreadyExists,
        "`jobs`",
    );
    spaces.open("other").unwrap();
    refused(
        spaces.configure("other", Config::memory(), None),
        ErrorKind::AlreadyExists,
        "`other`",
    );
}

#[test]
fn json_survives_the_way_to_disk_and_back_and_damage_is_named() {
    let (store, clock) = still(Config::memory());
    store
        .set(
            "o",
            json(r#"{"a": [1, 2.5, null, true, "x"], "$$odd": {"$$$b": 1}}"#),
        )
        .unwrap();
    store.set(b"\xff\x00", &b"\xfe"[..]).unwrap();
    store.set("inf", f64::INFINITY).unwrap();
    store.set("dies", 1).unwrap();
    store.expire("dies", ms(50)).unwrap();
    store.set("lives", 1).unwrap();
    store.expire("lives", ms(5000)).unwrap();
    let directory = MemDirectory::new();
    store.save(&directory, "kv.json").unwrap();
    clock.advance(ms(60));
    let other = Store::in_memory_with(
        Config {
            background: false,
            ..Config::memory()
        },
        Arc::new(clock),
    )
    .unwrap();
    other.set("kept", 1).unwrap();
    assert_eq!(other.load(&directory, "kv.json").unwrap(), 4);
    for key in store.keys() {
        assert_eq!(other.get(&key).unwrap(), store.get(&key).unwrap(), "{key:?}");
    }
    assert_eq!(other.ttl("lives").unwrap(), Ttl::Left(ms(4940)));
    assert!(other.exists("kept").unwrap());
    directory.insert(
        "bad",
        br#"{"format":"quintet-kv","version":1,"entries":[{"key":"k"}]}"#.to_vec(),
    );
    refused(other.load(&directory, "bad"), ErrorKind::Corrupted, "entry 0");
    assert_eq!(to_json(&json("[1]")).to_string(), "[1]");
}
