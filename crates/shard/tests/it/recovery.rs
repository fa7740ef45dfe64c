//! A panic stays in its shard, and a restart brings the shard back to every port.

use crate::engine::{Ask, config, count, open};
use quintet_core::{
    Commit, Doorbell, ErrorKind, Keyed, KeyedReply, MessageHandler, PushError, Result, SystemClock, Worker,
};
use quintet_shard::{Own, RoundRobin, ShardEngine, ShardError, ShardId, ShardState};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

fn typed(error: &quintet_core::Error) -> &ShardError {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?} has no typed source"))
}

#[test]
fn a_panic_stops_its_shard_only_and_its_callers_learn_why() {
    let engine = open(3);
    let mut caller = engine.caller(count(8), RoundRobin::default()).unwrap();
    assert!(
        caller
            .broadcast(|_| Ask::Note(1))
            .into_iter()
            .all(|answer| answer.is_ok())
    );
    let lost = caller.call_shard(ShardId(1), Ask::Panic).unwrap_err();
    assert!(
        matches!(typed(&lost), ShardError::Lost { shard: ShardId(1) }),
        "{lost:?}"
    );
    assert_eq!(lost.kind(), ErrorKind::Closed);
    let down = caller.call_shard(ShardId(1), Ask::Note(2)).unwrap_err();
    assert_eq!(down.kind(), ErrorKind::Poisoned);
    assert!(
        down.to_string().contains("shard 1") && down.to_string().contains("asked to"),
        "{down}"
    );
    let answers = caller.broadcast(|_| Ask::Note(2));
    assert_eq!(answers[0].as_ref().unwrap().noted, 2);
    assert!(matches!(
        typed(answers[1].as_ref().unwrap_err()),
        ShardError::Down {
            shard: ShardId(1),
            ..
        }
    ));
    assert_eq!(answers[2].as_ref().unwrap().noted, 2);
    let states: Vec<bool> = engine
        .stats()
        .iter()
        .map(|stats| matches!(stats.state, ShardState::Running))
        .collect();
    assert_eq!(states, [true, false, true]);
    assert!(matches!(
        typed(&engine.shutdown().unwrap_err()),
        ShardError::Panicked { .. }
    ));
}

#[test]
fn a_panicking_batch_answers_each_of_its_requests_once() {
    let engine = open(2);
    let mut port = engine
        .port(count(64), Own(|_: &Ask, _| ShardId(0)), Doorbell::silent())
        .unwrap();
    let mut ids = BTreeSet::new();
    for n in 0..60 {
        let ask = if n == 30 { Ask::Panic } else { Ask::Note(n) };
        ids.insert(port.submit(ask).unwrap());
    }
    port.flush().unwrap();
    let mut done = Vec::new();
    while port.in_flight() > 0 {
        port.reap(&mut done, 64).unwrap();
        thread::yield_now();
    }
    let answered: BTreeSet<_> = done.iter().map(|completion| completion.id).collect();
    assert_eq!((done.len(), answered), (60, ids));
    for completion in done {
        if let Err(error) = completion.result {
            assert!(matches!(typed(&error), ShardError::Lost { .. }), "{error:?}");
        }
    }
}

/// What a shard's files would be: it outlives the shard's thread.
type Disk = Arc<Mutex<HashMap<(usize, Vec<u8>), i64>>>;

/// Adds to counters on a "disk", and panics at the key `boom`.
struct Stored {
    shard: ShardId,
    disk: Disk,
    unsaved: Vec<(Vec<u8>, i64)>,
}

impl MessageHandler<Keyed> for Stored {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        assert!(message.key() != b"boom", "boom");
        let place = (self.shard.0, message.key().to_vec());
        let saved = self.disk.lock().unwrap().get(&place).copied().unwrap_or(0);
        let Keyed::Add { key, delta } = message else {
            return Ok(KeyedReply::Sum(saved));
        };
        let unsaved = self.unsaved.iter().rev().find(|(other, _)| *other == key);
        let sum = unsaved.map_or(saved, |(_, sum)| *sum) + delta;
        self.unsaved.push((key, sum));
        Ok(KeyedReply::Sum(sum))
    }

    fn commit(&mut self) -> Result<Commit> {
        let mut disk = self.disk.lock().unwrap();
        for (key, sum) in self.unsaved.drain(..) {
            disk.insert((self.shard.0, key), sum);
        }
        Ok(Commit::Done)
    }
}

fn stored(shards: usize) -> (ShardEngine<Keyed, Stored>, Arc<AtomicUsize>) {
    let (disk, built) = (Disk::default(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&built);
    let engine = ShardEngine::open(config(shards), Arc::new(SystemClock), move |shard| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Stored {
            shard,
            disk: Arc::clone(&disk),
            unsaved: Vec::new(),
        })
    });
    (engine.unwrap(), built)
}

