//! What the engine promises: ownership, routing, back-pressure, draining, gathering, metrics.

use quintet_core::{
    Commit, Completion, Doorbell, ErrorKind, Keyed, KeyedReply, Message, MessageHandler, PushError, Result,
    SystemClock, Worker,
};
use quintet_shard::{
    ByKey, EngineConfig, MapConfig, MapHandler, Own, Pinning, RoundRobin, ShardEngine, ShardError, ShardId,
    ShardState, shard_of,
};
use std::{
    cell::RefCell,
    num::NonZeroUsize,
    rc::Rc,
    sync::{Arc, mpsc},
    thread::{self, ThreadId},
    time::Duration,
};

pub(crate) fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub(crate) fn config(shards: usize) -> EngineConfig {
    EngineConfig {
        shards: count(shards),
        ..EngineConfig::default()
    }
}

/// What the test handler is asked.
pub(crate) enum Ask {
    /// Who are you? Also writes the number down.
    Note(u64),
    /// Answers only when the test lets it.
    Wait(mpsc::Receiver<()>),
    Panic,
}

impl Message for Ask {
    type Reply = Seen;
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) shard: ShardId,
    pub(crate) thread: ThreadId,
    pub(crate) noted: usize,
}

/// Holds an `Rc`, so it is not `Send`: that this compiles shows that the engine does not ask for it.
pub(crate) struct Owned {
    shard: ShardId,
    notes: Rc<RefCell<Vec<u64>>>,
    also: Rc<RefCell<Vec<u64>>>,
}

impl Owned {
    pub(crate) fn new(shard: ShardId) -> Self {
        let notes = Rc::new(RefCell::new(Vec::new()));
        let also = Rc::clone(&notes);
        Self { shard, notes, also }
    }
}

impl MessageHandler<Ask> for Owned {
    fn handle(&mut self, ask: Ask) -> Result<Seen> {
        match ask {
            Ask::Note(n) => self.notes.borrow_mut().push(n),
            Ask::Wait(told) => told
                .recv_timeout(Duration::from_secs(20))
                .expect("the test lets it go"),
            Ask::Panic => panic!("asked to"),
        }
        Ok(Seen {
            shard: self.shard,
            thread: thread::current().id(),
            noted: self.also.borrow().len(),
        })
    }

    fn commit(&mut self) -> Result<Commit> {
        Ok(Commit::Done)
    }
}

pub(crate) type Engine = ShardEngine<Ask, Owned>;

pub(crate) fn open(shards: usize) -> Engine {
    ShardEngine::open(config(shards), Arc::new(SystemClock), |shard| {
        Ok(Owned::new(shard))
    })
    .unwrap()
}

/// The engine is shared between threads although its handlers are not.
const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = is_send_and_sync::<Engine>();

/// `Owned` is not `Send`: if it were, two implementations would fit below and the compiler would refuse to choose.
trait NotSend<A> {
    fn check() {}
}
impl<T: ?Sized> NotSend<()> for T {}
struct Sendable;
impl<T: ?Sized + Send> NotSend<Sendable> for T {}
const _: fn() = <Owned as NotSend<_>>::check;

#[test]
fn each_shard_is_built_and_used_on_one_thread_of_its_own() {
    let engine = open(3);
    let mut caller = engine.caller(count(4), RoundRobin::default()).unwrap();
    let first: Vec<Seen> = caller
        .broadcast(|_| Ask::Note(1))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (shard, seen) in first.iter().enumerate() {
        assert_eq!((seen.shard, seen.noted), (ShardId(shard), 1));
        let again = caller.call_shard(ShardId(shard), Ask::Note(2)).unwrap();
        assert_eq!((again.thread, again.noted), (seen.thread, 2));
    }
    assert!(first[0].thread != first[1].thread && first[1].thread != first[2].thread);
    assert!(first.iter().all(|seen| seen.thread != thread::current().id()));
}

