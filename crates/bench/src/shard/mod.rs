//! The shard engine: messages per second and round trips for 1 to 64 clients, beside the same map behind one mutex.
//!
//! Throughput: each client keeps its credits in flight. Calls: each client asks and waits. The rival does the same
//! work where it is asked, which is what a shard's hop has to be worth.

mod calls;

use crate::measure::{Samples, Subject, alternate, figures, table};
use anyhow::{Result, ensure};
use quintet_core::{Doorbell, Inline, Keyed, KeyedReply, SystemClock, Worker};
use quintet_shard::{ByKey, ClientPort, EngineConfig, MapConfig, MapHandler, ShardEngine, shard_of};
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

type Engine = ShardEngine<Keyed, MapHandler>;
type KeyOf = ByKey<fn(&Keyed) -> &[u8]>;

const KEYS: u64 = 10_000;
const CREDITS: usize = 64;
const CLIENTS: [usize; 4] = [1, 4, 16, 64];
const NAMES: [&str; 9] = [
    "2 shards, 1 client",
    "2 shards, 4 clients",
    "2 shards, 16 clients",
    "2 shards, 64 clients",
    "one mutex, 1 client",
    "one mutex, 4 clients",
    "one mutex, 16 clients",
    "one mutex, 64 clients",
    "the handler alone, inline",
];
const WAITS: [&str; 2] = ["call to a shard that is awake", "one mutex"];

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    messages: u64,
    round_trips: u64,
}

impl Effort {
    /// For figures.
    #[must_use]
    pub fn full(repetitions: usize) -> Self {
        Self {
            repetitions,
            messages: 640_000,
            round_trips: 20_000,
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            messages: 6_400,
            round_trips: 200,
        }
    }
}

/// Checks that every message is counted, measures, and renders the tables.
///
/// # Errors
/// When a message is lost or the engine fails.
pub fn run(effort: &Effort) -> Result<String> {
    let engine = open()?;
    for clients in CLIENTS {
        let before = sum(&engine)?;
        throughput(&engine, clients, 6_400);
        let counted = sum(&engine)? - before;
        ensure!(
            counted == 6_400,
            "6400 were sent by {clients} clients, {counted} arrived"
        );
    }
    let messages = messages(&engine, effort);
    let waits = round_trips(&engine, effort)?;
    let rates = calls::rates(&engine, effort.round_trips, effort.repetitions);
    let seldom = calls::seldom(&engine, effort.round_trips / 10)?;
    engine.shutdown()?;
    Ok([
        table("adds to 10 000 counters", "M messages/s", &messages),
        table("one add, asked and answered", "µs", &waits),
        table("adds, each asked and answered", "K calls/s", &rates),
        figures("one add every 2 ms, µs", &seldom),
    ]
    .join("\n\n"))
}

/// That the report names every subject.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> Result<()> {
    let names = NAMES
        .iter()
        .chain(&WAITS)
        .chain(&calls::NAMES)
        .chain(&calls::SELDOM);
    for name in names {
        ensure!(report.contains(name), "the shard report has no row `{name}`");
    }
    Ok(())
}

fn open() -> Result<Engine> {
    let config = EngineConfig {
        shards: NonZeroUsize::MIN.saturating_add(1),
        ..EngineConfig::default()
    };
    let factory = |_| Ok(MapHandler::new(MapConfig::default()));
    Ok(ShardEngine::open(config, Arc::new(SystemClock), factory)?)
}

fn credits() -> NonZeroUsize {
    NonZeroUsize::new(CREDITS).unwrap_or(NonZeroUsize::MIN)
}

fn add(n: u64) -> Keyed {
    Keyed::Add {
        key: (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS)
            .to_le_bytes()
            .to_vec(),
        delta: 1,
    }
}

fn sum(engine: &Engine) -> Result<i64> {
    let mut caller = engine.caller(credits(), ByKey(Keyed::key))?;
    let questions = (0..KEYS).map(|n| {
        let key = n.to_le_bytes().to_vec();
        (shard_of(&key, engine.shards()), Keyed::Get { key })
    });
    let mut sum = 0;
    for answer in caller.call_each(questions) {
        if let KeyedReply::Value(Some(value)) = answer? {
            sum += value.try_into().map_or(0, i64::from_le_bytes);
        }
    }
    Ok(sum)
}

