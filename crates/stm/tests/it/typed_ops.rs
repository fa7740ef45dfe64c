//! The operations of a typed transaction: reading one's own writes, merges, limits, refusals.

use quintet_stm::{Error, Isolation, TVar, Transaction, atomically};
use std::num::NonZeroU32;

#[test]
fn a_transaction_reads_its_own_writes() {
    for isolation in Isolation::ALL {
        let (number, text) = (TVar::new(1_u8), TVar::new(String::from("a")));
        let seen = Transaction::new(isolation)
            .run(|tx| {
                tx.write(&number, 7)?;
                tx.merge(&text, |t| t + "b")?;
                tx.merge(&text, |t| t + "c")?;
                let first = (tx.read(&number)?, tx.read(&text)?);
                tx.merge(&number, |n| n * 2)?;
                tx.merge(&text, |t| t + "d")?;
                Ok((first, tx.read(&number)?, tx.read(&text)?))
            })
            .unwrap();
        assert_eq!(seen, ((7, "abc".into()), 14, "abcd".into()), "{isolation}");
        assert_eq!((number.get(), text.get()), (14, "abcd".into()), "{isolation}");
    }
}

#[test]
fn a_merge_sees_what_is_there_at_the_commit() {
    let (number, text) = (TVar::new(1_i64), TVar::new(String::from("a")));
    let other = crate::interleave::Once::new();
    atomically(|tx| {
        tx.increment(&number, 1)?;
        tx.merge(&text, |t| t + "b")?;
        other.run(|| {
            atomically(|tx| {
                tx.write(&number, 10)?;
                tx.write(&text, "x".into())
            })
            .unwrap();
        });
        Ok(())
    })
    .unwrap();
    assert_eq!((number.get(), text.get()), (11, "xb".into()));
}

#[test]
fn an_increment_that_was_read_is_an_update() {
    let number = TVar::new(1_i64);
    let (other, mut runs) = (crate::interleave::Once::new(), 0);
    let seen = atomically(|tx| {
        runs += 1;
        tx.increment(&number, 1)?;
        let seen = tx.read(&number)?;
        other.run(|| atomically(|tx| tx.write(&number, 10)).unwrap());
        Ok(seen)
    })
    .unwrap();
    assert_eq!((seen, number.get(), runs), (11, 11, 2));
}

#[test]
fn an_overflow_names_the_variable_and_changes_nothing() {
    let full = TVar::named("meter", i64::MAX);
    let beside = TVar::new(0_i64);
    let error = atomically(|tx| {
        tx.increment(&beside, 1)?;
        tx.increment(&full, 1)
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "meter: 9223372036854775807 plus 1 is beyond a 64-bit counter"
    );
    assert_eq!((full.get(), beside.get()), (i64::MAX, 0));
}

#[test]
fn a_conflict_names_key_rival_and_attempts() {
    let balance = TVar::named("balance", 0_i64);
    let error = Transaction::new(Isolation::Safe)
        .attempts(NonZeroU32::new(3).unwrap())
        .run(|tx| {
            let now = tx.read(&balance)?;
            crate::interleave::Once::new().run(|| {
                Transaction::default()
                    .label("clerk")
                    .run(|tx| tx.modify(&balance, |v| v + 1))
                    .unwrap();
            });
            tx.write(&balance, now + 100)
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "balance changed by clerk, after 3 attempts");
    assert_eq!(
        quintet_core::Error::from(error).kind(),
        quintet_core::ErrorKind::Conflict
    );
    assert_eq!(balance.get(), 3);
}

#[test]
fn a_transaction_inside_a_transaction_is_refused() {
    let x = TVar::new(0);
    let inner = atomically(|tx| {
        tx.write(&x, 1)?;
        Ok(Transaction::new(Isolation::Raw).run(|tx| tx.write(&x, 2)))
    })
    .unwrap();
    assert!(matches!(inner, Err(Error::Nested)), "{inner:?}");
    assert_eq!(x.get(), 1);
}

#[test]
fn a_write_to_a_variable_that_is_gone_touches_no_other() {
    let survivors: Vec<TVar<i64>> = atomically(|tx| {
        let gone = TVar::new(1_i64);
        tx.write(&gone, 666)?;
        drop(gone);
        // One of these gets the slot of the one that is gone.
        Ok((0..64).map(|_| TVar::new(5)).collect())
    })
    .unwrap();
    assert!(survivors.iter().all(|survivor| survivor.get() == 5));
}

#[test]
fn many_variables_in_one_transaction() {
    for isolation in Isolation::ALL {
        let variables: Vec<_> = (0..5_000_i64).map(TVar::new).collect();
        Transaction::new(isolation)
            .run(|tx| {
                for variable in &variables {
                    tx.modify(variable, |v| v * 2)?;
                }
                for (at, variable) in variables.iter().enumerate() {
                    assert_eq!(tx.read(variable)?, 2 * i64::try_from(at).unwrap());
                }
                Ok(())
            })
            .unwrap();
        assert!(
            variables.iter().zip(0_i64..).all(|(v, at)| v.get() == 2 * at),
            "{isolation}"
        );
    }
}

#[test]
fn stamps_grow_with_every_write() {
    let x = TVar::new(0);
    let mut last = x.get_stamped().1;
    for turn in 0..3000 {
        Transaction::new(Isolation::ALL[turn % 3])
            .run(|tx| tx.write(&x, turn))
            .unwrap();
        let (value, stamp) = x.get_stamped();
        assert!(stamp > last && value == turn);
        last = stamp;
    }
}
