//! An old transaction cannot starve: after some losses it is given precedence, and everybody still gets through.

use quintet_stm::{Isolation, TVar, Transaction, atomically};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// A transaction over 64 variables, all of which two others change all the time, one at a time.
#[test]
fn a_long_transaction_gets_through_a_storm_of_short_ones() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let variables: Vec<_> = (0..64).map(|_| TVar::new(0_i64)).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        for variable in &variables {
                            atomically(|tx| tx.modify(variable, |v| v + 1)).unwrap();
                        }
                    }
                });
            }
            for _ in 0..50 {
                let mut attempts = 0;
                Transaction::new(isolation)
                    .run(|tx| {
                        attempts += 1;
                        for variable in &variables {
                            let now = tx.read(variable)?;
                            tx.write(variable, now + 1)?;
                            if attempts < 9 {
                                thread::yield_now();
                            }
                        }
                        Ok(())
                    })
                    .unwrap();
                assert!(
                    attempts <= 9,
                    "{isolation}: the ninth attempt holds a ticket and cannot lose"
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

/// All transactions age: everyone writes everything, in opposite orders.
#[test]
fn transactions_that_all_age_neither_deadlock_nor_starve() {
    let variables: Vec<_> = (0..8).map(|_| TVar::new(0_i64)).collect();
    thread::scope(|scope| {
        for at in 0..4 {
            let variables = &variables;
            scope.spawn(move || {
                for _ in 0..300 {
                    Transaction::new(Isolation::Safe)
                        .run(|tx| {
                            let mut order: Vec<_> = variables.iter().collect();
                            if at % 2 == 1 {
                                order.reverse();
                            }
                            for variable in order {
                                tx.modify(variable, |v| v + 1)?;
                                thread::yield_now();
                            }
                            Ok(())
                        })
                        .unwrap();
                }
            });
        }
    });
    assert!(variables.iter().all(|variable| variable.get() == 1200));
}

/// An aged transaction that panics gives its reservations and its ticket back.
#[test]
fn an_aged_transaction_that_panics_blocks_nobody() {
    let x = TVar::new(0_i64);
    for _ in 0..3 {
        let panicked = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let mut attempts = 0;
                    atomically(|tx| {
                        attempts += 1;
                        let now = tx.read(&x)?;
                        assert!(attempts < 9, "aged");
                        thread::scope(|scope| {
                            scope.spawn(|| atomically(|tx| tx.increment(&x, 1)).unwrap());
                        });
                        tx.write(&x, now)
                    })
                })
                .join()
                .is_err()
        });
        assert!(panicked);
    }
    atomically(|tx| tx.modify(&x, |v| v + 1)).unwrap();
    assert_eq!(x.get(), 25);
}
