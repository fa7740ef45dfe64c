//! SIGKILL at a random moment under load, over and over, on a real directory: what was acknowledged is there, what was
//! deleted stays away, and no second process gets in meanwhile.
//!
//! The process to be killed is this test program again, told by the environment to be the load. A killed process leaves
//! the page cache, so this proves recovery and bookkeeping; power cuts are the business of the crash images. `CRASH_ROUNDS`
//! asks for more rounds, `CRASH_SEED` repeats a run's choices.
#![expect(
    clippy::print_stdout,
    reason = "the process to be killed tells what it did; the seed shows when the test fails"
)]

use super::{from_environment, spec};
use crate::engine::count;
use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_shard::vector::{
    Directories, Metric, Point, PointId, Search, Spec, VectorClient, VectorConfig, VectorStore, With,
};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const CLIENTS: u64 = 3;
/// Ids of one client: few enough that a point is met again.
const IDS: u64 = 150;
const SHARDS: usize = 2;
const LOAD: &str = "QUINTET_VECTOR_LOAD";

/// splitmix64: small, seedable, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

fn id(n: u64) -> PointId {
    if n.is_multiple_of(2) {
        n.into()
    } else {
        PointId::from(&*format!("point {n}"))
    }
}

/// What a client does as its `number`th operation: each id with its new vector, or `None` to delete it.
fn operation(seed: u64, client: u64, number: u64) -> BTreeMap<u64, Option<Vec<f32>>> {
    let mut dice = Dice(seed << 20 ^ client << 17 ^ number);
    let delete = dice.roll(3) == 0;
    let ids = (0..1 + dice.roll(20)).map(|_| client * IDS + dice.roll(IDS));
    let stamp = [(seed % 65_536) as f32, client as f32, number as f32];
    ids.map(|n| (n, (!delete).then(|| [&stamp[..], &[n as f32]].concat())))
        .collect()
}

fn open(dir: &Path, durability: Durability) -> quintet_core::Result<VectorStore> {
    let mut config = VectorConfig::default().with_segment_bytes(256 << 10);
    config.engine.shards = count(SHARDS);
    config.log.durability = durability;
    config.snapshot_log_bytes = 64 << 10;
    config.block_bytes = 1024;
    let directories = Directories::on_disk(dir, count(SHARDS))?;
    VectorStore::open(config, directories, Arc::new(SystemClock))
}

