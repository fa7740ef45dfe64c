//! A real process on real files is killed in the middle of its work, at each level: what it had acknowledged is there
//! afterwards, in order, and nothing twice.

use crate::conformance::config;
use quintet_core::{Durability, SystemClock};
use quintet_kv::{Config, Store, Value};
use quintet_log::OsDirectory;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

const FOLDER: &str = "QUINTET_KV_KILL_FOLDER";
const LEVEL: &str = "QUINTET_KV_KILL_LEVEL";
const THREADS: usize = 3;

fn open(folder: &Path, durability: Durability) -> Store {
    let config = Config {
        segment_bytes: 1 << 20,
        ..config(durability)
    };
    let directory = Arc::new(OsDirectory::open(folder).unwrap());
    Store::open(config, directory, Arc::new(SystemClock)).unwrap()
}

/// Counts up, keeps every number in a list, and moves each tenth to another list.
fn work(store: &Store, who: usize) {
    let (counter, list, tens) = (format!("count{who}"), format!("list{who}"), format!("tens{who}"));
    loop {
        let number = store.increment(&counter, 1).unwrap();
        let Value::Int(number) = number else {
            panic!("{number:?}")
        };
        store.push(&list, number).unwrap();
        if number % 10 == 0 {
            store
                .transfer((&list, quintet_kv::End::Back), (&tens, quintet_kv::End::Back))
                .unwrap();
        }
        if number % 64 == 0 && who == 0 {
            store.snapshot().unwrap();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {who} {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Not a test of its own: what the killed process runs. Says who has done what.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let level = std::env::var(LEVEL).unwrap().parse().unwrap();
    let store = open(Path::new(&folder), level);
    thread::scope(|scope| {
        for who in 0..THREADS {
            let store = &store;
            scope.spawn(move || work(store, who));
        }
    });
}

/// Kills a child after it has said so many lines, and answers the last number that each of its threads acknowledged.
fn killed(folder: &Path, level: Durability, lines: usize) -> [i64; THREADS] {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash_kill::child", "--nocapture"])
        .env(FOLDER, folder)
        .env(LEVEL, level.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = [0; THREADS];
    let output = BufReader::new(process.stdout.take().unwrap()).lines();
    let told = |line: String| {
        let (who, number) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
        Some((who.parse::<usize>().unwrap(), number.parse::<i64>().unwrap()))
    };
    for (who, number) in output.map(Result::unwrap).filter_map(told).take(lines) {
        acknowledged[who] = number;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    acknowledged
}

fn numbers(store: &Store, key: &str) -> Vec<i64> {
    let number = |value: &Value| match value {
        Value::Int(number) => *number,
        other => panic!("{key} has {other:?}"),
    };
    match store.get(key).unwrap() {
        None => Vec::new(),
        Some(Value::List(list)) => list.iter().map(number).collect(),
        Some(other) => panic!("{key} is {other:?}"),
    }
}

/// Compares what is there with what was acknowledged, and finishes what the kill cut off.
fn check(store: &Store, who: usize, acknowledged: i64) {
    let count = store.increment(format!("count{who}"), 0).unwrap();
    let Value::Int(count) = count else {
        panic!("{count:?}")
    };
    assert!(count >= acknowledged, "thread {who}: {count} of {acknowledged}");
    let (list, tens) = (format!("list{who}"), format!("tens{who}"));
    let mut there = numbers(store, &list);
    there.extend(numbers(store, &tens));
    there.sort_unstable();
    // The last number may be counted and not yet in a list.
    let least = count.max(1) - 1;
    assert!(
        there.iter().copied().eq(1..=count) || (least >= acknowledged && there.iter().copied().eq(1..=least)),
        "thread {who}: counted to {count}, kept {} numbers",
        there.len()
    );
    if there.len() < count as usize {
        store.push(&list, count).unwrap();
    }
    if numbers(store, &list).last().is_some_and(|last| last % 10 == 0) {
        store
            .transfer((&list, quintet_kv::End::Back), (&tens, quintet_kv::End::Back))
            .unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_every_level() {
    for level in Durability::ALL {
        let folder = tempfile::tempdir().unwrap();
        for round in 1..=crate::crash_rounds(3) {
            let acknowledged = killed(folder.path(), level, 100 + round * 37 % 300);
            let store = open(folder.path(), level);
            for (who, number) in acknowledged.into_iter().enumerate() {
                check(&store, who, number);
            }
            store.close().unwrap();
        }
    }
}