fn add(key: &[u8]) -> Keyed {
    Keyed::Add {
        key: key.to_vec(),
        delta: 1,
    }
}

#[test]
fn a_restart_recovers_the_shard_and_ports_connect_again_by_themselves() {
    let (engine, built) = stored(2);
    let mut caller = engine.caller(count(4), RoundRobin::default()).unwrap();
    let mut port = engine
        .port(count(4), RoundRobin::default(), Doorbell::silent())
        .unwrap();
    let mut ids = BTreeSet::new();
    for round in 1..=5 {
        assert_eq!(
            caller.call_shard(ShardId(1), add(b"n")).unwrap(),
            KeyedReply::Sum(round)
        );
        assert!(caller.call_shard(ShardId(1), add(b"boom")).is_err());
        // The port has a request in flight to the run that is gone, or is refused: both are fine, silence is not.
        let refused = matches!(port.submit_to(ShardId(1), add(b"m")), Err(PushError::Closed(_)));
        let in_flight = port.in_flight();
        assert_eq!(in_flight, usize::from(!refused));
        let _gone = port.flush();
        engine.restart(ShardId(1)).unwrap();
        let id = port
            .submit_to(ShardId(1), Keyed::Get { key: b"n".to_vec() })
            .unwrap();
        assert!(ids.insert(id), "ids never repeat, also across runs");
        port.flush().unwrap();
        let mut done = Vec::new();
        while done.len() <= in_flight {
            port.reap(&mut done, 8).unwrap();
            thread::yield_now();
        }
        let reply = done.iter().find(|completion| completion.id == id).unwrap();
        assert_eq!(reply.result.as_ref().unwrap(), &KeyedReply::Sum(round));
    }
    assert_eq!(built.load(Ordering::Relaxed), 7);
    assert_eq!(engine.stats()[1].restarts, 5);
}

#[test]
fn a_shard_that_serves_can_be_restarted_too_under_load() {
    let (engine, _) = stored(2);
    let restarted = AtomicUsize::new(0);
    let tallies = thread::scope(|scope| {
        let callers: Vec<_> = (0..3_u8)
            .map(|key| {
                let mut caller = engine.caller(count(2), RoundRobin::default()).unwrap();
                let restarted = &restarted;
                scope.spawn(move || {
                    let (mut asked, mut acknowledged) = (0, 0);
                    while restarted.load(Ordering::Relaxed) < 10 || acknowledged < 100 {
                        asked += 1;
                        if caller.call_shard(ShardId(0), add(&[key])).is_ok() {
                            acknowledged += 1;
                        }
                    }
                    (asked, acknowledged)
                })
            })
            .collect();
        for _ in 0..10 {
            engine.restart(ShardId(0)).unwrap();
            restarted.fetch_add(1, Ordering::Relaxed);
        }
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect::<Vec<(i64, i64)>>()
    });
    let mut caller = engine.caller(count(2), RoundRobin::default()).unwrap();
    for (key, (asked, acknowledged)) in (0..3_u8).zip(tallies) {
        let reply = caller
            .call_shard(ShardId(0), Keyed::Get { key: vec![key] })
            .unwrap();
        let KeyedReply::Sum(sum) = reply else {
            panic!("{reply:?}")
        };
        assert!(
            (acknowledged..=asked).contains(&sum),
            "{acknowledged} of {asked} acknowledged, {sum} there"
        );
    }
}

#[test]
fn a_failed_restart_leaves_the_shard_down_and_may_be_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    let engine: ShardEngine<Keyed, Stored> =
        ShardEngine::open(config(1), Arc::new(SystemClock), move |shard| {
            if counter.fetch_add(1, Ordering::Relaxed) == 1 {
                return Err(ErrorKind::Io.into());
            }
            Ok(Stored {
                shard,
                disk: Disk::default(),
                unsaved: Vec::new(),
            })
        })
        .unwrap();
    let mut caller = engine.caller(count(1), RoundRobin::default()).unwrap();
    assert!(caller.call(add(b"boom")).is_err());
    assert_eq!(engine.restart(ShardId(0)).unwrap_err().kind(), ErrorKind::Io);
    assert!(matches!(
        typed(&caller.call(add(b"n")).unwrap_err()),
        ShardError::Down { .. }
    ));
    engine.restart(ShardId(0)).unwrap();
    assert_eq!(caller.call(add(b"n")).unwrap(), KeyedReply::Sum(1));
    let missing = engine.restart(ShardId(7)).unwrap_err();
    assert!(matches!(
        typed(&missing),
        ShardError::NoSuchShard { shards: 1, .. }
    ));
}
