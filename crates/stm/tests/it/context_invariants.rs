//! Contexts under contention: no update is lost, heavy values are shared, failures leave nothing, snapshots stand still.

use quintet_stm::{Context, Isolation, Step, Transaction, Value};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

const THREADS: usize = 8;

fn on_all_threads(work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for at in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(at));
        }
    });
}

fn no_increment_is_lost(isolation: Isolation, each: i64) {
    let context = Context::new("counter");
    on_all_threads(|_| {
        for _ in 0..each {
            context
                .run(isolation, |tx| {
                    let now = tx.get_int("n")?;
                    tx.set("n", now + 1)
                })
                .unwrap();
        }
    });
    assert_eq!(context.get("n").unwrap(), Some(Value::Int(each * 8)));
}

#[test]
fn no_increment_is_lost_in_safe() {
    no_increment_is_lost(Isolation::Safe, 100_000);
}

#[test]
fn no_increment_is_lost_in_hybrid() {
    no_increment_is_lost(Isolation::Hybrid, 100_000);
}

#[test]
fn commutative_updates_never_conflict() {
    for isolation in Isolation::ALL {
        let context = Context::new("merges");
        let once = Transaction::new(isolation).attempts(std::num::NonZeroU32::MIN);
        context
            .run(isolation, |tx| {
                tx.set("n", 0_i64)?;
                tx.set("list", Vec::new() as Vec<Value>)?;
                tx.set("most", 0_i64)
            })
            .unwrap();
        on_all_threads(|at| {
            for turn in 0..300_i64 {
                context
                    .transact(&once, |tx| {
                        tx.increment("n", 1)?;
                        tx.append("list", turn)?;
                        let mine = 1000 * i64::try_from(at).unwrap() + turn;
                        tx.merge("most", move |most| {
                            Ok(Value::Int(most.and_then(|v| v.as_int()).unwrap_or(0).max(mine)))
                        })
                    })
                    .unwrap();
            }
        });
        assert_eq!(context.get("n").unwrap(), Some(Value::Int(2400)), "{isolation}");
        assert_eq!(
            context.get("most").unwrap(),
            Some(Value::Int(7299)),
            "{isolation}"
        );
        assert_eq!(
            context.get("list").unwrap().unwrap().as_list().unwrap().len(),
            2400,
            "{isolation}"
        );
    }
}

#[test]
fn transfers_keep_the_total_and_every_view_sees_it() {
    let context = Context::new("bank");
    let path = |at: usize| format!("account.a{at:02}");
    context
        .run(Isolation::Safe, |tx| {
            (0..16).try_for_each(|at| tx.set(&path(at), 100_i64))
        })
        .unwrap();
    let done = AtomicBool::new(false);
    let total = |values: &mut dyn Iterator<Item = Value>| values.map(|v| v.as_int().unwrap()).sum::<i64>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut views = 0;
            while !done.load(Ordering::Relaxed) || views == 0 {
                let snapshot = context.snapshot().unwrap();
                assert_eq!(total(&mut snapshot.iter("account").map(|(_, value)| value)), 1600);
                context
                    .run(Isolation::Safe, |tx| {
                        let mut sum = 0;
                        for path in tx.keys("account", 100)? {
                            sum += tx.get_int(path.as_str())?;
                        }
                        assert_eq!(sum, 1600, "also in an attempt that will fail");
                        Ok(())
                    })
                    .unwrap();
                views += 1;
            }
        });
        on_all_threads(|thread| {
            for turn in 0..600 {
                let (from, to) = ((thread * 5 + turn) % 16, (thread + turn * 7) % 16);
                let isolation = if turn % 2 == 0 {
                    Isolation::Safe
                } else {
                    Isolation::Hybrid
                };
                context
                    .run(isolation, |tx| {
                        let balance = tx.get_int(&path(from))?;
                        tx.set(&path(from), balance - 1)?;
                        let balance = tx.get_int(&path(to))?;
                        tx.set(&path(to), balance + 1)
                    })
                    .unwrap();
            }
        });
        done.store(true, Ordering::Relaxed);
    });
    let image = context.replay(context.version()).unwrap();
    assert_eq!(
        image,
        context.snapshot().unwrap().image(),
        "replay equals the state"
    );
    assert_eq!(total(&mut image.values().cloned()), 1600);
}

