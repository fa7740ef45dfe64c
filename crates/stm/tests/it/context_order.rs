//! Versions are an order in which the safe transactions could have run one after another: history, replay and snapshots
//! show no state that no such order leads to.

use quintet_core::SystemClock;
use quintet_log::{LogConfig, MemDirectory};
use quintet_stm::{Context, ContextConfig, Isolation, Transaction, Value};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

fn in_memory() -> Context {
    Context::new("order")
}

fn durable() -> Context {
    let directory = Arc::new(MemDirectory::new());
    let (config, log) = (ContextConfig::default(), LogConfig::default());
    Context::open("order", directory, config, log, Arc::new(SystemClock))
        .unwrap()
        .0
}

fn int(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_int).unwrap_or(0)
}

/// One reads `x` and writes `y`; when it has been validated and has no version yet, another one writes `x`, and a snapshot
/// is taken.
fn overtaken(context: &Context, extra: &[&str]) {
    context
        .run(Isolation::Hybrid, |tx| {
            tx.set("x", 0_i64)?;
            extra.iter().try_for_each(|path| tx.set(path, 0_i64))?;
            tx.set("y", 0_i64)
        })
        .unwrap();
    let (at_commit, overtaken) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let waits = {
        let (at_commit, overtaken, is_first) = (at_commit.clone(), overtaken.clone(), AtomicBool::new(true));
        Arc::new(move || {
            if is_first.swap(false, Ordering::SeqCst) {
                at_commit.wait();
                overtaken.wait();
            }
        })
    };
    let (saw, snapshot) = thread::scope(|scope| {
        let slow = scope.spawn(|| {
            context
                .run(Isolation::Safe, |tx| {
                    let saw = tx.get_int("x")?;
                    for path in extra {
                        tx.increment(path, 1)?;
                    }
                    let waits = waits.clone();
                    tx.merge("y", move |_| {
                        waits();
                        Ok(Value::Int(1))
                    })?;
                    Ok(saw)
                })
                .unwrap()
        });
        at_commit.wait();
        context.run(Isolation::Safe, |tx| tx.set("x", 1_i64)).unwrap();
        let snapshot = context.snapshot().unwrap();
        overtaken.wait();
        (slow.join().unwrap(), snapshot)
    });
    let shows = |x: i64, y: i64| saw == 0 && (x, y) == (1, 0);
    let (x, y) = (snapshot.get("x"), snapshot.get("y"));
    assert!(
        !shows(int(x.as_ref()), int(y.as_ref())),
        "a snapshot shows the later transaction without the earlier one, which had not seen it"
    );
    for set in context.history(100) {
        let image = context.replay(set.version).unwrap();
        assert!(
            !shows(int(image.get("x")), int(image.get("y"))),
            "version {} is a state that no order leads to",
            set.version
        );
    }
}

#[test]
fn a_commit_that_is_overtaken_runs_again_instead_of_getting_a_wrong_place() {
    overtaken(&in_memory(), &[]);
    overtaken(&in_memory(), &["z"]);
    overtaken(&durable(), &[]);
    overtaken(&durable(), &["z"]);
}

/// A small write is first committed in a short way, which a schema ends after the validation.
#[test]
fn a_commit_that_is_done_over_validates_anew() {
    let context = in_memory();
    let schema = quintet_stm::Schema::default();
    context.set_schema(schema).unwrap();
    context
        .run(Isolation::Hybrid, |tx| {
            tx.set("x", 1_i64)?;
            tx.set("y", 0_i64)
        })
        .unwrap();
    let copied = context.run(Isolation::Safe, |tx| {
        let x = tx.get_int("x")?;
        tx.set("y", x)
    });
    copied.unwrap();
    assert_eq!(int(context.get("y").unwrap().as_ref()), 1);
}

/// A transaction that only sends a message has its place in the order of messages.
#[test]
fn a_message_does_not_follow_one_that_it_has_not_seen() {
    for context in [in_memory(), durable()] {
        context
            .run(Isolation::Hybrid, |tx| tx.set("open", 1_i64))
            .unwrap();
        let is_first = AtomicBool::new(true);
        let ordered = context
            .run(Isolation::Safe, |tx| {
                let is_open = tx.get_int("open")? == 1;
                if is_first.swap(false, Ordering::SeqCst) {
                    // On another thread, because this one is inside a transaction.
                    let close = || {
                        context.run(Isolation::Safe, |tx| {
                            tx.set("open", 0_i64)?;
                            tx.send("shop", "closed")
                        })
                    };
                    thread::scope(|scope| scope.spawn(close).join().unwrap()).unwrap();
                }
                if is_open {
                    tx.send("shop", "order")?;
                }
                Ok(is_open)
            })
            .unwrap();
        let mut sent = Vec::new();
        let taken = context.deliver(|message| {
            sent.push(message.payload.as_str().unwrap().to_owned());
            Ok(())
        });
        taken.unwrap();
        assert!(!ordered, "an order at a shop that has closed: {sent:?}");
        assert_eq!(sent, ["closed"]);
    }
}

/// What a transaction read and wrote, and its version.
type Done = (u64, Vec<(usize, i64)>, Vec<(usize, i64)>);

const KEYS: usize = 4;

fn key(at: usize) -> String {
    format!("k{at}")
}

/// Reads some keys and writes others, of which it may have read some.
fn some(context: &Context, random: &mut u64, done: &Mutex<Vec<Done>>) {
    let mut below = |bound: u64| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        (*random >> 33) % bound
    };
    let reads: Vec<_> = (0..1 + below(3)).map(|_| below(KEYS as u64) as usize).collect();
    let writes: BTreeMap<_, _> = (0..1 + below(2))
        .map(|_| (below(KEYS as u64) as usize, below(1 << 30) as i64))
        .collect();
    let how = Transaction::new(Isolation::Safe);
    let (seen, version) = context
        .transact(&how, |tx| {
            let seen = reads.iter().map(|at| Ok((*at, tx.get_int(&key(*at))?)));
            let seen = seen.collect::<Result<Vec<_>, quintet_stm::Abort>>()?;
            for (at, value) in &writes {
                tx.set(&key(*at), *value)?;
            }
            Ok(seen)
        })
        .unwrap();
    let writes = writes.into_iter().collect();
    done.lock().unwrap().push((version.unwrap(), seen, writes));
}

#[test]
fn every_transaction_read_what_the_versions_before_it_left() {
    for round in 0..20_u64 {
        let context = if round % 4 == 0 { durable() } else { in_memory() };
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 1..=3_u64 {
                let (context, done) = (&context, &done);
                scope.spawn(move || {
                    let mut random = (round * 3 + thread).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                    (0..150).for_each(|_| some(context, &mut random, done));
                });
            }
        });
        let mut done = done.into_inner().unwrap();
        done.sort_unstable_by_key(|(version, ..)| *version);
        let mut state = [0; KEYS];
        for (version, reads, writes) in done {
            for (at, saw) in reads {
                assert_eq!(saw, state[at], "round {round}: version {version} read k{at}");
            }
            writes.iter().for_each(|(at, value)| state[*at] = *value);
        }
        for (at, value) in state.iter().enumerate() {
            assert_eq!(int(context.get(&key(at)).unwrap().as_ref()), *value);
        }
    }
}