#[test]
fn round_robin_goes_around_and_an_own_rule_is_followed() {
    let engine = open(3);
    let mut around = engine.caller(count(4), RoundRobin::default()).unwrap();
    let shards: Vec<usize> = (0..7)
        .map(|n| around.call(Ask::Note(n)).unwrap().shard.0)
        .collect();
    assert_eq!(shards, [0, 1, 2, 0, 1, 2, 0]);
    let mut last = engine
        .caller(
            count(4),
            Own(|_: &Ask, shards: NonZeroUsize| ShardId(shards.get() - 1)),
        )
        .unwrap();
    assert_eq!(last.call(Ask::Note(0)).unwrap().shard, ShardId(2));
    let mut wrong = engine.caller(count(4), Own(|_: &Ask, _| ShardId(3))).unwrap();
    let error = wrong.call(Ask::Note(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("shard 3"), "{error}");
}

#[test]
fn a_key_is_owned_by_one_shard_whoever_asks() {
    let engine = ShardEngine::open(config(4), Arc::new(SystemClock), |_| {
        Ok(MapHandler::new(MapConfig::default()))
    })
    .unwrap();
    let mut one = engine.caller(count(8), ByKey(Keyed::key)).unwrap();
    let mut other = engine.caller(count(8), ByKey(Keyed::key)).unwrap();
    for n in 0..200_u32 {
        let key = n.to_le_bytes().to_vec();
        one.call(Keyed::Add {
            key: key.clone(),
            delta: 1,
        })
        .unwrap();
        let reply = other
            .call(Keyed::Add {
                key: key.clone(),
                delta: 1,
            })
            .unwrap();
        assert_eq!(reply, KeyedReply::Sum(2));
        // Only the owner knows it.
        let holders = other.broadcast(|_| Keyed::Get { key: key.clone() });
        let owner = shard_of(&key, engine.shards());
        for (shard, reply) in holders.into_iter().enumerate() {
            let value = (shard == owner.0).then(|| 2_i64.to_le_bytes().to_vec());
            assert_eq!(reply.unwrap(), KeyedReply::Value(value));
        }
    }
}

#[test]
fn a_full_shard_pushes_back_and_the_others_go_on() {
    let engine = open(2);
    let mut port = engine
        .port(count(3), Own(|_: &Ask, _| ShardId(0)), Doorbell::silent())
        .unwrap();
    let (go, wait) = mpsc::channel();
    port.submit(Ask::Wait(wait)).unwrap();
    port.submit(Ask::Note(1)).unwrap();
    port.submit(Ask::Note(2)).unwrap();
    port.flush().unwrap();
    for n in 3..6 {
        let Err(PushError::Full(Ask::Note(back))) = port.submit(Ask::Note(n)) else {
            panic!("a fourth request without a credit");
        };
        assert_eq!(back, n);
    }
    assert_eq!(port.in_flight(), 3);
    let mut caller = engine.caller(count(1), RoundRobin::default()).unwrap();
    assert_eq!(caller.call_shard(ShardId(1), Ask::Note(9)).unwrap().noted, 1);
    go.send(()).unwrap();
    let done = reap(&mut port, 3);
    assert!(done.iter().all(|completion| completion.result.is_ok()));
    assert!(port.submit(Ask::Note(6)).is_ok(), "credits come back");
}

fn reap<W: Worker<Ask>>(worker: &mut W, want: usize) -> Vec<Completion<Ask>> {
    let mut done = Vec::new();
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while done.len() < want {
        assert!(
            std::time::Instant::now() < patience,
            "{} of {want} answers came",
            done.len()
        );
        let _gone_or_not = worker.reap(&mut done, want);
        thread::yield_now();
    }
    done
}

#[test]
fn more_questions_than_credits_are_all_answered_in_order() {
    let engine = open(2);
    let mut caller = engine.caller(count(2), RoundRobin::default()).unwrap();
    let answers = caller.call_each((0..101).map(|n| (ShardId(n % 2), Ask::Note(n as u64))));
    for (n, answer) in answers.into_iter().enumerate() {
        let seen = answer.unwrap();
        assert_eq!((seen.shard.0, seen.noted), (n % 2, n / 2 + 1));
    }
}

#[test]
fn a_shutdown_answers_what_was_flushed_and_refuses_the_rest() {
    let engine = open(2);
    let mut port = engine
        .port(count(100), RoundRobin::default(), Doorbell::silent())
        .unwrap();
    let (go, wait) = mpsc::channel();
    port.submit(Ask::Wait(wait)).unwrap();
    for n in 1..150 {
        port.submit(Ask::Note(n)).unwrap();
    }
    port.flush().unwrap();
    thread::scope(|scope| {
        let ending = scope.spawn(|| engine.shutdown());
        go.send(()).unwrap();
        ending.join().unwrap().unwrap();
    });
    let done = reap(&mut port, 150);
    assert!(
        done.iter().all(|completion| completion.result.is_ok()),
        "drained, not dropped"
    );
    assert!(matches!(
        port.submit(Ask::Note(0)),
        Err(PushError::Closed(Ask::Note(0)))
    ));
    assert_eq!(port.why_down(ShardId(0)).kind(), ErrorKind::Closed);
    assert!(
        engine
            .port(count(1), RoundRobin::default(), Doorbell::silent())
            .is_err()
    );
    assert!(engine.restart(ShardId(0)).is_err());
    assert!(engine.shutdown().is_ok(), "a second shutdown does nothing");
}

#[test]
fn a_call_without_an_answer_times_out_and_its_late_answer_is_not_taken_for_another() {
    let engine = open(1);
    let mut caller = engine
        .caller(count(2), RoundRobin::default())
        .unwrap()
        .with_timeout(Duration::from_millis(20));
    let (go, wait) = mpsc::channel();
    let error = caller.call(Ask::Wait(wait)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    go.send(()).unwrap();
    let mut caller = caller.with_timeout(Duration::from_secs(20));
    assert_eq!(caller.call(Ask::Note(1)).unwrap().noted, 1);
    assert_eq!(caller.call(Ask::Note(1)).unwrap().noted, 2);
}

#[test]
fn metrics_count_what_happened() {
    let engine = open(2);
    let mut caller = engine.caller(count(64), Own(|_: &Ask, _| ShardId(1))).unwrap();
    for n in 0..50 {
        caller.call(Ask::Note(n)).unwrap();
    }
    let (go, wait) = mpsc::channel();
    let mut port = engine
        .port(count(8), Own(|_: &Ask, _| ShardId(1)), Doorbell::silent())
        .unwrap();
    port.submit(Ask::Wait(wait)).unwrap();
    port.flush().unwrap();
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while engine.stats()[1].messages < 51 {
        assert!(std::time::Instant::now() < patience);
        thread::yield_now();
    }
    for n in 0..5 {
        port.submit(Ask::Note(n)).unwrap();
    }
    port.flush().unwrap();
    let stats = engine.stats();
    assert_eq!(
        (stats[0].messages, stats[0].queue_depth, stats[0].batches),
        (0, 0, 0)
    );
    assert_eq!((stats[1].messages, stats[1].queue_depth), (51, 5));
    assert!(stats[1].largest_batch >= 1 && stats[1].batches <= 51);
    assert!(matches!(stats[1].state, ShardState::Running));
    assert!(stats[1].round_trip_p99_ns.unwrap() >= stats[1].round_trip_p50_ns.unwrap());
    go.send(()).unwrap();
    reap(&mut port, 6);
    let after = engine.stats();
    assert_eq!((after[1].messages, after[1].queue_depth), (56, 0));
    assert!(after[1].busy_share > 0.0 && after[1].busy_share <= 1.0);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |config| {
        let opened = ShardEngine::open(config, Arc::new(SystemClock), |shard| Ok(Owned::new(shard)));
        let error = opened.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    assert!(refused(config(1025)).contains("shards = 1025"));
    let pinned = |cpus| EngineConfig {
        pinning: Pinning::Cpus(cpus),
        ..config(1)
    };
    assert!(refused(pinned(vec![])).contains("pinning"));
    assert!(refused(pinned(vec![1 << 20])).contains("1048576"));
}

#[test]
fn a_pinned_shard_serves() {
    let pinned = EngineConfig {
        pinning: Pinning::Cpus(vec![0]),
        ..config(2)
    };
    let engine = ShardEngine::open(pinned, Arc::new(SystemClock), |shard| Ok(Owned::new(shard))).unwrap();
    let mut caller = engine.caller(count(1), RoundRobin::default()).unwrap();
    assert!(
        caller
            .broadcast(|_| Ask::Note(1))
            .into_iter()
            .all(|answer| answer.is_ok())
    );
}

#[test]
fn an_engine_whose_shard_cannot_be_built_does_not_open() {
    let opened = ShardEngine::open(config(3), Arc::new(SystemClock), |shard| match shard {
        ShardId(1) => Err(ErrorKind::Corrupted.into()),
        shard => Ok(Owned::new(shard)),
    });
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::Corrupted);
    let opened: Result<Engine> = ShardEngine::open(config(2), Arc::new(SystemClock), |_| panic!("no files"));
    let error = opened.err().unwrap();
    let typed = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<ShardError>());
    assert!(matches!(typed, Some(ShardError::Panicked { .. })), "{error:?}");
}
