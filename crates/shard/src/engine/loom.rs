//! The engine's own protocols under loom: a shard's thread, ports to it, and its end, in every interleaving within a budget
//! of preemptions. Below it, queue and controller have their models in `quintet-core`.
//!
//! | model | refutes |
//! |---|---|
//! | `a_shutdown_answers_each_request_that_was_submitted` | a request that is lost, or answered twice, when the shards end |
//! | `a_caller_that_waits_hears_of_a_shutdown` | a caller that sleeps for ever, or is told something untrue |
//! | `a_port_finds_the_next_run_of_a_shard` | answers of one run taken for another's; a port that stays away |

use super::{Caller, ClientPort, EngineConfig, Inner, Own, ShardId, thread};
use crate::ShardError;
use loom::thread as loom_thread;
use quintet_core::{
    Closed, Doorbell, Error, Keyed, KeyedReply, Parker, PushError, Worker,
    fake::{FakeHandler, ManualClock},
};
use std::{
    num::NonZeroUsize,
    sync::{Arc, atomic::Ordering, mpsc::sync_channel},
};

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const ONLY: ShardId = ShardId(0);

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 50_000;
    builder.check(model);
}

fn inner() -> Arc<Inner<Keyed>> {
    let config = EngineConfig {
        shards: ONE,
        spins: 0,
        ..EngineConfig::default()
    };
    Arc::new(Inner::new(config, Arc::new(ManualClock::new())))
}

/// A shard's thread, as the engine starts it.
fn shard(inner: &Arc<Inner<Keyed>>) -> loom_thread::JoinHandle<()> {
    let inner = Arc::clone(inner);
    loom_thread::spawn(move || {
        let (tell, _started) = sync_channel(1);
        thread::body(&inner, ONLY, &|_, _| Ok(FakeHandler::new()), &tell);
    })
}

/// Waits until it does, as whoever starts a shard.
fn serves(inner: &Inner<Keyed>) {
    while inner.runs[0].load(Ordering::Acquire) == 0 {
        loom_thread::yield_now();
    }
}

fn add() -> Keyed {
    Keyed::Add {
        key: b"n".to_vec(),
        delta: 1,
    }
}

fn source(error: &Error) -> Option<&ShardError> {
    std::error::Error::source(error)?.downcast_ref()
}

fn is_lost(error: &Error) -> bool {
    matches!(source(error), Some(ShardError::Lost { shard: ONLY }))
}

fn is_stopped(error: &Error) -> bool {
    matches!(source(error), Some(ShardError::Stopped))
}

type Only = Own<fn(&Keyed, NonZeroUsize) -> ShardId>;

fn only() -> Only {
    Own(|_, _| ONLY)
}

/// Budget: 2 preemptions, 3 threads, 1 credit, 2 requests.
#[test]
fn a_shutdown_answers_each_request_that_was_submitted() {
    explore(2, || {
        let inner = inner();
        let runs = shard(&inner);
        let asking = Arc::clone(&inner);
        let asker = loom_thread::spawn(move || {
            let mut port = ClientPort::new(asking, ONE, only(), Doorbell::silent());
            let (mut submitted, mut done) = (Vec::new(), Vec::new());
            for _ in 0..2 {
                match port.submit(add()) {
                    Ok(id) => submitted.push(id),
                    Err(PushError::Full(_) | PushError::Closed(_)) => {}
                }
                let _closed = port.flush();
                let _closed = port.reap(&mut done, 8);
            }
            while done.len() < submitted.len() {
                match port.reap(&mut done, 8) {
                    Ok(0) => loom_thread::yield_now(),
                    Ok(_) => {}
                    Err(Closed) => break,
                }
            }
            let mut answered: Vec<_> = done.iter().map(|done| done.id).collect();
            answered.sort_unstable();
            assert_eq!(answered, submitted);
            assert_eq!(port.in_flight(), 0);
            for done in done {
                if let Err(error) = done.result {
                    assert!(is_lost(&error), "{error:?}");
                }
            }
        });
        serves(&inner);
        inner.stop();
        asker.join().unwrap();
        runs.join().unwrap();
    });
}

/// Budget: 2 preemptions, 3 threads, 1 credit. The caller sleeps until it is answered.
#[test]
fn a_caller_that_waits_hears_of_a_shutdown() {
    explore(2, || {
        let inner = inner();
        let runs = shard(&inner);
        serves(&inner);
        let stopping = Arc::clone(&inner);
        let stopper = loom_thread::spawn(move || {
            stopping.stop();
        });
        let parker = Parker::new();
        let bell = parker.doorbell();
        let port = ClientPort::new(Arc::clone(&inner), ONE, only(), bell);
        let mut caller = Caller::new(port, parker, Arc::clone(&inner.clock));
        let answer = caller.call(add());
        match &answer {
            Ok(reply) => assert_eq!(reply, &KeyedReply::Sum(1)),
            Err(error) => assert!(is_lost(error) || is_stopped(error), "{error:?}"),
        }
        stopper.join().unwrap();
        runs.join().unwrap();
        let error = caller.call(add()).unwrap_err();
        assert!(is_stopped(&error), "{error:?}");
    });
}

/// Budget: 3 preemptions, 2 threads at a time, 1 credit. A port that asked the run before asks the next one, by itself.
#[test]
fn a_port_finds_the_next_run_of_a_shard() {
    explore(3, || {
        let inner = inner();
        let first = shard(&inner);
        serves(&inner);
        let mut port = ClientPort::new(Arc::clone(&inner), ONE, only(), Doorbell::silent());
        let before = port.submit(add()).unwrap();
        let _closed = port.flush();
        // As a restart does.
        let connector = inner.table.with(|table| table.seats[0].connector.take());
        connector.unwrap().stop();
        first.join().unwrap();
        let second = shard(&inner);
        let after = loop {
            match port.submit(add()) {
                Ok(id) => break id,
                Err(PushError::Closed(_)) => loom_thread::yield_now(),
                Err(PushError::Full(_)) => panic!("the next run owes credits of its own"),
            }
        };
        port.flush().unwrap();
        let mut done = Vec::new();
        while done.len() < 2 {
            if port.reap(&mut done, 8).unwrap() == 0 {
                loom_thread::yield_now();
            }
        }
        let ids: Vec<_> = done.iter().map(|done| done.id).collect();
        assert_eq!(ids, [before, after]);
        match &done[0].result {
            Ok(reply) => assert_eq!(reply, &KeyedReply::Sum(1)),
            Err(error) => assert!(is_lost(error), "{error:?}"),
        }
        // From a handler of its own: the answer of the run before cannot be meant.
        assert_eq!(done[1].result.as_ref().unwrap(), &KeyedReply::Sum(1));
        inner.stop();
        second.join().unwrap();
    });
}
