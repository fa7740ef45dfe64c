//! What must hold under contention: sums, totals, opacity; and what a failure leaves.

use quintet_stm::{Counter, Isolation, Step, TVar, Transaction};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const THREADS: usize = 8;
const INCREMENTS: i64 = 100_000;

fn on_all_threads(work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for at in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(at));
        }
    });
}

/// 8 threads, 100 000 increments each, by reading and writing.
fn increments_by_reading(isolation: Isolation) {
    let variable = TVar::new(0_i64);
    on_all_threads(|_| {
        for _ in 0..INCREMENTS {
            Transaction::new(isolation)
                .run(|tx| {
                    let now = tx.read(&variable)?;
                    tx.write(&variable, now + 1)
                })
                .unwrap();
        }
    });
    assert_eq!(variable.get(), 800_000);
}

#[test]
fn no_increment_is_lost_in_safe() {
    increments_by_reading(Isolation::Safe);
}

#[test]
fn no_increment_is_lost_in_hybrid() {
    increments_by_reading(Isolation::Hybrid);
}

#[test]
fn no_commutative_increment_is_lost_at_any_level() {
    for isolation in Isolation::ALL {
        let variable = TVar::new(0_i64);
        let counter = Counter::new();
        on_all_threads(|_| {
            for _ in 0..INCREMENTS / 10 {
                Transaction::new(isolation)
                    .run(|tx| {
                        tx.increment(&variable, 1)?;
                        tx.count(&counter, 1)
                    })
                    .unwrap();
            }
        });
        assert_eq!((variable.get(), counter.get()), (80_000, 80_000), "{isolation}");
    }
}

#[test]
fn no_boxed_increment_is_lost() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let variable = TVar::new((0_i64, String::from("unused")));
        on_all_threads(|_| {
            for _ in 0..INCREMENTS / 20 {
                Transaction::new(isolation)
                    .run(|tx| tx.modify(&variable, |(n, s)| (n + 1, s)))
                    .unwrap();
            }
        });
        assert_eq!(variable.get().0, 40_000, "{isolation}");
    }
}

#[test]
fn appends_of_all_threads_arrive() {
    let list = TVar::new(Vec::new());
    on_all_threads(|at| {
        for turn in 0..200 {
            quintet_stm::atomically(|tx| tx.append(&list, (at, turn))).unwrap();
        }
    });
    let mut list = list.get();
    assert_eq!(list.len(), THREADS * 200);
    for at in 0..THREADS {
        let mine: Vec<_> = list
            .iter()
            .filter(|(thread, _)| *thread == at)
            .map(|(_, turn)| *turn)
            .collect();
        assert_eq!(
            mine,
            (0..200).collect::<Vec<_>>(),
            "a thread's own appends keep their order"
        );
    }
    list.sort_unstable();
    list.dedup();
    assert_eq!(list.len(), THREADS * 200);
}

/// Transfers between random accounts, with an auditor that sums up all of them all the time.
fn transfers_keep_the_total(isolation: Isolation, audit: bool) {
    const ACCOUNTS: usize = 16;
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| TVar::new(100_i64)).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        if audit {
            scope.spawn(|| {
                let mut audits = 0;
                while !done.load(Ordering::Relaxed) || audits == 0 {
                    Transaction::new(isolation)
                        .run(|tx| {
                            let mut sum = 0;
                            for account in &accounts {
                                sum += tx.read(account)?;
                            }
                            // Inside the body: a transaction that is going to fail must not see a wrong sum either.
                            assert_eq!(sum, 1600);
                            Ok(())
                        })
                        .unwrap();
                    audits += 1;
                }
            });
        }
        on_all_threads(|at| {
            let mut random = at * 7919 + 1;
            for _ in 0..5_000 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (from, to) = ((random >> 33) % ACCOUNTS, (random >> 43) % ACCOUNTS);
                let amount = i64::try_from((random >> 50) % 10).unwrap();
                Transaction::new(isolation)
                    .run(|tx| {
                        let balance = tx.read(&accounts[from])?;
                        tx.write(&accounts[from], balance - amount)?;
                        let balance = tx.read(&accounts[to])?;
                        tx.write(&accounts[to], balance + amount)
                    })
                    .unwrap();
            }
        });
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(accounts.iter().map(TVar::get).sum::<i64>(), 1600);
}

#[test]
fn safe_transfers_keep_the_total_and_every_audit_sees_it() {
    transfers_keep_the_total(Isolation::Safe, true);
}

#[test]
fn hybrid_transfers_keep_the_total() {
    transfers_keep_the_total(Isolation::Hybrid, false);
}

/// Fails, or panics, after two writes.
fn midway(isolation: Isolation, panics: bool) -> (i64, String, i64) {
    let number = TVar::new(1_i64);
    let text = TVar::new(String::from("before"));
    let counter = Counter::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        Transaction::new(isolation).run(|tx| -> Step<()> {
            tx.write(&number, 2)?;
            tx.write(&text, String::from("after"))?;
            tx.count(&counter, 1)?;
            assert!(!panics, "midway");
            Err(io::Error::other("midway").into())
        })
    }));
    assert!(!matches!(ended, Ok(Ok(()))), "the body does not succeed");
    // The thread goes on with transactions.
    quintet_stm::atomically(|tx| tx.increment(&number, 10)).unwrap();
    (number.get(), text.get(), counter.get())
}

#[test]
fn a_failure_midway_leaves_no_trace() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        for panics in [false, true] {
            assert_eq!(
                midway(isolation, panics),
                (11, "before".into(), 0),
                "{isolation} {panics}"
            );
        }
    }
}

#[test]
fn a_failure_midway_in_raw_leaves_exactly_the_writes_made() {
    for panics in [false, true] {
        assert_eq!(
            midway(Isolation::Raw, panics),
            (12, "after".into(), 1),
            "{panics}"
        );
    }
}

#[test]
fn a_panicking_merge_leaves_no_trace_and_no_lock() {
    let (one, two) = (TVar::new(1_i64), TVar::new(String::from("two")));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        quintet_stm::atomically(|tx| {
            tx.increment(&one, 1)?;
            tx.merge(&two, |_| panic!("in the commit"))
        })
    }));
    assert!(ended.is_err());
    quintet_stm::atomically(|tx| tx.merge(&two, |text| text + "!")).unwrap();
    assert_eq!((one.get(), two.get()), (1, "two!".into()));
}