/// Works until it is killed, and writes down what was acknowledged.
fn load(dir: &Path, durability: Durability, seed: u64) {
    let store = open(dir, durability).unwrap();
    let mut first = store.client(count(4)).unwrap();
    if first.list().is_empty() {
        // So little that points move to files all the while.
        let spec = Spec {
            budget_bytes: 64 << 10,
            ..spec(4, Metric::L2)
        };
        first.create("c", spec).unwrap();
    }
    println!("\nready");
    thread::scope(|scope| {
        for client_number in 0..CLIENTS {
            let mut client = store.client(count(4)).unwrap();
            scope.spawn(move || {
                for number in 0.. {
                    act(&mut client, operation(seed, client_number, number));
                    // One write a line, so that a kill cannot cut it.
                    let line = format!("\nacknowledged {client_number} {number}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

fn act(client: &mut VectorClient, operation: BTreeMap<u64, Option<Vec<f32>>>) {
    let deleted: Vec<PointId> = operation
        .iter()
        .filter(|(_, vector)| vector.is_none())
        .map(|(n, _)| id(*n))
        .collect();
    let points: Vec<Point> = operation
        .into_iter()
        .filter_map(|(n, vector)| Some(Point::new(id(n), vector?)))
        .collect();
    if points.is_empty() {
        client.delete("c", deleted).unwrap();
    } else {
        client.upsert("c", points).unwrap();
    }
}

/// What each id may be now: one state, or two when an operation was on its way.
type Ledger = BTreeMap<u64, Vec<Option<Vec<f32>>>>;

/// Runs the load in a process of its own, kills it, and enters what it acknowledged.
fn round(dir: &Path, test: &str, durability: Durability, seed: u64, ledger: &mut Ledger) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(LOAD, format!("{seed} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap() == "ready"),
        "the load did not begin"
    );
    let refused = open(dir, durability)
        .err()
        .expect("two processes in one directory");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let moment = Instant::now() + Duration::from_millis(40 + Dice(seed).roll(300));
    let reader = thread::spawn(move || {
        let mut acknowledged = [0; CLIENTS as usize];
        for line in lines {
            let Some(line) = line.ok().filter(|line| line.starts_with("acknowledged ")) else {
                continue;
            };
            let mut numbers = line.split(' ').skip(1).map(|n| n.parse::<u64>().unwrap());
            let client = numbers.next().unwrap() as usize;
            assert_eq!(numbers.next(), Some(acknowledged[client]));
            acknowledged[client] += 1;
        }
        acknowledged
    });
    // The random moment is the point; nothing is waited for.
    while let Some(left) = moment.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    let acknowledged = reader.join().unwrap();
    for (client, count) in (0..).zip(acknowledged) {
        for number in 0..count {
            for (n, state) in operation(seed, client, number) {
                ledger.insert(n, vec![state]);
            }
        }
        for (n, state) in operation(seed, client, count) {
            ledger.entry(n).or_insert_with(|| vec![None]).push(state);
        }
    }
    acknowledged.iter().sum()
}

/// Compares the store with the ledger, and resolves what was unknown.
fn check(dir: &Path, durability: Durability, ledger: &mut Ledger) {
    let store = open(dir, durability).unwrap();
    let mut client = store.client(count(4)).unwrap();
    let with = With {
        payload: false,
        vector: true,
    };
    let ids: Vec<PointId> = ledger.keys().map(|n| id(*n)).collect();
    let found = ids
        .chunks(1000)
        .flat_map(|ids| client.get("c", ids.to_vec(), with).unwrap());
    let found: Vec<Option<Point>> = found.collect();
    let mut there = 0;
    for ((n, states), found) in ledger.iter_mut().zip(found) {
        let found = found.map(|point| point.vector);
        assert!(
            states.contains(&found),
            "point {n} is {found:?}, not one of {states:?}"
        );
        if let Some(vector) = &found {
            there += 1;
            let hits = client.search("c", Search::new(vector.clone(), 1)).unwrap();
            assert_eq!((&hits[0].id, hits[0].score), (&id(*n), 0.0));
        }
        *states = vec![found];
    }
    assert_eq!(client.count("c", None).unwrap(), there, "nothing else is there");
    store.close().unwrap();
}

fn rounds(test: &str, durability: Durability) {
    if let Ok(told) = env::var(LOAD) {
        let (seed, dir) = told.split_once(' ').unwrap();
        return load(Path::new(dir), durability, seed.parse().unwrap());
    }
    let count = from_environment("CRASH_ROUNDS", 3);
    let seed = u64::from(from_environment("CRASH_SEED", std::process::id()));
    // Shown when the test fails.
    println!("CRASH_ROUNDS={count} CRASH_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    let mut acknowledged = 0;
    for number in 0..u64::from(count) {
        acknowledged += round(dir.path(), test, durability, seed * 1000 + number, &mut ledger);
        check(dir.path(), durability, &mut ledger);
    }
    assert!(acknowledged >= u64::from(count), "{acknowledged}: no load");
}

#[test]
fn sigkill_loses_nothing_acknowledged_at_full_durability() {
    let test = "vectors::crash::kill::sigkill_loses_nothing_acknowledged_at_full_durability";
    rounds(test, Durability::Full);
}

#[test]
fn sigkill_loses_nothing_acknowledged_at_interval_durability() {
    let test = "vectors::crash::kill::sigkill_loses_nothing_acknowledged_at_interval_durability";
    rounds(test, Durability::Interval);
}
