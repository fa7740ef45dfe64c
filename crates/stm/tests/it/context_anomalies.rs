//! The anomalies that need keys to appear and disappear, on contexts: phantoms, and updates of a key that was removed
//! and made again. The others are in `typed_anomalies`; both APIs share one commit protocol, and the three that matter
//! most are repeated here.

use crate::interleave::Once;
use quintet_stm::{Context, Isolation};

fn context() -> Context {
    Context::new("test")
}

fn int(context: &Context, path: &str) -> Option<i64> {
    context.get(path).unwrap().and_then(|value| value.as_int())
}

/// PMP, phantom: two listings of one branch differ in one attempt.
fn phantom(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    let mut differ = false;
    context
        .run(isolation, |tx| {
            let first = tx.keys("order", 10)?;
            other.run(|| context.run(isolation, |tx| tx.set("order.1", 1_i64)).unwrap());
            differ |= tx.keys("order", 10)? != first;
            Ok(())
        })
        .unwrap();
    differ
}

/// G2, write skew on a predicate: each adds an entry to its own list if the other's is empty; afterwards neither is.
fn predicate_skew(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    let add = |theirs: &str, mine: &str, then: &(dyn Fn() + Sync)| {
        context
            .run(isolation, |tx| {
                let free = tx.keys(theirs, 1)?.is_empty();
                then();
                if free { tx.set(mine, 1_i64) } else { Ok(()) }
            })
            .unwrap();
    };
    add("b", "a.1", &|| {
        other.run(|| add("a", "b.1", &|| ()));
    });
    context.len() == 2
}

/// The same on one list. Adding to a list writes it, so hybrid forbids this one, as a lost update of the list.
fn predicate_skew_on_one_branch(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    let add = |mine: &str, then: &(dyn Fn() + Sync)| {
        context
            .run(isolation, |tx| {
                let free = tx.keys("booking", 1)?.is_empty();
                then();
                if free { tx.set(mine, 1_i64) } else { Ok(()) }
            })
            .unwrap();
    };
    add("booking.mine", &|| {
        other.run(|| add("booking.theirs", &|| ()));
    });
    context.len() == 2
}

/// P4 across a removal: the key that was read is removed and made again before it is written.
fn lost_update_across_removal(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    context.run(Isolation::Safe, |tx| tx.set("n", 1_i64)).unwrap();
    context
        .run(isolation, |tx| {
            let now = tx.get_int("n")?;
            other.run(|| {
                context.run(isolation, |tx| tx.delete("n")).unwrap();
                context.run(isolation, |tx| tx.set("n", 100_i64)).unwrap();
            });
            tx.set("n", now + 1)
        })
        .unwrap();
    int(&context, "n") == Some(2)
}

/// P4 on a key that neither has found: both count from nothing.
fn lost_first_update(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    let count = || {
        context
            .run(isolation, |tx| {
                let now = tx.get_int("n")?;
                tx.set("n", now + 1)
            })
            .unwrap();
    };
    context
        .run(isolation, |tx| {
            let now = tx.get_int("n")?;
            other.run(count);
            tx.set("n", now + 1)
        })
        .unwrap();
    int(&context, "n") == Some(1)
}

/// G-single on a context.
fn read_skew(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    let both = |value: i64| {
        context
            .run(isolation, |tx| {
                tx.set("x", value)?;
                tx.set("y", value)
            })
            .unwrap();
    };
    both(0);
    let mut skewed = false;
    context
        .run(isolation, |tx| {
            let x = tx.get_int("x")?;
            other.run(|| both(1));
            skewed |= tx.get_int("y")? != x;
            Ok(())
        })
        .unwrap();
    skewed
}

/// G2-item on a context.
fn write_skew(isolation: Isolation) -> bool {
    let (context, other) = (context(), Once::new());
    context
        .run(Isolation::Safe, |tx| {
            tx.set("x", true)?;
            tx.set("y", true)
        })
        .unwrap();
    let clear = |mine: &str, then: &(dyn Fn() + Sync)| {
        context
            .run(isolation, |tx| {
                let both = tx.get("x")? == Some(true.into()) && tx.get("y")? == Some(true.into());
                then();
                if both { tx.set(mine, false) } else { Ok(()) }
            })
            .unwrap();
    };
    clear("x", &|| {
        other.run(|| clear("y", &|| ()));
    });
    context.get("x").unwrap() == Some(false.into()) && context.get("y").unwrap() == Some(false.into())
}

/// G1a on a context: a write of a transaction that then fails is seen.
fn aborted_read(isolation: Isolation) -> bool {
    let context = context();
    let mut seen = None;
    let failed = context.run(isolation, |tx| -> quintet_stm::Step<()> {
        tx.set("x", 1_i64)?;
        seen = Once::new().run(|| int(&context, "x")).flatten();
        Err(std::io::Error::other("no").into())
    });
    assert!(failed.is_err());
    seen == Some(1)
}

type Anomaly = fn(Isolation) -> bool;

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
    phantom: safe false, hybrid true, raw true;
    predicate_skew: safe false, hybrid true, raw true;
    predicate_skew_on_one_branch: safe false, hybrid false, raw true;
    lost_update_across_removal: safe false, hybrid false, raw true;
    lost_first_update: safe false, hybrid false, raw true;
    read_skew: safe false, hybrid true, raw true;
    write_skew: safe false, hybrid true, raw true;
    aborted_read: safe false, hybrid false, raw true;
}
