//! Each anomaly on typed variables, by Adya's and Hermitage's names: produced where the level admits it, refuted where
//! it forbids it. `docs/isolation.md` has the table.

use crate::interleave::Once;
use quintet_stm::{Isolation, TVar, Transaction};
use std::io;

fn at(isolation: Isolation) -> Transaction {
    Transaction::new(isolation)
}

/// Runs to the end in the middle of another transaction, at the same level.
fn set_both(isolation: Isolation, x: &TVar<i64>, y: &TVar<i64>, value: i64) {
    at(isolation)
        .run(|tx| {
            tx.write(x, value)?;
            tx.write(y, value)
        })
        .unwrap();
}

/// G0: two transactions write x and y; afterwards x is from one and y from the other.
fn dirty_write(isolation: Isolation) -> bool {
    let (x, y, other) = (TVar::new(0), TVar::new(0), Once::new());
    at(isolation)
        .run(|tx| {
            tx.write(&x, 1)?;
            other.run(|| set_both(isolation, &x, &y, 2));
            tx.write(&y, 1)
        })
        .unwrap();
    x.get() != y.get()
}

/// G1a, aborted read (dirty read): another transaction sees a write whose transaction then fails.
fn aborted_read(isolation: Isolation) -> bool {
    let (x, other) = (TVar::new(0), Once::new());
    let mut seen = None;
    let failed = at(isolation).run(|tx| -> quintet_stm::Step<()> {
        tx.write(&x, 1)?;
        seen = other.run(|| at(isolation).run(|tx| tx.read(&x)).unwrap());
        Err(io::Error::other("changed its mind").into())
    });
    assert!(failed.is_err());
    seen == Some(1)
}

/// G1b, intermediate read: another transaction sees a value that is not the last one written.
fn intermediate_read(isolation: Isolation) -> bool {
    let (x, other) = (TVar::new(0), Once::new());
    let mut seen = None;
    at(isolation)
        .run(|tx| {
            tx.write(&x, 1)?;
            seen = seen.or(other.run(|| at(isolation).run(|tx| tx.read(&x)).unwrap()));
            tx.write(&x, 2)
        })
        .unwrap();
    seen == Some(1)
}

/// G1c, circular information flow: each of two transactions sees the other's write.
fn circular_flow(isolation: Isolation) -> bool {
    let (x, y, other) = (TVar::new(0), TVar::new(0), Once::new());
    let mut theirs = 0;
    let mine = at(isolation)
        .run(|tx| {
            tx.write(&x, 1)?;
            let saw = other.run(|| {
                at(isolation)
                    .run(|tx| {
                        tx.write(&y, 2)?;
                        tx.read(&x)
                    })
                    .unwrap()
            });
            theirs = saw.unwrap_or(theirs);
            tx.read(&y)
        })
        .unwrap();
    (mine, theirs) == (2, 1)
}

/// P4, lost update: both read 0, both add one, the result is 1.
fn lost_update(isolation: Isolation) -> bool {
    let (x, other) = (TVar::new(0), Once::new());
    let add_one = || at(isolation).run(|tx| tx.modify(&x, |v| v + 1)).unwrap();
    at(isolation)
        .run(|tx| {
            let now = tx.read(&x)?;
            other.run(add_one);
            tx.write(&x, now + 1)
        })
        .unwrap();
    x.get() == 1
}

/// P2, fuzzy read: two reads of one variable differ in one attempt.
fn fuzzy_read(isolation: Isolation) -> bool {
    let (x, other) = (TVar::new(0), Once::new());
    let mut fuzzy = false;
    at(isolation)
        .run(|tx| {
            let first = tx.read(&x)?;
            other.run(|| at(isolation).run(|tx| tx.write(&x, 1)).unwrap());
            fuzzy |= tx.read(&x)? != first;
            Ok(())
        })
        .unwrap();
    fuzzy
}

/// G-single, read skew: x and y are always equal, yet one attempt sees them differ, even one that will fail.
fn read_skew(isolation: Isolation) -> bool {
    let (x, y, other) = (TVar::new(0), TVar::new(0), Once::new());
    let mut skewed = false;
    at(isolation)
        .run(|tx| {
            let first = tx.read(&x)?;
            other.run(|| set_both(isolation, &x, &y, 1));
            skewed |= tx.read(&y)? != first;
            Ok(())
        })
        .unwrap();
    skewed
}

/// G2-item, write skew: each reads both and clears one if both are set; afterwards both are cleared.
fn write_skew(isolation: Isolation) -> bool {
    let (x, y, other) = (TVar::new(true), TVar::new(true), Once::new());
    let clear = |mine: &TVar<bool>, then: &(dyn Fn() + Sync)| {
        at(isolation)
            .run(|tx| {
                let both = tx.read(&x)? && tx.read(&y)?;
                then();
                if both { tx.write(mine, false) } else { Ok(()) }
            })
            .unwrap();
    };
    clear(&x, &|| {
        other.run(|| clear(&y, &|| ()));
    });
    !x.get() && !y.get()
}

/// OTV, observed transaction vanishes: a transaction that has seen part of another then sees the state before it.
fn observed_vanishes(isolation: Isolation) -> bool {
    let (x, y, other) = (TVar::new(0), TVar::new(0), Once::new());
    let mut vanished = false;
    at(isolation)
        .run(|tx| {
            tx.write(&x, 1)?;
            let seen = other.run(|| at(isolation).run(|tx| Ok((tx.read(&x)?, tx.read(&y)?))).unwrap());
            vanished |= seen == Some((1, 0));
            tx.write(&y, 1)
        })
        .unwrap();
    vanished
}

type Anomaly = fn(Isolation) -> bool;

/// Which levels admit what. One row a test.
macro_rules! table {
    ($($name:ident: safe $safe:literal, hybrid $hybrid:literal, raw $raw:literal;)*) => {
        $(mod $name {
            use super::*;

            const ANOMALY: Anomaly = super::$name;

            #[test]
            fn safe() {
                assert_eq!(ANOMALY(Isolation::Safe), $safe);
            }

            #[test]
            fn hybrid() {
                assert_eq!(ANOMALY(Isolation::Hybrid), $hybrid);
            }

            #[test]
            fn raw() {
                assert_eq!(ANOMALY(Isolation::Raw), $raw);
            }
        })*
    };
}

table! {
    dirty_write: safe false, hybrid false, raw true;
    aborted_read: safe false, hybrid false, raw true;
    intermediate_read: safe false, hybrid false, raw true;
    circular_flow: safe false, hybrid false, raw true;
    observed_vanishes: safe false, hybrid false, raw true;
    lost_update: safe false, hybrid false, raw true;
    fuzzy_read: safe false, hybrid true, raw true;
    read_skew: safe false, hybrid true, raw true;
    write_skew: safe false, hybrid true, raw true;
}
