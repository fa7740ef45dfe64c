//! No reply reports what a power cut can still undo: whoever reads what another transaction has just written answers
//! only when that is as durable as the context's level asks.

use quintet_core::{Durability, ErrorKind, Keyed, KeyedReply, MessageHandler, SystemClock};
use quintet_log::{CrashDirectory, Directory, Fault, FaultDirectory, LogConfig};
use quintet_stm::{
    Abort, Context, ContextConfig, ContextHandler, Isolation, Operation, Request, Transaction, Value,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

fn open(directory: Arc<dyn Directory>, durability: Durability) -> Context {
    let log = LogConfig {
        durability,
        segment_bytes: 1 << 16,
        max_record_bytes: 1 << 12,
        max_group_bytes: 1 << 13,
        ..LogConfig::default()
    };
    let clock = Arc::new(SystemClock);
    Context::open("replies", directory, ContextConfig::default(), log, clock)
        .unwrap()
        .0
}

/// The path of the handler's key `n`.
const KEYED: &str = "keyed.k6e";

fn number(value: Option<Value>) -> Option<i64> {
    value.and_then(|value| value.as_int())
}

/// A context in which 1 is durable everywhere, and 2 is in memory while the sync of it has failed.
fn half_durable(durability: Durability) -> Context {
    let faulty = FaultDirectory::new(Arc::new(CrashDirectory::new()));
    let context = open(Arc::new(faulty.clone()), durability);
    let write = |n: i64| {
        context.run(Isolation::Hybrid, |tx| {
            tx.set("n", n)?;
            tx.set(KEYED, n.to_le_bytes().to_vec())?;
            tx.set(&format!("made.m{n}"), n)?;
            tx.send("topic", n)
        })
    };
    context.run(Isolation::Safe, |tx| tx.set("other", 7_i64)).unwrap();
    write(1).unwrap();
    assert_eq!(context.deliver(|_| Ok(())).unwrap(), 1);
    faulty.fail_from(0, Fault::Io);
    assert!(write(2).is_err());
    faulty.heal();
    context
}

fn refused<T: std::fmt::Debug>(what: &str, result: quintet_stm::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
}

#[test]
fn after_a_failed_sync_no_read_reports_what_it_held() {
    for durability in [Durability::Full, Durability::Interval] {
        let context = half_durable(durability);
        refused("get", context.get("n"));
        refused("an absence that ended", context.get_stamped("made.m2"));
        refused("snapshot", context.snapshot());
        for isolation in Isolation::ALL {
            refused("read", context.run(isolation, |tx| tx.get("n")));
            refused("list", context.run(isolation, |tx| tx.keys("made", 9)));
            refused(
                "refusal of a body",
                context.run(isolation, |tx| -> Result<(), Abort> {
                    tx.get("n")?;
                    Err(std::io::Error::other("n is too large").into())
                }),
            );
        }
        assert_eq!(context.get("other").unwrap(), Some(Value::Int(7)), "reads go on");
        let other = context.run(Isolation::Safe, |tx| tx.get_int("other"));
        assert_eq!(other.unwrap(), 7);
    }
}

#[test]
fn after_a_failed_sync_the_history_ends_with_what_is_durable() {
    let context = half_durable(Durability::Full);
    let last = context.history(1).pop().unwrap();
    assert!(
        last.changes
            .iter()
            .any(|change| change.path.as_str() == "made.m1"),
        "{last:?}"
    );
    assert_eq!(context.version(), last.version);
    assert_eq!(
        number(context.replay(last.version).unwrap().get("n").cloned()),
        Some(1)
    );
    let beyond = last.version + 1;
    assert_eq!(context.change_set(beyond), None);
    assert_eq!(context.replay(beyond).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(context.diff(0, beyond).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn after_a_failed_sync_no_message_of_it_is_delivered() {
    let context = half_durable(Durability::Full);
    let mut got = Vec::new();
    refused(
        "deliver",
        context.deliver(|message| {
            got.push(message.payload.as_int());
            Ok(())
        }),
    );
    assert_eq!((got, context.undelivered()), (Vec::new(), 1));
}

#[test]
fn after_a_failed_sync_no_port_reports_what_it_held() {
    let context = half_durable(Durability::Full);
    let mut handler = ContextHandler::new(&context, Isolation::Hybrid);
    let poisoned = |result: quintet_core::Result<KeyedReply>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Poisoned);
    };
    poisoned(handler.handle(Keyed::Get { key: b"n".to_vec() }));
    let add = Keyed::Add {
        key: b"n".to_vec(),
        delta: i64::MAX,
    };
    poisoned(handler.handle(add));
    let path = || "n".parse().unwrap();
    let nothing = Request {
        reads: [(path(), Some(context.get_stamped("other").unwrap().1))].into(),
        ops: vec![Operation::Delete("absent".parse().unwrap())],
        ..Request::default()
    };
    refused("a request that names what changed", context.request(&nothing));
}

/// One way to learn the number.
fn learn(context: &Context, handler: &mut ContextHandler, way: usize) -> Option<i64> {
    match way % 8 {
        0 => number(context.get("n").unwrap()),
        1 => number(context.snapshot().unwrap().get("n")),
        2 => match handler.handle(Keyed::Get { key: b"n".to_vec() }).unwrap() {
            KeyedReply::Value(Some(bytes)) => Some(i64::from_le_bytes(bytes.try_into().unwrap())),
            _ => None,
        },
        3 => number(
            context
                .history(1)
                .pop()?
                .changes
                .iter()
                .find(|c| c.path.as_str() == "n")?
                .new
                .clone(),
        ),
        4 => number(context.replay(context.version()).unwrap().get("n").cloned()),
        5 => {
            let mut last = None;
            context
                .deliver(|message| {
                    last = message.payload.as_int();
                    Ok(())
                })
                .unwrap();
            last
        }
        way => {
            let how = Transaction::new(if way == 6 {
                Isolation::Safe
            } else {
                Isolation::Hybrid
            });
            let (made, _) = context.transact(&how, |tx| tx.keys("made", 1000)).unwrap();
            i64::try_from(made.len()).ok()
        }
    }
}

#[test]
fn a_power_cut_never_takes_back_what_a_reader_has_been_told() {
    for round in 0..crate::crash_rounds(4) as u64 {
        let crash = CrashDirectory::new();
        let context = open(Arc::new(crash.clone()), Durability::Full);
        let (done, told) = (AtomicBool::new(false), AtomicI64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut handler = ContextHandler::new(&context, Isolation::Hybrid);
                let mut way = 0;
                while !done.load(Ordering::Relaxed) {
                    way += 1;
                    let learned = learn(&context, &mut handler, way).unwrap_or(0);
                    if learned > told.load(Ordering::Relaxed) {
                        told.store(learned, Ordering::Relaxed);
                        crash.note(learned.unsigned_abs());
                    }
                }
            });
            for n in 1..=150_i64 {
                let write = |tx: &mut quintet_stm::ContextTx<'_>| {
                    tx.set("n", n)?;
                    tx.set(KEYED, n.to_le_bytes().to_vec())?;
                    tx.set(&format!("made.m{n}"), n)?;
                    tx.send("topic", n)
                };
                context.run(Isolation::Safe, write).unwrap();
                while told.load(Ordering::Relaxed) < n - 20 {
                    thread::yield_now();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let moments = crash.moments();
        let (mut told_at_all, images) = (0, 120);
        for index in 0..=images {
            let moment = index * moments / images;
            // Seed 1 loses everything that was not synced.
            let image = crash.image(moment, 1 + index as u64 % 2 * 7919 * (round + 1));
            let told = crash.noted(moment).unwrap_or(0).cast_signed();
            let found = number(open(Arc::new(image), Durability::Full).get("n").unwrap()).unwrap_or(0);
            assert!(
                found >= told,
                "round {round}, moment {moment}: told {told}, found {found}"
            );
            told_at_all = told_at_all.max(told);
        }
        assert!(told_at_all > 0, "the reader learned nothing");
    }
}
