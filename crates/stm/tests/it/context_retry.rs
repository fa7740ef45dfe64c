//! `retry`, `or_else` and ageing over contexts: a branch that gives up leaves nothing, who sleeps is woken, an old
//! transaction gets through, and one that may not try for ever says who was in the way.

use quintet_stm::{Context, ContextTx, Error, Isolation, Step, Transaction, Value, check, retry};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Longer than any wake-up; a test that waits so long has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

fn ints(context: &Context, paths: &[&str]) -> Vec<Option<i64>> {
    let int = |path: &&str| context.get(path).unwrap().and_then(|value| value.as_int());
    paths.iter().map(int).collect()
}

/// Writes in every way there is, and gives up.
fn spoil(tx: &mut ContextTx<'_>) -> Step<&'static str> {
    tx.set("set", 100_i64)?;
    tx.increment("counted", 100)?;
    tx.set("made.before", 100_i64)?;
    tx.set("made.inside", 100_i64)?;
    tx.delete("kept")?;
    tx.send("topic", "first")?;
    retry()
}

#[test]
fn a_branch_that_gives_up_leaves_nothing_and_the_other_one_decides() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let context = Context::new("branches");
        context
            .run(isolation, |tx| {
                ["set", "counted", "kept"]
                    .iter()
                    .try_for_each(|path| tx.set(path, 1_i64))
            })
            .unwrap();
        let took = context.run(isolation, |tx| {
            tx.set("set", 2_i64)?;
            tx.increment("counted", 2)?;
            tx.set("made.before", 2_i64)?;
            tx.or_else(spoil, |tx| {
                assert_eq!(tx.get("made.inside")?, None);
                assert_eq!(tx.keys("made", 9)?.len(), 1);
                tx.increment("counted", 10)?;
                tx.send("topic", "second")?;
                Ok("second")
            })
        });
        assert_eq!(took.unwrap(), "second", "{isolation}");
        let found = ints(
            &context,
            &["set", "counted", "made.before", "made.inside", "kept"],
        );
        assert_eq!(found, [Some(2), Some(13), Some(2), None, Some(1)], "{isolation}");
        let sent = &context.history(1)[0].messages;
        assert_eq!(
            sent.iter().map(|m| m.payload.clone()).collect::<Vec<_>>(),
            [Value::from("second")]
        );
    }
}

#[test]
fn a_branch_that_decides_keeps_what_it_wrote_however_deep() {
    let context = Context::new("nested");
    context
        .run(Isolation::Hybrid, |tx| {
            tx.increment("n", 1)?;
            tx.or_else(
                |tx| {
                    tx.increment("n", 10)?;
                    tx.or_else(
                        |tx| {
                            // More than fit a linear search.
                            (0..40).try_for_each(|at| tx.set(&format!("many.m{at}"), at))?;
                            tx.set("n", 999_i64)?;
                            retry()
                        },
                        |tx| tx.increment("n", 100),
                    )
                },
                |_| Ok(()),
            )
        })
        .unwrap();
    assert_eq!((ints(&context, &["n"]), context.len()), (vec![Some(111)], 1));
}

#[test]
fn both_branches_gave_up_and_either_wakes() {
    for wake in ["left", "right"] {
        let context = Context::new("either");
        let wait = Transaction::new(Isolation::Safe).sleep_at_most(TOO_LONG);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let at = |path: &'static str| {
                    move |tx: &mut ContextTx<'_>| {
                        let found = tx.get(path)?;
                        check(found.is_some())?;
                        Ok(path)
                    }
                };
                context.transact(&wait, |tx| tx.or_else(at("left"), at("right")))
            });
            context.run(Isolation::Hybrid, |tx| tx.set(wake, 1_i64)).unwrap();
            assert_eq!(sleeper.join().unwrap().unwrap().0, wake);
        });
    }
}

#[test]
fn a_raw_branch_that_has_written_cannot_be_taken_back() {
    let context = Context::new("raw");
    let error = context
        .run(Isolation::Raw, |tx| tx.or_else(spoil, |_| Ok("second")))
        .unwrap_err();
    assert!(matches!(error, Error::RawRetry), "{error}");
    let took = context.run(Isolation::Raw, |tx| tx.or_else(|_| retry(), |_| Ok("second")));
    assert_eq!(took.unwrap(), "second", "nothing was written");
}

/// A transaction over 32 keys, all of which two others change all the time, one at a time.
#[test]
fn a_long_transaction_gets_through_a_storm_of_short_ones() {
    let paths: Vec<_> = (0..32).map(|at| format!("storm.k{at}")).collect();
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let context = Context::new("storm");
        context
            .run(isolation, |tx| {
                paths.iter().try_for_each(|path| tx.set(path, 0_i64))
            })
            .unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for isolation in [Isolation::Hybrid, Isolation::Raw] {
                let (stop, paths, context) = (&stop, &paths, &context);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        for path in paths {
                            let add = |tx: &mut ContextTx<'_>| {
                                let now = tx.get_int(path)?;
                                tx.set(path, now + 1)
                            };
                            context.run(isolation, add).unwrap();
                        }
                    }
                });
            }
            for _ in 0..30 {
                let mut attempts = 0;
                let done = context.run(isolation, |tx| {
                    attempts += 1;
                    for path in &paths {
                        let now = tx.get_int(path)?;
                        tx.set(path, now + 1)?;
                        if attempts < 9 {
                            thread::yield_now();
                        }
                    }
                    Ok(())
                });
                done.unwrap();
                assert!(
                    attempts <= 9,
                    "{isolation}: the ninth attempt holds a ticket and cannot lose"
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn a_conflict_names_keys_rival_and_attempts() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let context = Context::new("conflict");
        context
            .run(isolation, |tx| tx.set("stock.apples", 0_i64))
            .unwrap();
        let rival = Transaction::new(Isolation::Hybrid).label("clerk");
        let three = Transaction::new(isolation).attempts(NonZeroU32::new(3).unwrap());
        let error = context
            .transact(&three, |tx| {
                let now = tx.get_int("stock.apples")?;
                thread::scope(|scope| {
                    let other = || context.transact(&rival, |tx| tx.increment("stock.apples", 1));
                    scope.spawn(other).join().unwrap().unwrap();
                });
                tx.set("stock.apples", now - 1)
            })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "stock.apples changed by clerk, after 3 attempts"
        );
        let Error::Conflict {
            keys,
            rival,
            attempts,
        } = error
        else {
            panic!("{isolation}: not a conflict");
        };
        assert_eq!(
            (keys, rival.as_str(), attempts),
            (vec!["stock.apples".to_owned()], "clerk", 3)
        );
    }
}