fn messages(engine: &Engine, effort: &Effort) -> Vec<Samples> {
    let mut subjects = Vec::new();
    for (name, clients) in NAMES.into_iter().zip(CLIENTS) {
        let messages = effort.messages;
        subjects.push(Subject::new(name, move || throughput(engine, clients, messages)));
    }
    for (name, clients) in NAMES[4..].iter().zip(CLIENTS) {
        let messages = effort.messages;
        subjects.push(Subject::new(name, move || behind_a_mutex(clients, messages)));
    }
    subjects.push(Subject::new(NAMES[8], || alone(effort.messages)));
    alternate(subjects, effort.repetitions)
}

/// Millions of messages a second through the shards.
fn throughput(engine: &Engine, clients: usize, messages: u64) -> f64 {
    let from = Instant::now();
    thread::scope(|scope| {
        for client in 0..clients as u64 {
            scope.spawn(move || {
                let port = engine.port(credits(), ByKey(Keyed::key as _), Doorbell::silent());
                if let Ok(port) = port {
                    send(port, client * messages, messages / clients as u64);
                }
            });
        }
    });
    messages as f64 / from.elapsed().as_secs_f64() / 1e6
}

fn send(mut port: ClientPort<Keyed, KeyOf>, first: u64, count: u64) {
    let (mut sent, mut done, mut answers) = (0, 0, Vec::new());
    while done < count {
        while sent < count && port.in_flight() < CREDITS && port.submit(add(first + sent)).is_ok() {
            sent += 1;
        }
        let _answered = port.flush();
        match port.reap(&mut answers, CREDITS) {
            Ok(0) => thread::yield_now(),
            Ok(more) => done += more as u64,
            Err(_) => return,
        }
        answers.clear();
    }
}

fn behind_a_mutex(clients: usize, messages: u64) -> f64 {
    let map: Mutex<HashMap<Vec<u8>, i64>> = Mutex::default();
    let from = Instant::now();
    thread::scope(|scope| {
        for client in 0..clients as u64 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..messages / clients as u64 {
                    add_locked(map, client * messages + n);
                }
            });
        }
    });
    messages as f64 / from.elapsed().as_secs_f64() / 1e6
}

fn add_locked(map: &Mutex<HashMap<Vec<u8>, i64>>, n: u64) {
    if let Keyed::Add { key, delta } = add(n) {
        *map.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default() += delta;
    }
}

/// What one core does without any hop: the ceiling of one shard.
fn alone(messages: u64) -> f64 {
    let mut worker = Inline::new(MapHandler::new(MapConfig::default()), credits());
    let mut answers = Vec::new();
    let from = Instant::now();
    for n in 0..messages {
        if worker.submit(add(n)).is_err() || n % CREDITS as u64 == CREDITS as u64 - 1 {
            let _inline = worker.flush();
            let _inline = worker.reap(&mut answers, CREDITS);
            answers.clear();
        }
    }
    messages as f64 / from.elapsed().as_secs_f64() / 1e6
}

/// Microseconds a round trip, the mean of a run.
fn round_trips(engine: &Engine, effort: &Effort) -> Result<Vec<Samples>> {
    let count = effort.round_trips;
    let mut caller = engine.caller(credits(), ByKey(Keyed::key))?;
    let map = Mutex::default();
    let subjects = vec![
        Subject::new(WAITS[0], move || {
            let from = Instant::now();
            for n in 0..count {
                // Checked before: a failure would show in the sums.
                let _answered = caller.call(add(n));
            }
            from.elapsed().as_secs_f64() * 1e6 / count as f64
        }),
        Subject::new(WAITS[1], || {
            let from = Instant::now();
            (0..count).for_each(|n| add_locked(&map, n));
            from.elapsed().as_secs_f64() * 1e6 / count as f64
        }),
    ];
    Ok(alternate(subjects, effort.repetitions))
}