#[test]
fn keys_made_and_removed_by_all_threads_stay_whole() {
    let context = Context::new("churn");
    on_all_threads(|at| {
        for turn in 0..400 {
            let path = format!("k{}", (at + turn) % 5);
            let isolation = Isolation::ALL[turn % 3];
            context
                .run(isolation, |tx| {
                    if tx.get(&path)?.is_some() {
                        tx.delete(&path)
                    } else {
                        tx.set(&path, 1_i64)
                    }
                })
                .unwrap();
        }
    });
    let listed = context.run(Isolation::Safe, |tx| tx.keys("", 100)).unwrap();
    assert_eq!(listed.len(), context.len());
    for path in listed {
        assert_eq!(context.get(path.as_str()).unwrap(), Some(Value::Int(1)));
    }
}

#[test]
fn heavy_values_are_shared_not_copied() {
    let context = Context::new("heavy");
    let frame = Arc::new(vec![7_u8; 8 << 20]);
    for isolation in Isolation::ALL {
        context
            .run(isolation, |tx| tx.set("HEAVY_frame", frame.clone()))
            .unwrap();
        let read = context
            .run(isolation, |tx| tx.get("HEAVY_frame"))
            .unwrap()
            .unwrap();
        assert!(Arc::ptr_eq(read.as_bytes().unwrap(), &frame), "{isolation}");
    }
    let seen = context.snapshot().unwrap().get("HEAVY_frame").unwrap();
    assert!(Arc::ptr_eq(seen.as_bytes().unwrap(), &frame));
}

fn midway(isolation: Isolation, panics: bool) -> (Option<Value>, Option<Value>, usize, u64) {
    let context = Context::new("midway");
    context.run(Isolation::Safe, |tx| tx.set("a", 1_i64)).unwrap();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        context.run(isolation, |tx| -> Step<()> {
            tx.set("a", 2_i64)?;
            tx.set("made", 1_i64)?;
            tx.send("topic", 1_i64)?;
            assert!(!panics, "midway");
            Err(std::io::Error::other("midway").into())
        })
    }));
    assert!(!matches!(ended, Ok(Ok(()))));
    context.run(Isolation::Safe, |tx| tx.set("b", 1_i64)).unwrap();
    (
        context.get("a").unwrap(),
        context.get("made").unwrap(),
        context.undelivered(),
        context.len() as u64,
    )
}

#[test]
fn a_failure_midway_leaves_nothing_and_in_raw_exactly_the_writes_made() {
    for panics in [false, true] {
        for isolation in [Isolation::Safe, Isolation::Hybrid] {
            assert_eq!(
                midway(isolation, panics),
                (Some(Value::Int(1)), None, 0, 2),
                "{isolation}"
            );
        }
        let raw = midway(Isolation::Raw, panics);
        assert_eq!(raw, (Some(Value::Int(2)), Some(Value::Int(1)), 1, 3));
    }
}

#[test]
fn a_snapshot_stands_still_at_any_level_of_write() {
    let context = Context::new("still");
    context
        .run(Isolation::Safe, |tx| {
            tx.set("a", 1_i64)?;
            tx.set("b", 1_i64)?;
            tx.set("gone", 1_i64)
        })
        .unwrap();
    context.set_raw("a", 2_i64).unwrap();
    let first = context.snapshot().unwrap();
    for isolation in Isolation::ALL {
        for turn in 0..3_i64 {
            context
                .run(isolation, |tx| {
                    tx.set("a", 10 + turn)?;
                    tx.increment("b", 1)?;
                    tx.set("new", turn)
                })
                .unwrap();
        }
    }
    let second = context.snapshot().unwrap();
    context
        .run(Isolation::Raw, |tx| {
            tx.delete("gone")?;
            tx.set("a", 99_i64)
        })
        .unwrap();
    let view = |snapshot: &quintet_stm::Snapshot| {
        ["a", "b", "gone", "new"].map(|path| snapshot.get(path).and_then(|v| v.as_int()))
    };
    assert_eq!(view(&first), [Some(2), Some(1), Some(1), None]);
    assert_eq!(view(&second), [Some(12), Some(10), Some(1), Some(2)]);
    drop(first);
    assert_eq!(view(&second), [Some(12), Some(10), Some(1), Some(2)]);
    assert_eq!(
        view(&context.snapshot().unwrap()),
        [Some(99), Some(10), None, Some(2)]
    );
}

#[test]
fn retry_wakes_when_a_missing_key_is_made() {
    let context = Context::new("wake");
    let wait = Transaction::new(Isolation::Safe).sleep_at_most(std::time::Duration::from_secs(20));
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            context.transact(&wait, |tx| {
                let value = tx.get("signal")?;
                quintet_stm::check(value.is_some())
            })
        });
        context.set_raw("signal", 1_i64).unwrap();
        sleeper.join().unwrap().unwrap();
    });
}
