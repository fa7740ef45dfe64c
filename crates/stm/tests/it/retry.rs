//! `retry`, `check` and `or_else`: who sleeps is woken, and a branch that gives up leaves nothing.

use quintet_stm::{Error, Isolation, TVar, Transaction, atomically, check, retry};
use std::{sync::mpsc, thread, time::Duration};

/// Longer than any wake-up; a test that waits so long has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

#[test]
fn a_bounded_buffer_passes_everything_in_order() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let buffer = TVar::new(Vec::<u32>::new());
        let run = Transaction::new(isolation).sleep_at_most(TOO_LONG);
        let received = thread::scope(|scope| {
            scope.spawn(|| {
                for item in 0..2_000 {
                    run.run(|tx| {
                        let mut items = tx.read(&buffer)?;
                        check(items.len() < 3)?;
                        items.push(item);
                        tx.write(&buffer, items)
                    })
                    .unwrap();
                }
            });
            (0..2_000)
                .map(|_| {
                    run.run(|tx| {
                        let mut items = tx.read(&buffer)?;
                        check(!items.is_empty())?;
                        let item = items.remove(0);
                        tx.write(&buffer, items)?;
                        Ok(item)
                    })
                    .unwrap()
                })
                .collect::<Vec<_>>()
        });
        assert_eq!(received, (0..2_000).collect::<Vec<_>>(), "{isolation}");
    }
}

#[test]
fn one_write_wakes_all_who_wait() {
    let gate = TVar::new(false);
    let (ready, waiting) = mpsc::channel();
    thread::scope(|scope| {
        let sleepers: Vec<_> = (0..8)
            .map(|_| {
                let (gate, ready) = (&gate, ready.clone());
                scope.spawn(move || {
                    let mut told = false;
                    Transaction::default().sleep_at_most(TOO_LONG).run(|tx| {
                        let open = tx.read(gate)?;
                        if !std::mem::replace(&mut told, true) {
                            ready.send(()).unwrap();
                        }
                        check(open)
                    })
                })
            })
            .collect();
        for _ in 0..8 {
            waiting.recv_timeout(TOO_LONG).unwrap();
        }
        atomically(|tx| tx.write(&gate, true)).unwrap();
        for sleeper in sleepers {
            sleeper.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_raw_write_and_an_increment_wake_too() {
    let level = TVar::new(0_i64);
    let wait_for = |at_least: i64| {
        Transaction::default()
            .sleep_at_most(TOO_LONG)
            .run(|tx| {
                let now = tx.read(&level)?;
                check(now >= at_least)
            })
            .unwrap();
    };
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            wait_for(1);
            wait_for(2);
        });
        Transaction::new(Isolation::Raw)
            .run(|tx| tx.write(&level, 1))
            .unwrap();
        atomically(|tx| tx.increment(&level, 1)).unwrap();
        sleeper.join().unwrap();
    });
}

#[test]
fn or_else_takes_the_first_branch_that_does_not_retry() {
    let (left, right, log) = (TVar::new(0), TVar::new(5), TVar::new(String::new()));
    let took = atomically(|tx| {
        tx.write(&log, "start".into())?;
        tx.or_else(
            |tx| {
                tx.write(&log, "left".into())?;
                tx.increment(&right, 100)?;
                let n = tx.read(&left)?;
                check(n > 0)?;
                Ok("left")
            },
            |tx| {
                let n = tx.read(&right)?;
                check(n == 5)?;
                let so_far = tx.read(&log)?;
                tx.write(&log, so_far + ", right")?;
                Ok("right")
            },
        )
    })
    .unwrap();
    assert_eq!(
        (took, log.get().as_str(), right.get()),
        ("right", "start, right", 5)
    );
}

#[test]
fn or_else_nests_and_takes_back_only_its_own_branch() {
    let x = TVar::new(0_i64);
    atomically(|tx| {
        tx.increment(&x, 1)?;
        tx.or_else(
            |tx| {
                tx.increment(&x, 10)?;
                tx.or_else(
                    |tx| {
                        tx.write(&x, 999)?;
                        retry()
                    },
                    |tx| tx.increment(&x, 100),
                )
            },
            |_| Ok(()),
        )
    })
    .unwrap();
    assert_eq!(x.get(), 111);
}

#[test]
fn or_else_in_which_both_retry_wakes_on_either() {
    for first_changes in [true, false] {
        let (a, b) = (TVar::new(false), TVar::new(false));
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                Transaction::default().sleep_at_most(TOO_LONG).run(|tx| {
                    tx.or_else(
                        |tx| {
                            let set = tx.read(&a)?;
                            check(set).map(|()| true)
                        },
                        |tx| {
                            let set = tx.read(&b)?;
                            check(set).map(|()| false)
                        },
                    )
                })
            });
            atomically(|tx| tx.write(if first_changes { &a } else { &b }, true)).unwrap();
            assert_eq!(sleeper.join().unwrap().unwrap(), first_changes);
        });
    }
}

#[test]
fn a_sleep_that_nothing_can_end_is_refused() {
    let error = atomically(|_| retry::<()>()).unwrap_err();
    assert!(matches!(error, Error::NothingToWaitFor), "{error}");
    let x = TVar::new(0);
    let error = Transaction::new(Isolation::Raw)
        .run(|tx| {
            tx.read(&x)?;
            tx.write(&x, 1)?;
            retry::<()>()
        })
        .unwrap_err();
    assert!(matches!(error, Error::RawRetry), "{error}");
}

#[test]
fn a_sleep_ends_after_its_limit() {
    let x = TVar::new(0);
    let error = Transaction::default()
        .sleep_at_most(Duration::from_millis(1))
        .run(|tx| tx.read(&x).and_then(|_| retry::<()>()))
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { waited_ms: 1 }), "{error}");
}
